"""One event of a run, merged into what is known of the run, its job, its datasets and what feeds what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from datlake_sdk.lineage.events import Dataset
from datlake_server.services import columns
from datlake_server.services.openlineage import effects, explicit, runs, snapshots
from datlake_server.services.openlineage.data import tell
from datlake_server.services.openlineage.facets import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datlake_sdk.lineage.events import ParsedEvent
    from datlake_sdk.wire.models import Transformation
    from datlake_server.services.openlineage.batch import Batch, Key, RunState, Span

# Facets of a dataset that are of this output of this run as well.
_OF_OUTPUT: Final = frozenset({"schema", "columnLineage", "version", "lineage", "storage"})
_FEEDING: Final = frozenset({explicit.LINEAGE, "columnLineage"})


class RunMerge:
    """The merge of one event of a run."""

    def __init__(self, batch: Batch, event: ParsedEvent, state: RunState, at: int) -> None:
        """`at` is the event's time, at most now; `state` what is known of its run by now."""
        self._batch = batch
        self._event = event
        self._state = state
        self._at = at
        self._job = cast("tuple[str, str]", event.job)
        self._states_anew = False
        self._with_columns: set[int] = set()

    def merge(self, job_id: int) -> None:
        """The run is as if the event had always been known."""
        batch, event, state, at = self._batch, self._event, self._state, self._at
        if runs.end(batch, state, event, at):
            snapshots.settle_outcome(batch.tx, state.row)
        self._tell_job(job_id)
        runs.follow_facets(batch, state, event, at)
        if facet := event.run_facets.get("tags"):
            effects.tag(batch, effects.Tagged("run", run_id=state.row.run_id), facet, at)
        inputs, outputs = self._all_data()
        before = dict(state.told)
        changed = [self._tell_output(dataset) for dataset in outputs]
        is_other = tell(batch, state, inputs, outputs, at)
        for dataset, names in zip(outputs, changed, strict=True):
            self._describe(batch.table_id(dataset), names, before)
        if self._states_anew or (is_other and state.states_lineage):
            explicit.restate(batch, state)
            for table_id in {table_id for role, table_id, _ in state.told if role == "output"}:
                self._record_columns(table_id)
        if self._states_anew or state.is_moved or explicit.DEPENDENCIES in event.run_facets:
            explicit.relink(batch, state.row)

    def _tell_job(self, job_id: int) -> None:
        batch, facets = self._batch, self._event.job_facets
        batch.facets.put(Owner("job", subject=job_id), facets, self._at)
        if facet := facets.get("tags"):
            effects.tag(batch, effects.Tagged("job", subject=job_id), facet, self._at)
        if facet := facets.get(explicit.LINEAGE):
            self._mark()
            owner = Owner("run", self._state.row.run_id)
            batch.facets.watch(owner, is_new=self._state.is_new)
            batch.facets.put(owner, {explicit.JOB_LINEAGE: facet}, self._at)
        entries = explicit.entries_of_event(facet, self._event.outputs, self._job)
        explicit.declare(batch, entries, self._job, self._at)
        explicit.name_jobs(batch, entries, self._event.run_facets.get(explicit.DEPENDENCIES), self._job)

    def _all_data(self) -> tuple[Sequence[Dataset], Sequence[Dataset]]:
        """The inputs and outputs of the event, with those that its facets name alone."""
        event = self._event
        for dataset in event.inputs:
            self._tell_dataset(dataset)
            owner = Owner("input", self._state.row.run_id, self._batch.table_id(dataset))
            self._batch.facets.put(owner, dataset.own_facets, self._at)
        renamed = [name for dataset in event.outputs if (name := self._tell_dataset(dataset))]
        inputs = [*event.inputs, *(Dataset(*name) for name in renamed)]
        entries = explicit.entries_of_event(event.job_facets.get(explicit.LINEAGE), event.outputs, self._job)
        if not entries:
            return inputs, event.outputs
        read, written = explicit.told_datasets(entries, self._job)
        return [*inputs, *_missing(read, inputs)], [*event.outputs, *_missing(written, event.outputs)]

    def _tell_dataset(self, dataset: Dataset) -> tuple[str, str] | None:
        """What is told of the dataset in general is known; answers what it was called before it was renamed."""
        batch, table_id = self._batch, self._batch.table_id(dataset)
        batch.facets.put(Owner("dataset", subject=table_id), dataset.facets, self._at)
        return effects.of_dataset(batch, table_id, dataset, self._state.row.run_id, self._at)

    def _tell_output(self, dataset: Dataset) -> set[str]:
        """What is told of the dataset as an output of the run is known; answers the names of what is new in it."""
        batch, state = self._batch, self._state
        owner = Owner("output", state.row.run_id, batch.table_id(dataset))
        told = {name: facet for name, facet in dataset.facets.items() if name in _OF_OUTPUT} | dataset.own_facets
        known = batch.facets.watch(owner, is_new=state.is_new)
        batch.facets.put(owner, told, self._at)
        if (fed := told.get("columnLineage")) and not fed.is_deleted:
            batch.columns_in(fed, owner.subject)  # what it names is there, also where a later one names other
        now = batch.facets.watch(owner)
        return {name for name in told if known.get(name) != now.get(name)}

    def _describe(self, table_id: int, changed: set[str], before: dict[Key, Span]) -> None:
        """The snapshots and columns of the output are as told."""
        batch, state = self._batch, self._state
        spans = {key: span for key, span in state.told.items() if key[:2] == ("output", table_id)}
        is_earlier = any(key in before and before[key].first_at != span.first_at for key, span in spans.items())
        is_known = any(key in before for key in spans)
        if is_known and (is_earlier or changed & snapshots.DESCRIBING):
            for snapshot_id in explicit.snapshots_of(batch, state, table_id):
                snapshots.describe(batch, state.row.run_id, table_id, snapshot_id)
        if explicit.LINEAGE in changed:
            self._mark()
        is_moved = is_known and _written_at(before, table_id) != _written_at(state.told, table_id)
        if changed & _FEEDING or is_moved:
            self._record_columns(table_id)

    def _record_columns(self, table_id: int) -> None:
        """The columns are fed as the facets say; a `lineage` facet says it better than `columnLineage`."""
        batch, state = self._batch, self._state
        owner = Owner("output", state.row.run_id, table_id)
        batch.facets.watch(owner)
        entries = explicit.stated_entries(batch, state).get(table_id) if state.states_lineage else None
        first_at = _written_at(state.told, table_id)
        found: dict[columns.Columns, list[Transformation]] = {}
        if entries is None:
            facet = batch.facets.facet(owner, "columnLineage")
            found = {} if facet is None else batch.columns_in(facet, table_id)
        for entry in entries or ():
            found |= columns.read(entry.body, table_id, batch.table_of)
        is_first = state.is_new and table_id not in self._with_columns
        self._with_columns.add(table_id)
        columns.record(batch.tx, state.row, table_id, found, columns.Telling(first_at, is_first=is_first))

    def _mark(self) -> None:
        self._states_anew = True
        if not self._state.states_lineage:
            self._state.states_lineage = True
            self._batch.tx.do("openlineage.mark_run", run_id=self._state.row.run_id, mark=explicit.STATES_LINEAGE)


def _written_at(told: Mapping[Key, Span], table_id: int) -> int:
    """When the run was first told to write the table: with a version, where one is told, as its snapshots are."""
    firsts = [
        (not version, span.first_at)
        for (role, table, version), span in told.items()
        if (role, table) == ("output", table_id)
    ]
    return min(firsts)[1]


def _missing(named: Sequence[Dataset], listed: Sequence[Dataset]) -> list[Dataset]:
    known = {(one.namespace, one.name) for one in listed}
    return [one for one in named if (one.namespace, one.name) not in known]
