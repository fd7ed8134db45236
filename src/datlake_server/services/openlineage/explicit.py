"""Lineage that producers state themselves: where a `lineage` facet is, only what it says feeds what.

Of a job: targets that are datasets or jobs, each with its sources. Of a dataset: its own sources. Beside it the run's
`jobDependencies`, which tie jobs alone. Follows from the facets as they stand, so it is made anew when one changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from datlake_sdk.lineage.events import Dataset
from datlake_sdk.lineage.ids import output_id, version_id
from datlake_sdk.lineage.names import named_dataset, named_job
from datlake_server.services import lineage
from datlake_server.services.lineage import Telling
from datlake_server.services.openlineage.facets import Owner
from datlake_server.services.pairs import pair_anew
from datlake_server.services.places import Loose, Place, Told, pointed_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datlake_sdk.lineage.events import Facet
    from datlake_server.services.openlineage.batch import Batch, RunState
    from datlake_server.services.records import RunRow

LINEAGE: Final = "lineage"
JOB_LINEAGE: Final = "job.lineage"  # a job's facet, as one run told it
DEPENDENCIES: Final = "jobDependencies"
# The mark on a run that some facet of it states lineage; see `runs.origin`.
STATES_LINEAGE: Final = 4

JobName = tuple[str, str]
DatasetName = tuple[str, str]


class Entry(Struct, frozen=True):
    """A target with the datasets and jobs that feed it, and the body from which its columns are read."""

    target: DatasetName | None  # null where the target is a job
    job: JobName
    sources: list[DatasetName]
    source_jobs: list[JobName]
    body: dict[str, object]


def entries_of_job(facet: Mapping[str, object] | None, own: JobName) -> list[Entry]:
    """What a job's facet says; `own` is the job that it leaves unnamed."""
    return [_entry(one, own) for one in _mappings((facet or {}).get("entries"))]


def entry_of_dataset(facet: Mapping[str, object] | None, target: DatasetName, own: JobName) -> Entry | None:
    """What a dataset's facet says of it."""
    if facet is None:
        return None
    return _entry({**facet, "type": "DATASET", "namespace": target[0], "name": target[1]}, own)


def entries_of_event(job_facet: Facet | None, outputs: Iterable[Dataset], own: JobName) -> list[Entry]:
    """What the facets of the event's job and of its outputs say."""
    entries = [] if job_facet is None else entries_of_job(_said(job_facet), own)
    for one in outputs:
        if facet := one.facets.get(LINEAGE):
            entry = entry_of_dataset(_said(facet), (one.namespace, one.name), own)
            entries += [entry] if entry else []
    return entries


def told_datasets(entries: Iterable[Entry], own: JobName) -> tuple[list[Dataset], list[Dataset]]:
    """The inputs and outputs that facets name, whether or not the event lists them as well."""
    read = {source: None for entry in entries if entry.job == own for source in entry.sources}
    written = {entry.target: None for entry in entries if entry.target}
    return [Dataset(*name) for name in read], [Dataset(*name) for name in written]


def restate(batch: Batch, state: RunState) -> None:
    """The run's outputs are fed by what its facets state, where they state anything; else by all of its inputs."""
    run, tx = state.row, batch.tx
    stated = _stated(batch, state)
    tables = sorted({table_id for role, table_id, _ in state.told if role == "output"})
    tx.do("lineage.lift_loose", run_id=run.run_id)
    for table_id in tables:
        for snapshot_id in snapshots_of(batch, state, table_id):
            tx.do("lineage.forget_stated", run_id=run.run_id, output=snapshot_id)
    lineage.lay(tx, run.run_id)
    for table_id in tables:
        sources = stated.get(table_id)
        for snapshot_id in snapshots_of(batch, state, table_id):
            tx.do(
                "openlineage.state_output",
                run_id=run.run_id,
                table_id=table_id,
                snapshot_id=snapshot_id,
                stated=int(sources is not None),
            )
            _state(batch, state, snapshot_id, sources or ())
    pair_anew(tx, run)


def relink(batch: Batch, run: RunRow) -> None:
    """The jobs that the run's facets tie to its own, or to each other, are tied, as of when that was told."""
    own = (run.namespace, run.job_name)
    batch.tx.do("openlineage.unlink_jobs", run_id=run.run_id)
    owner = Owner("run", run.run_id)
    batch.facets.watch(owner)
    _link(batch, run, JOB_LINEAGE, _links(entries_of_job(batch.facets.said(owner, JOB_LINEAGE), own)))
    _link(batch, run, DEPENDENCIES, _dependencies(batch.facets.said(owner, DEPENDENCIES), own))


def name_jobs(batch: Batch, entries: Iterable[Entry], dependencies: Facet | None, own: JobName) -> None:
    """The jobs that an event's facets name are there, also where a later facet says something else."""
    named = {job for entry in entries for job in (entry.job, *entry.source_jobs)}
    named |= {job for ends in _dependencies(_said(dependencies), own) for job in ends}
    for job in sorted(named - {own}):
        batch.job_id(*job)


def declare(batch: Batch, entries: Iterable[Entry], own: JobName, at: int) -> None:
    """What entries say of other jobs than the run's own is declared of those."""
    for entry in entries:
        if entry.target is not None:
            for job in entry.source_jobs:
                if job != own:
                    declare_edge(batch, batch.job_id(*job), 0, batch.table_named(*entry.target), at)
        elif entry.job != own:
            for source in entry.sources:
                declare_edge(batch, batch.job_id(*entry.job), batch.table_named(*source), 0, at)


def declare_edge(batch: Batch, job_id: int, source: int, target: int, at: int) -> None:
    """The job is declared to take the step, whether or not a run of it has."""
    batch.tx.do("openlineage.declare_edge", job_id=job_id, source=source, target=target, at=at)


def snapshots_of(batch: Batch, state: RunState, table_id: int) -> list[str]:
    """The snapshots that the run made of the table."""
    namespace, name = batch.name_of(table_id)
    versions = state.versions("output", table_id)
    if versions:
        return [version_id(namespace, name, version) for version in versions]
    return [output_id(state.row.run_id, namespace, name)]


def stated_entries(batch: Batch, state: RunState) -> dict[int, list[Entry]]:
    """By table: what facets state of it as an output of the run. Of a table that is not there they state nothing."""
    run = state.row
    own = (run.namespace, run.job_name)
    found: dict[int, list[Entry]] = {}
    owner = Owner("run", run.run_id)
    batch.facets.watch(owner)
    said = batch.facets.said(owner, JOB_LINEAGE)
    if said is not None:
        found = {table_id: [] for role, table_id, _ in state.told if role == "output"}
        for entry in entries_of_job(said, own):
            if entry.target is not None:
                found.setdefault(batch.table_named(*entry.target), []).append(entry)
    for table_id in {table_id for role, table_id, _ in state.told if role == "output"}:
        output = Owner("output", run.run_id, table_id)
        batch.facets.watch(output)
        own_entry = entry_of_dataset(batch.facets.said(output, LINEAGE), batch.name_of(table_id), own)
        if own_entry is not None:
            found.setdefault(table_id, []).append(own_entry)
    return found


def _stated(batch: Batch, state: RunState) -> dict[int, list[int]]:
    return {
        table_id: sorted({batch.table_named(*source) for entry in entries for source in entry.sources})
        for table_id, entries in stated_entries(batch, state).items()
    }


def _state(batch: Batch, state: RunState, snapshot_id: str, sources: Iterable[int]) -> None:
    run = state.row
    for source in sources:
        for (role, table_id, version), span in sorted(state.told.items()):
            if role != "input" or table_id != source or (not version and state.versions("input", source)):
                continue
            if version:
                told = Told(place=Place(source, version_id(*batch.name_of(source), version)))
            else:
                loose = Loose(
                    run_id=run.run_id, role="input", uri="", named=source, namespace="", at=span.first_at, of_others=1
                )
                told = Told(place=pointed_at(batch.tx, loose), pinned=False, named=source, of_others=True)
            lineage.put_told(batch.tx, run, Telling("input", span.first_at, output=snapshot_id), [told])


def _entry(one: Mapping[str, object], own: JobName) -> Entry:
    is_job = one.get("type") == "JOB"
    named = named_job(one) if is_job else named_dataset(one)
    sources: list[DatasetName] = []
    jobs: list[JobName] = []
    for source in _all_sources(one):
        if source.get("type") == "JOB":
            jobs.append(named_job(source) or own)
        elif (name := named_dataset(source)) is not None:
            sources.append(name)
    job = (named or own) if is_job else own
    target = None if is_job else named
    return Entry(target, job, list(dict.fromkeys(sources)), list(dict.fromkeys(jobs)), dict(one))


def _all_sources(one: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    yield from _mappings(one.get("inputs"))
    fields = one.get("fields")
    if isinstance(fields, dict):
        for entry in cast("dict[str, object]", fields).values():
            if isinstance(entry, dict):
                yield from _mappings(cast("dict[str, object]", entry).get("inputs"))


def _link(batch: Batch, run: RunRow, facet: str, links: Iterable[tuple[JobName, JobName]]) -> None:
    for source, target in sorted(set(links)):
        if source != target:
            batch.tx.do(
                "openlineage.link_jobs",
                run_id=run.run_id,
                source=batch.job_id(*source),
                target=batch.job_id(*target),
                at=batch.facets.told_at(Owner("run", run.run_id), facet),
            )


def _links(entries: Iterable[Entry]) -> Iterator[tuple[JobName, JobName]]:
    for entry in entries:
        for job in entry.source_jobs if entry.target is None else ():
            yield job, entry.job


def _dependencies(facet: Mapping[str, object] | None, own: JobName) -> Iterator[tuple[JobName, JobName]]:
    for one in _mappings((facet or {}).get("upstream")):
        if name := named_job(_mapping(one.get("job"))):
            yield name, own
    for one in _mappings((facet or {}).get("downstream")):
        if name := named_job(_mapping(one.get("job"))):
            yield own, name


def _said(facet: Facet | None) -> dict[str, object] | None:
    return None if facet is None or facet.is_deleted else facet.read()


def _mappings(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        return []
    return [cast("dict[str, object]", one) for one in cast("list[object]", value) if isinstance(one, dict)]


def _mapping(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
