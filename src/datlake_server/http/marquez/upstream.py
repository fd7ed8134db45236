"""Marquez's way up from a run: the runs that made what it read, and so on, nearest first."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct

from datlake_sdk.wire.times import moment
from datlake_server.http.marquez import runs
from datlake_server.http.marquez.shapes import ReadVersion, RunSummary, UpstreamRun, VersionId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.http.marquez.runs import RunRow
    from datlake_server.store.base import Tx

DEPTH: Final = 20
MOST_RUNS: Final = 1000
_READ_AT_ONCE: Final = 20_000


class _Read(Struct, frozen=True):
    run_id: str
    namespace: str
    name: str
    snapshot_id: str | None
    made_by: str | None


def get(tx: Tx, ask: Ask) -> dict[str, object]:
    """The run that `runId` names, and those upstream of it."""
    first = runs.known(tx, ask.needed("runId"))
    depth, rows = ask.number("depth", DEPTH), [first]
    found: list[UpstreamRun] = []
    seen = {first.run_id}
    while rows:
        read = _read(tx, rows)
        found += _told(tx, rows, read)
        makers = [one.made_by for row in rows for one in read[row.run_id] if one.made_by]
        fresh = [run_id for run_id in dict.fromkeys(makers) if run_id not in seen][: MOST_RUNS - len(seen)]
        seen |= set(fresh)
        rows = runs.rows_of(tx, fresh) if depth > 0 else []
        depth -= 1
    return {"runs": found}


def _read(tx: Tx, rows: Sequence[RunRow]) -> defaultdict[str, list[_Read]]:
    found: defaultdict[str, list[_Read]] = defaultdict(list)
    wanted = msgspec.json.encode([row.run_id for row in rows]).decode()
    for one in tx.all(_Read, "marquez.read_by_runs", run_ids=wanted, limit=_READ_AT_ONCE):
        found[one.run_id].append(one)
    return found


def _told(tx: Tx, rows: Sequence[RunRow], read: dict[str, list[_Read]]) -> list[UpstreamRun]:
    told = runs.told_of(tx, rows)
    return [
        UpstreamRun(
            job=VersionId(
                namespace=row.namespace,
                name=row.name,
                version=told.content_of(row.run_id).id_for(row.job, told.locations.get(row.job_id, UNSET)),
            ),
            run=RunSummary(
                id=row.run_id,
                status=row.shown_state,
                start=moment(row.started_at),
                end=UNSET if row.ended_at is None else moment(row.ended_at),
            ),
            inputs=[
                ReadVersion(
                    namespace=one.namespace,
                    name=one.name,
                    version=one.snapshot_id or UNSET,
                    produced_by_run_id=one.made_by or UNSET,
                )
                for one in read[row.run_id]
            ],
        )
        for row in rows
    ]
