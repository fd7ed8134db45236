"""Marquez's ids of nodes: parts joined with colons, which names hold as well. Every way to split one is tried.

Of several that exist, the one that leaves `://` and ports whole comes first, as Marquez reads them; then the shortest
namespace. A `#` and a UUID at the end are a version, unless something is called so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.lineage.ids import run_id_of
from datlake_sdk.wire.ids import is_uuid
from datlake_server.http.marquez.asking import refused
from datlake_server.http.marquez.runs import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_server.http.marquez.shapes import Id
    from datlake_server.store.base import Tx

_PRIMARY: Final = re.compile(r":(?!//|\d)")
# Names with more colons than this are not looked for by id: each of them is a way to split.
_MOST_COLONS: Final = 64


class Place(Struct, frozen=True):
    """What an id stands for: a table or a job, and where told its field and its version."""

    table_id: int = 0
    job_id: int = 0
    run_id: str = ""
    field: str = ""
    version: str = ""


class _Table(Struct, frozen=True):
    place: int
    table_id: int


class _Job(Struct, frozen=True):
    place: int
    job_id: int


def dataset_node(dataset: Id) -> str:
    """The id of a dataset's node."""
    return f"dataset:{dataset.namespace}:{dataset.name}"


def job_node(job: Id) -> str:
    """The id of a job's node."""
    return f"job:{job.namespace}:{job.name}"


def field_node(dataset: Id, field: str, version: str = "") -> str:
    """The id of a column's node."""
    return f"datasetField:{dataset.namespace}:{dataset.name}:{field}" + (f"#{version}" if version else "")


def place_of(tx: Tx, node_id: str) -> Place:
    """What the id stands for. Raises `NotFound`, and `InvalidRequest` (400) for what is no id."""
    kind, _, rest = node_id.partition(":")
    finders = {"dataset": _table, "job": _job, "datasetField": _field, "run": _run}
    if kind not in finders or not rest:
        raise refused(f"{node_id!r:.200} is no nodeId: they are {', '.join(f'{kind}:…' for kind in finders)}")
    find = finders[kind]
    found = find(tx, rest)
    if found is None:
        rest, _, version = rest.rpartition("#")
        found = find(tx, rest) if rest and is_uuid(version) else None
        found = None if found is None else msgspec.structs.replace(found, version=version.lower())
    if found is None:
        raise NotFound(f"there is no node {node_id!r:.200}")
    return found


def splits(text: str) -> list[tuple[str, str]]:
    """Every (namespace, name) that `text` may stand for, the likeliest first."""
    colons = [found.start() for found in re.finditer(":", text)][:_MOST_COLONS]
    likely = {found.start() for found in _PRIMARY.finditer(text)}
    ordered = sorted((at for at in colons if 0 < at < len(text) - 1), key=lambda at: (at not in likely, at))
    return [(text[:at], text[at + 1 :]) for at in ordered]


def _table(tx: Tx, text: str) -> Place | None:
    found = _tables(tx, splits(text))
    return Place(table_id=found[0].table_id) if found else None


def _job(tx: Tx, text: str) -> Place | None:
    found = tx.one(_Job, "marquez.jobs_named", names=_json(splits(text)))
    return Place(job_id=found.job_id) if found else None


def _run(tx: Tx, text: str) -> Place | None:
    found = rows_of(tx, [run_id_of(text)])
    return Place(job_id=found[0].job_id, run_id=found[0].run_id) if found else None


def _field(tx: Tx, text: str) -> Place | None:
    """A column of a table that is there; the shortest field, for names of tables hold colons more often."""
    for at in [found.start() for found in re.finditer(":", text)][: -_MOST_COLONS - 1 : -1]:
        found = _tables(tx, splits(text[:at]))
        if found and text[at + 1 :]:
            return Place(table_id=found[0].table_id, field=text[at + 1 :])
    return None


def _tables(tx: Tx, names: Sequence[tuple[str, str]]) -> list[_Table]:
    return tx.all(_Table, "marquez.tables_named", names=_json(names), names_count=len(names))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
