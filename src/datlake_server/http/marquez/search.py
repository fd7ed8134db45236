"""Marquez's search: datasets and jobs that are called as was typed, found as Datlake finds them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_sdk.wire.operations import Search
from datlake_sdk.wire.times import micros, moment
from datlake_server.http.marquez import datasets, jobs
from datlake_server.http.marquez.asking import Reply
from datlake_server.http.marquez.jobs import JobRow
from datlake_server.http.marquez.nodes import dataset_node, job_node
from datlake_server.http.marquez.shapes import Id, SearchResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk.wire.models import HitKind
    from datlake_server.http.marquez.asking import Ask
    from datlake_server.lake import Lake
    from datlake_server.store.base import Tx

_END_OF_TIME: Final = 2**62
_KINDS: Final[dict[str, tuple[HitKind, ...]]] = {"dataset": ("table",), "job": ("job",)}
_BOTH: Final[tuple[HitKind, ...]] = ("table", "job")
_ORDERS: Final = {"name": attrgetter("name", "namespace"), "updated_at": attrgetter("updated_at", "name")}


class _Place(Struct, frozen=True):
    place: int
    table_id: int = 0
    job_id: int = 0


def get(lake: Lake, ask: Ask) -> Reply:
    """The datasets and jobs that `q` finds, by name unless `sort` says `updated_at`."""
    limit = ask.window().limit
    hits = {kind: _found(lake, ask, kind) for kind in ask.one_of("filter", _KINDS, _BOTH)} if limit else {}

    def look(tx: Tx) -> list[SearchResult]:
        return [*_datasets(tx, hits.get("table", [])), *_jobs(tx, hits.get("job", []))]

    after, before = ask.moment("after", 0), ask.moment("before", _END_OF_TIME)
    results = [one for one in lake.look(look) if after <= micros(one.updated_at) < before]
    order = ask.one_of("sort", _ORDERS, _ORDERS["name"])
    results = sorted(results, key=order, reverse=order is _ORDERS["updated_at"])[:limit]
    return Reply({"totalCount": len(results), "results": results})


def _found(lake: Lake, ask: Ask, kind: HitKind) -> list[Id]:
    # What stands for anything in Marquez's patterns stands between words here.
    words = ask.needed("q").replace("%", " ").strip()
    if not words:
        return []
    limit = max(ask.window().limit, 1)
    op = Search(q=words, kind=kind, namespace=ask.query.get("namespace", ""), limit=limit)
    return [Id(namespace=hit.namespace, name=hit.name) for hit in lake.dispatch(op).items]


def _datasets(tx: Tx, names: Sequence[Id]) -> list[SearchResult]:
    places = tx.all(_Place, "marquez.tables_named", names=_json(names), names_count=len(names))
    rows = datasets.rows_of(tx, list(dict.fromkeys(place.table_id for place in places)))
    return [
        SearchResult(
            type="DATASET",
            name=row.name,
            updated_at=moment(max(row.created_at, row.written_at or 0)),
            namespace=row.namespace,
            node_id=dataset_node(Id(namespace=row.namespace, name=row.name)),
        )
        for row in rows
    ]


def _jobs(tx: Tx, names: Sequence[Id]) -> list[SearchResult]:
    places = tx.all(_Place, "marquez.jobs_named", names=_json(names))
    wanted = msgspec.json.encode([place.job_id for place in places]).decode()
    return [
        SearchResult(
            type="JOB", name=job.name, updated_at=job.updated_at, namespace=job.namespace, node_id=job_node(job.id)
        )
        for job in jobs.jobs_of(tx, tx.all(JobRow, "marquez.jobs", job_ids=wanted), latest=1)
    ]


def _json(names: Sequence[Id]) -> str:
    return msgspec.json.encode([(one.namespace, one.name) for one in names]).decode()
