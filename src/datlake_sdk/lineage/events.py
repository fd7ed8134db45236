"""Reads OpenLineage events of every version, leniently: what is not needed may be missing or odd, and is kept. Pure.

Facets stay JSON text in canonical form (keys sorted, no blanks): equal ones are equal, and unknown ones come back as
they were.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.lineage.ids import run_id_of
from datlake_sdk.lineage.names import dataset_known_as, known_as
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import RunText
from datlake_sdk.wire.times import micros

if TYPE_CHECKING:
    from collections.abc import Mapping

EventType: TypeAlias = Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER", "JOB", "DATASET"]
ENDINGS: Final[dict[str, Literal["completed", "aborted", "failed"]]] = {
    "COMPLETE": "completed",
    "ABORT": "aborted",
    "FAIL": "failed",
}

_TYPES: Final[dict[str, EventType]] = {
    "START": "START",
    "RUNNING": "RUNNING",
    "COMPLETE": "COMPLETE",
    "ABORT": "ABORT",
    "FAIL": "FAIL",
}
_FIRST_PARENT: Final = "parentRun"  # Airflow's first integrations called the parent facet so
_Told = Annotated[str, Meta(min_length=1)]
_RawFacets = dict[str, Raw] | None


class _Job(Struct, frozen=True):
    namespace: _Told
    name: _Told
    facets: _RawFacets = None


class _Run(Struct, frozen=True, rename={"run_id": "runId"}):
    run_id: RunText
    facets: _RawFacets = None


class _Dataset(Struct, frozen=True, rename={"input_facets": "inputFacets", "output_facets": "outputFacets"}):
    namespace: _Told
    name: str
    facets: _RawFacets = None
    input_facets: _RawFacets = None
    output_facets: _RawFacets = None


class _Event(Struct, frozen=True, rename={"event_time": "eventTime", "event_type": "eventType"}):
    event_time: str
    event_type: str | None = None
    run: _Run | None = None
    job: _Job | None = None
    dataset: _Dataset | None = None
    inputs: list[_Dataset] | None = None
    outputs: list[_Dataset] | None = None


class Facet(Struct, frozen=True, gc=False):
    """A facet: canonical JSON, and its sha256."""

    value: str
    digest: str

    @property
    def is_deleted(self) -> bool:
        """True where the producer takes the facet back."""
        return '"_deleted":true' in self.value and self.read().get("_deleted") is True

    def read(self) -> dict[str, object]:
        """What the facet says."""
        return msgspec.json.decode(self.value, type=dict[str, object])


class Dataset(Struct, frozen=True):
    """A dataset as an event tells of it: what holds of it in general, and as an input or output of the run."""

    namespace: str
    name: str
    facets: dict[str, Facet] = {}
    own_facets: dict[str, Facet] = {}


class ParsedEvent(Struct, frozen=True, kw_only=True):
    """An event, ready to be merged. `at` is microseconds since 1970; `digest` the sha256 of `body`, canonical JSON."""

    digest: str
    body: str
    at: int
    event_type: EventType
    run_id: str | None = None
    external_id: str | None = None
    job: tuple[str, str] | None = None
    dataset: Dataset | None = None
    run_facets: dict[str, Facet] = {}
    job_facets: dict[str, Facet] = {}
    inputs: list[Dataset] = []
    outputs: list[Dataset] = []


def parse(data: bytes) -> ParsedEvent:
    """The event in `data`. Raises `InvalidRequest` with the path of what makes it unusable."""
    body = canonical(data)
    try:
        told = codec.decoder(_Event).decode(body)
    except codec.UNREADABLE as error:
        raise _refused(str(error)) from error
    at = _moment(told.event_time)
    digest = sha256(body).hexdigest()
    if told.run is not None:
        return _run_event(told, told.run, digest, body.decode(), at)
    if told.job is not None:
        return ParsedEvent(
            digest=digest,
            body=body.decode(),
            at=at,
            event_type="JOB",
            job=_job(told.job),
            job_facets=_facets(told.job.facets),
            inputs=[_dataset(one, one.input_facets) for one in told.inputs or ()],
            outputs=[_dataset(one, one.output_facets) for one in told.outputs or ()],
        )
    if told.dataset is not None:
        dataset = _dataset(told.dataset, None)
        return ParsedEvent(digest=digest, body=body.decode(), at=at, event_type="DATASET", dataset=dataset)
    raise _refused("it names no run with its job, no job and no dataset - at `$`")


def canonical(data: bytes) -> bytes:
    """`data` with its keys sorted and without blanks. Raises `InvalidRequest` for what is no JSON object."""
    try:
        value: object = msgspec.json.decode(data)
        body = msgspec.json.encode(value, order="sorted")
    except codec.UNREADABLE as error:
        raise InvalidRequest(f"the event cannot be read: {error}", code="malformed", status=400) from error
    if not isinstance(value, dict):
        raise _refused("an event is a JSON object - at `$`")
    return body


def _run_event(told: _Event, run: _Run, digest: str, body: str, at: int) -> ParsedEvent:
    if told.job is None:
        raise _refused("an event of a run names its job - at `$.job`")
    if not run.run_id.strip():  # every such event would be of one and the same run
        raise _refused("the run has no id - at `$.run.runId`")
    run_id = run_id_of(run.run_id)
    return ParsedEvent(
        digest=digest,
        body=body,
        at=at,
        event_type=_TYPES.get((told.event_type or "").upper(), "OTHER"),
        run_id=run_id,
        external_id=None if run.run_id.lower() == run_id else run.run_id,
        job=_job(told.job),
        run_facets=_run_facets(run),
        job_facets=_facets(told.job.facets),
        inputs=[_dataset(one, one.input_facets) for one in told.inputs or ()],
        outputs=[_dataset(one, one.output_facets) for one in told.outputs or ()],
    )


def _run_facets(run: _Run) -> dict[str, Facet]:
    told = _facets(run.facets)
    if _FIRST_PARENT in told:
        told.setdefault("parent", told[_FIRST_PARENT])
    return told


def _job(told: _Job) -> tuple[str, str]:
    return known_as(told.namespace), known_as(told.name)


def _dataset(told: _Dataset, own: Mapping[str, Raw] | None) -> Dataset:
    return Dataset(known_as(told.namespace), dataset_known_as(told.name), _facets(told.facets), _facets(own))


def _facets(told: Mapping[str, Raw] | None) -> dict[str, Facet]:
    """The facets that say something; what is no object says nothing."""
    if not told:
        return {}
    found: dict[str, Facet] = {}
    for name, raw in told.items():
        value = bytes(raw)
        if value.startswith(b"{"):
            found[name] = Facet(value.decode(), sha256(value).hexdigest())
    return found


def _moment(text: str) -> int:
    """The time that an event states; UTC where it names no zone, as producers that name none mean it."""
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise _refused(f"{text[:100]!r} is no time as ISO 8601 has them - at `$.eventTime`") from error


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(f"this is no OpenLineage event: {why}", code="openlineage_unusable", status=422)
