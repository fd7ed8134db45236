"""What is told of a job, run or table beside its record: labels, facets, other names, its last change of state.

Asked for one thing at a time, never for a list, and never on the road of a job that runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.wire.models import Tag
from datlake_server.services import aliases

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Job, Run, Table
    from datlake_server.services.records import JobRow, RunRow
    from datlake_server.store.base import Tx

Labelled = Literal["run", "job", "table"]

SDK_ALONE: Final = 1
_FACETS_OF: Final = {"run": "run", "job": "job", "table": "dataset"}


class _FacetRow(Struct, frozen=True):
    name: str
    value: str


class _StateRow(Struct, frozen=True):
    state: str


def whole_table(tx: Tx, table: Table, table_id: int) -> Table:
    """The table with all that is told of it."""
    facets = facets_of(tx, "table", subject=table_id)
    state = tx.one(_StateRow, "tables.lifecycle", table_id=table_id)
    return replace(
        table,
        owner=_owner(facets) if table.owner is None else table.owner,
        description=_description(facets) if table.description is None else table.description,
        aliases=aliases.names_of(tx, table_id),
        tags=tags_of(tx, "table", subject=table_id),
        lifecycle=None if state is None else state.state,
        facets=facets,
    )


def whole_job(tx: Tx, job: Job, row: JobRow) -> Job:
    """The job with all that is told of it."""
    facets = facets_of(tx, "job", subject=row.job_id)
    return replace(
        job,
        owner=_owner(facets) if job.owner is None else job.owner,
        description=_description(facets) if job.description is None else job.description,
        tags=tags_of(tx, "job", subject=row.job_id),
        facets=facets,
    )


def whole_run(tx: Tx, run: Run, row: RunRow) -> Run:
    """The run with all that is told of it; of one that an SDK alone told of there is nothing more to ask."""
    if row.origin == SDK_ALONE:
        return run
    return replace(run, tags=tags_of(tx, "run", run_id=row.run_id), facets=facets_of(tx, "run", run_id=row.run_id))


def facets_of(tx: Tx, kind: Labelled, *, run_id: str = "", subject: int = 0) -> dict[str, object]:
    """What was told of it by facet, without what was taken back."""
    rows = tx.all(_FacetRow, "facets.of", kind=_FACETS_OF[kind], run_id=run_id, subject=subject)
    values = {row.name: cast("object", msgspec.json.decode(row.value)) for row in rows}
    return {name: value for name, value in values.items() if (_dict(value) or {}).get("_deleted") is not True}


def tags_of(tx: Tx, kind: Labelled, *, run_id: str = "", subject: int = 0) -> list[Tag]:
    """Its labels, those of its columns last."""
    return tx.all(Tag, "tags.of", kind=kind, run_id=run_id, subject=subject)


def _description(facets: dict[str, object]) -> str | None:
    return _text((_dict(facets.get("documentation")) or {}).get("description"))


def _owner(facets: dict[str, object]) -> str | None:
    """The names of all owners that are told, in the order they were told in."""
    told = (_dict(facets.get("ownership")) or {}).get("owners")
    owners = cast("list[object]", told) if isinstance(told, list) else []
    names = [name for owner in owners if (name := _text((_dict(owner) or {}).get("name")))]
    return ", ".join(dict.fromkeys(names)) or None


def _dict(value: object) -> dict[str, object] | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
