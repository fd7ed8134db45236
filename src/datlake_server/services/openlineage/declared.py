"""What is declared of a job or a dataset without a run: steps that no run has taken yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from datlake_server.services import columns
from datlake_server.services.columns import NO_JOB
from datlake_server.services.openlineage import effects, explicit
from datlake_server.services.openlineage.facets import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datlake_sdk.lineage.events import Dataset, Facet, ParsedEvent
    from datlake_sdk.wire.models import Transformation
    from datlake_server.services.openlineage.batch import Batch
    from datlake_server.services.openlineage.explicit import Entry


def of_job(batch: Batch, event: ParsedEvent, job_id: int, at: int) -> None:
    """The job is declared to read and write what the event says."""
    own = cast("tuple[str, str]", event.job)
    batch.facets.put(Owner("job", subject=job_id), event.job_facets, at)
    if facet := event.job_facets.get("tags"):
        effects.tag(batch, effects.Tagged("job", subject=job_id), facet, at)
    for dataset in (*event.inputs, *event.outputs):
        _tell(batch, dataset, batch.table_id(dataset), at)
    declares = _Declares(batch, job_id, own, at)
    inputs = [batch.table_id(one) for one in event.inputs]
    for source in inputs:
        explicit.declare_edge(batch, job_id, source, 0, at)
    stated = _said(event.job_facets.get(explicit.LINEAGE))
    if stated is not None:
        declares.entries(explicit.entries_of_job(stated, own))
    for dataset in event.outputs:
        declares.output(dataset, inputs if stated is None else None)


def of_dataset(batch: Batch, dataset: Dataset, table_id: int, at: int) -> None:
    """The dataset is declared to be what the event says."""
    _tell(batch, dataset, table_id, at)
    own = ("", "")
    fed = _fed(batch, dataset, table_id)
    entry = explicit.entry_of_dataset(
        _said(dataset.facets.get(explicit.LINEAGE)), (dataset.namespace, dataset.name), own
    )
    if entry is not None:
        _Declares(batch, NO_JOB, own, at).entries([entry])
    else:
        columns.declare(batch.tx, NO_JOB, fed, at)


class _Declares:
    """What a job, or a dataset of itself (`NO_JOB`), declares in one event."""

    def __init__(self, batch: Batch, job_id: int, own: tuple[str, str], at: int) -> None:
        self._batch = batch
        self._job_id = job_id
        self._own = own
        self._at = at

    def output(self, dataset: Dataset, inputs: Iterable[int] | None) -> None:
        """The job writes the dataset, from what its facet says, else from `inputs`; null where the job's facet says."""
        target = self._batch.table_id(dataset)
        self._edge(0, target)
        name, fed = (dataset.namespace, dataset.name), _fed(self._batch, dataset, target)
        entry = explicit.entry_of_dataset(_said(dataset.facets.get(explicit.LINEAGE)), name, self._own)
        if entry is not None:
            self.entries([entry])
        if entry is not None or inputs is None:
            return
        for source in inputs:
            self._edge(source, target)
        columns.declare(self._batch.tx, self._job_id, fed, self._at)

    def entries(self, entries: list[Entry]) -> None:
        """Targets are fed by what the entries say."""
        explicit.name_jobs(self._batch, entries, None, self._own)
        explicit.declare(self._batch, entries, self._own, self._at)
        for entry in entries:
            if entry.target is not None:
                self._target(entry, self._batch.table_named(*entry.target))
            else:
                self._job(entry)

    def _target(self, entry: Entry, target: int) -> None:
        self._edge(0, target)
        for source in entry.sources:
            self._edge(self._batch.table_named(*source), target)
        told = columns.read(entry.body, target, self._batch.table_of)
        columns.declare(self._batch.tx, self._job_id, told, self._at)

    def _job(self, entry: Entry) -> None:
        for source in entry.sources if entry.job == self._own else ():
            self._edge(self._batch.table_named(*source), 0)
        for job in entry.source_jobs:
            if job != entry.job:
                ends = {"source": self._batch.job_id(*job), "target": self._batch.job_id(*entry.job)}
                self._batch.tx.do("openlineage.link_jobs", run_id="", at=self._at, **ends)

    def _edge(self, source: int, target: int) -> None:
        if self._job_id != NO_JOB or (source and target):  # without a job there is nothing to stand at the other end
            explicit.declare_edge(self._batch, self._job_id, source, target, self._at)


def _tell(batch: Batch, dataset: Dataset, table_id: int, at: int) -> None:
    batch.facets.put(Owner("dataset", subject=table_id), dataset.facets, at)
    effects.of_dataset(batch, table_id, dataset, "", at)


def _fed(batch: Batch, dataset: Dataset, table_id: int) -> dict[columns.Columns, list[Transformation]]:
    """What the dataset's column lineage says; the datasets that it names are there, whatever outweighs it."""
    return columns.read(_said(dataset.facets.get("columnLineage")) or {}, table_id, batch.table_of)


def _said(facet: Facet | None) -> dict[str, object] | None:
    return None if facet is None or facet.is_deleted else facet.read()
