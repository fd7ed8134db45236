"""What a run reads and writes, as its events tell it: inputs, and outputs that are snapshots of their own.

Of the same thing told several times its first and last moment count. A dataset whose store tells a version is that
snapshot, whoever names it; else an output is the one snapshot that the run made of it, and an input is the newest that
others had made when the run was first told to read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.lineage.ids import output_id, version_id
from datlake_server.services import lineage
from datlake_server.services.lineage import Telling
from datlake_server.services.openlineage import snapshots
from datlake_server.services.openlineage.batch import Batch, RunState, Span
from datlake_server.services.places import Loose, Place, Role, Told, pointed_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk.lineage.events import Dataset

VERSION = "version"


def tell(batch: Batch, state: RunState, inputs: Sequence[Dataset], outputs: Sequence[Dataset], at: int) -> bool:
    """The run reads and writes the datasets as of `at`; true where that changed what it is paired with."""
    if state.is_new:
        # What it writes first: a version that it is shown to have made is none that it reads of others.
        written = _fresh(batch, state, "output", outputs, at)
        read = _fresh(batch, state, "input", inputs, at)
        lineage.record_first(batch.tx, state.row, at, read, written)
        return bool(read or written)
    read = _fresh(batch, state, "input", inputs, at)
    if read:
        lineage.record_told(batch.tx, state.row, Telling("input", at), read)
    written = _fresh(batch, state, "output", outputs, at)
    if written:
        lineage.record_told(batch.tx, state.row, Telling("output", at), written)
    return bool(read or written)


def _fresh(batch: Batch, state: RunState, role: Role, datasets: Sequence[Dataset], at: int) -> list[Told]:
    """What the run is newly told to read or write, or to have so from earlier on."""
    fresh: list[Told] = []
    # Those with a version first: a dataset that is listed twice is what says more.
    for version, dataset in sorted(((_version_of(one), one) for one in datasets), key=lambda told: not told[0]):
        table_id = batch.table_id(dataset)
        span = state.told.get((role, table_id, version))
        now = _joined(role, span, at)
        if now == span:
            continue
        _store(batch, state, (role, table_id, version), now)
        if not version and state.versions(role, table_id):
            continue  # the versions that are told say it better
        telling = _Telling(snapshots.Told(batch, dataset, table_id), state, version)
        fresh += telling.read(span, now) if role == "input" else telling.written(span, now)
    return fresh


class _Telling:
    """One dataset of one event, told of a run."""

    def __init__(self, told: snapshots.Told, state: RunState, version: str) -> None:
        self._told = told
        self._tx = told.batch.tx
        self._dataset = told.dataset
        self._table_id = told.table_id
        self._state = state
        self._version = version

    def read(self, before: Span | None, now: Span) -> list[Told]:
        """What is new to read, to be recorded as of this telling."""
        if before is not None and before.first_at == now.first_at:
            return []
        if self._version:
            if ("input", self._table_id, "") in self._state.told:
                lineage.forget_of_others(self._tx, self._state.row, self._table_id)
            snapshot_id = snapshots.known_version(self._told, self._version)
            return [Told(place=Place(self._table_id, snapshot_id))]
        if before is not None:
            lineage.forget_of_others(self._tx, self._state.row, self._table_id)
        loose = Loose(
            run_id=self._state.row.run_id,
            role="input",
            uri="",
            named=self._table_id,
            namespace="",
            at=now.first_at,
            of_others=1,
        )
        return [Told(place=pointed_at(self._tx, loose), pinned=False, named=self._table_id, of_others=True)]

    def written(self, before: Span | None, now: Span) -> list[Told]:
        """What is new to be an output; the snapshot is as of the last telling."""
        dataset, row = self._dataset, self._state.row
        if self._version:
            snapshot_id = version_id(dataset.namespace, dataset.name, self._version)
            if before is None:
                implied = output_id(row.run_id, dataset.namespace, dataset.name)
                displaced = snapshots.displace(self._tx, row, implied)
                if displaced is not None and self._state.states_lineage:
                    lineage.unstate(self._tx, row, displaced)
                snapshots.write_version(self._told, row, self._version, displaced)
            else:
                snapshots.settle_version(self._told, snapshot_id, self._version)
        else:
            snapshot_id = output_id(row.run_id, dataset.namespace, dataset.name)
            if before is None:
                snapshots.write(self._told, row, snapshot_id, now.last_at, is_new=self._state.is_new)
            elif before.last_at < now.last_at:
                snapshots.advance(self._told, row, snapshot_id, before.last_at, now.last_at)
        if before is not None and before.first_at == now.first_at:
            return []
        return [Told(place=Place(self._table_id, snapshot_id))]


def _joined(role: Role, span: Span | None, at: int) -> Span:
    """The first and last telling; of what is read the first alone counts."""
    first = at if span is None else min(span.first_at, at)
    return Span(first, first if role == "input" else at if span is None else max(span.last_at, at))


def _store(batch: Batch, state: RunState, key: tuple[Role, int, str], span: Span) -> None:
    role, table_id, version = key
    state.told[key] = span
    batch.tx.do(
        "openlineage.tell",
        run_id=state.row.run_id,
        role=role,
        table_id=table_id,
        version=version,
        first_at=span.first_at,
        last_at=span.last_at,
    )


def _version_of(dataset: Dataset) -> str:
    facet = dataset.facets.get(VERSION)
    if facet is None or facet.is_deleted:
        return ""
    version = facet.read().get("datasetVersion")
    return version if isinstance(version, str) else ""
