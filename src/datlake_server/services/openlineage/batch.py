"""What one transaction of events has looked up and not to look up again: jobs, tables, runs and their facets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from datlake_sdk.lineage.names import ROOT
from datlake_server.services import columns
from datlake_server.services.openlineage.facets import Facets
from datlake_server.services.places import Role, table_row
from datlake_server.services.records import RunRow
from datlake_server.services.stubs import ensured_job

if TYPE_CHECKING:
    from datlake_sdk.lineage.events import Dataset, Facet
    from datlake_sdk.wire.models import Transformation
    from datlake_server.store.base import Tx

Key = tuple[Role, int, str]


class OpenRun(RunRow, frozen=True, kw_only=True):
    """A run, with since when its job is claimed; 0 where an SDK told it."""

    claimed_at: int = 0


class Span(Struct, frozen=True):
    """From the first to the last time that something was told."""

    first_at: int
    last_at: int


class _ToldRow(Struct, frozen=True):
    role: Role
    table_id: int
    version: str
    first_at: int
    last_at: int


class _Name(Struct, frozen=True):
    namespace: str
    name: str


class RunState:
    """A run while events of it are merged: its row, and what it was told to read and write."""

    def __init__(self, row: OpenRun, told: dict[Key, Span], *, is_new: bool) -> None:
        self.row = row
        self.told = told
        self.is_new = is_new
        self.is_moved = False  # the event at hand showed that it is of another job
        self.states_lineage = bool(row.origin & 4)

    @property
    def has_failed(self) -> bool:
        """Whether the run shows that it failed or was aborted."""
        return self.row.state in {"failed", "aborted"}

    def versions(self, role: Role, table_id: int) -> list[str]:
        """The store's versions that were told of the table in that role."""
        return [version for where, table, version in self.told if (where, table) == (role, table_id) and version]


class Batch:
    """The events of one transaction, merged one after the other."""

    def __init__(self, tx: Tx) -> None:
        """Nothing is looked up yet."""
        self.tx = tx
        self.facets = Facets(tx)
        self.runs: dict[str, RunState] = {}
        self._jobs: dict[tuple[str, str], int] = {}
        self._tables: dict[tuple[str, str], int] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._columns: dict[tuple[str, int], dict[columns.Columns, list[Transformation]]] = {}

    def job_id(self, namespace: str, name: str) -> int:
        """The job of that name, made if need be."""
        key = (namespace, name)
        if key not in self._jobs:
            self._jobs[key] = ensured_job(self.tx, namespace, name).job_id
        return self._jobs[key]

    def table_id(self, dataset: Dataset) -> int:
        """The table that is the dataset, made if need be."""
        return self.table_named(dataset.namespace, dataset.name)

    def table_named(self, namespace: str, name: str) -> int:
        """The table of that name, made if need be."""
        key = (namespace, name)
        if key not in self._tables:
            row = table_row(self.tx, namespace, name)
            if not row.by_events:  # known from now on, whatever becomes of those that pointed to it
                self.tx.do("tables.by_events", table_id=row.table_id)
            self._tables[key] = row.table_id
            self._names[row.table_id] = key
        return self._tables[key]

    def name_of(self, table_id: int) -> tuple[str, str]:
        """The namespace and name of a table."""
        if table_id not in self._names:
            found = self.tx.one(_Name, "openlineage.table_name", table_id=table_id)
            self._names[table_id] = ("", "") if found is None else (found.namespace, found.name)
        return self._names[table_id]

    def table_of(self, namespace: str | None, name: str | None) -> int | None:
        """The table of that name, made if need be; null where a part of the name is missing."""
        return self.table_named(namespace, name or ROOT) if namespace and name is not None else None

    def columns_in(self, facet: Facet, target: int) -> dict[columns.Columns, list[Transformation]]:
        """What a column lineage facet says of the table `target`; the same one comes with every event of a run."""
        key = (facet.digest, target)
        if key not in self._columns:
            self._columns[key] = columns.read_text(facet.value, target, self.table_of)
        return self._columns[key]

    def symlinks_of(self, table_id: int) -> list[tuple[str, str]]:
        """The other names that events told of the table."""
        return [(row.namespace, row.name) for row in self.tx.all(_Name, "openlineage.symlinks", table_id=table_id)]

    def told_of(self, run_id: str) -> dict[Key, Span]:
        """What the run was told to read and write before this transaction."""
        rows = self.tx.all(_ToldRow, "openlineage.told", run_id=run_id)
        return {(row.role, row.table_id, row.version): Span(row.first_at, row.last_at) for row in rows}
