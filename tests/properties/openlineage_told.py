"""What OpenLineage events say, taken apart: facets, data that runs read and write, and lineage that is stated.

Each function reads one event, or one facet, by itself; what becomes of many of them is `openlineage_fold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple, cast

import msgspec

from datlake_sdk.lineage.ids import run_id_of
from datlake_sdk.wire.ids import is_uuid
from tests.properties.openlineage_streams import Json

Name = tuple[str, str]
NOBODY: Name = ("", "")


class Facet(NamedTuple):
    """A facet as one event tells it; of two with one name the greater stays."""

    at: datetime
    digest: str
    value: Json

    @property
    def is_gone(self) -> bool:
        """Whether it takes the facet back."""
        return self.value.get("_deleted") is True

    @property
    def said(self) -> Json | None:
        """What it says, if it is there."""
        return None if self.is_gone else self.value


class Dataset(NamedTuple):
    """A dataset in an event."""

    name: Name
    facets: dict[str, Facet]
    own: dict[str, Facet]

    @property
    def version(self) -> str:
        """What its store calls this state of it, if that is told."""
        facet = self.facets.get("version")
        return "" if facet is None or facet.is_gone else str(facet.value["datasetVersion"])


class Entry(NamedTuple):
    """A target of stated lineage: a dataset, or a job (`target` is null); and its sources."""

    target: Name | None
    job: Name
    sources: list[Name]
    source_jobs: list[Name]
    body: Json


class Event(NamedTuple):
    """An event; `run_id` is empty where it is of no run, `job` where it is of a dataset."""

    body: str
    at: datetime
    kind: str
    run_id: str
    external_id: str | None
    job: Name
    run_facets: dict[str, Facet]
    job_facets: dict[str, Facet]
    inputs: list[Dataset]
    outputs: list[Dataset]
    dataset: Dataset | None

    @property
    def digest(self) -> str:
        """What makes it the same event, in whatever words."""
        return sha256(self.body.encode()).hexdigest()

    @property
    def data(self) -> list[Dataset]:
        """Every dataset in it."""
        return [*self.inputs, *self.outputs, *([self.dataset] if self.dataset else [])]

    @property
    def stated(self) -> list[Entry]:
        """The lineage that facets of its job and of its outputs state."""
        facet = self.job_facets.get("lineage")
        entries = entries_of_job(facet.said if facet else None, self.job)
        for one in self.outputs:
            facet = one.facets.get("lineage")
            entries += entries_of_dataset(facet.said if facet else None, one.name, self.job)
        return entries

    def told(self) -> Iterator[tuple[str, Name, str]]:
        """What the run reads and writes: (role, dataset, version)."""
        yield from (("input", one.name, one.version) for one in self.inputs)
        yield from (("output", one.name, one.version) for one in self.outputs)
        read = {one.name for one in self.inputs}
        for one in self.outputs:
            change = one.facets.get("lifecycleStateChange")
            before = (change.said or {}).get("previousIdentifier") if change else None
            if change and before and change.value["lifecycleStateChange"] == "RENAME":
                read.add(name_of(cast("Json", before)))
                yield "input", name_of(cast("Json", before)), ""
        written = {one.name for one in self.outputs}
        for entry in self.stated:
            if entry.target and entry.target not in written:
                yield "output", entry.target, ""
            for source in entry.sources if entry.job == self.job else ():
                if source not in read:
                    yield "input", source, ""


def parsed(event: Json) -> Event:
    """The event, taken apart."""
    at = _moment(str(event["eventTime"]))
    run, job = cast("Json", event.get("run") or {}), cast("Json", event.get("job") or {})
    dataset = cast("Json | None", event.get("dataset"))
    run_text = str(run.get("runId", ""))
    return Event(
        body=msgspec.json.encode(event, order="sorted").decode(),
        at=at,
        kind=str(event.get("eventType", "")) if run else "JOB" if job else "DATASET",
        run_id=run_id_of(run_text) if run else "",
        external_id=run_text if run and not is_uuid(run_text) else None,
        job=name_of(job) if job else NOBODY,
        run_facets=_facets(run, at),
        job_facets=_facets(job, at),
        inputs=[_dataset(one, at) for one in objects(event.get("inputs"))],
        outputs=[_dataset(one, at) for one in objects(event.get("outputs"))],
        dataset=_dataset(dataset, at) if dataset else None,
    )


def entries_of_job(facet: Json | None, own: Name) -> list[Entry]:
    """The targets that a job's facet names; `own` is the job that it does not name."""
    return [_entry(one, own) for one in objects((facet or {}).get("entries"))]


def entries_of_dataset(facet: Json | None, target: Name, own: Name) -> list[Entry]:
    """The one target of a dataset's facet: the dataset."""
    if facet is None:
        return []
    return [_entry({**facet, "type": "DATASET", "namespace": target[0], "name": target[1]}, own)]


def columns_of(facet: Mapping[str, object]) -> dict[tuple[Name, str, str], list[Json]]:
    """What feeds the columns: (source, its column or '', the column or '' for every one), and how."""
    found: dict[tuple[Name, str, str], list[Json]] = {}
    for field, source in _column_sources(facet):
        if source.get("type") != "JOB":
            steps = found.setdefault((name_of(source), str(source.get("field", "")), field), [])
            steps += [step for step in objects(source.get("transformations")) if step not in steps]
    return found


def links_of(facet: Json | None, own: Name) -> Iterable[tuple[Name, Name]]:
    """The jobs that dependencies tie: (before, after)."""
    for side in ("upstream", "downstream"):
        for one in objects((facet or {}).get(side)):
            other = name_of(cast("Json", one["job"]))
            yield (other, own) if side == "upstream" else (own, other)


def name_of(told: Mapping[str, object]) -> Name:
    """The identifier of a job or dataset."""
    return str(told["namespace"]), str(told["name"])


def objects(value: object) -> list[Json]:
    """The objects of a list that may be absent."""
    return cast("list[Json]", value or [])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _facets(holder: Json, at: datetime, key: str = "facets") -> dict[str, Facet]:
    told = cast("dict[str, Json]", holder.get(key) or {})
    return {
        name: Facet(at, sha256(msgspec.json.encode(value, order="sorted")).hexdigest(), value)
        for name, value in told.items()
    }


def _dataset(told: Json, at: datetime) -> Dataset:
    own = _facets(told, at, "inputFacets") | _facets(told, at, "outputFacets")
    return Dataset(name_of(told), _facets(told, at), own)


def _entry(one: Json, own: Name) -> Entry:
    is_job = one["type"] == "JOB"
    every = [*objects(one.get("inputs"))]
    for field in cast("dict[str, Json]", one.get("fields") or {}).values():
        every += objects(field["inputs"])
    return Entry(
        target=None if is_job else name_of(one),
        job=name_of(one) if is_job and "name" in one else own,
        sources=[name_of(source) for source in every if source["type"] == "DATASET"],
        source_jobs=[name_of(source) if "name" in source else own for source in every if source["type"] == "JOB"],
        body=one,
    )


def _column_sources(facet: Mapping[str, object]) -> Iterator[tuple[str, Json]]:
    for field, told in cast("dict[str, Json]", facet.get("fields") or {}).items():
        for source in objects(told.get("inputFields") or told.get("inputs")):
            yield field, source
    yield from (("", source) for source in objects(facet.get("dataset")))
    yield from (("", source) for source in objects(facet.get("inputs")) if source.get("field"))
