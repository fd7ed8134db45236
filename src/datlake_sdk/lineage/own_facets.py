"""What Datlake tells of itself beside OpenLineage's own facets, so that another lake that takes the events is the same.

The shapes are shared by who emits and who takes them, and are described in docs/openlineage.md. Pure. An event of which
the run, job or dataset has one of these facets is Datlake's own: they say all that the event's other facets say, and
more, so that nothing else in it needs to be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import Name, Text, Uri, Uuid
from datlake_sdk.wire.models import Artifact, Count, ProcessIdentity, RunError, Schema
from datlake_sdk.wire.times import Time

if TYPE_CHECKING:
    from collections.abc import Mapping

PRODUCER: Final = "urn:datlake:sdk"

RUN: Final = "datlake_run"
DATA: Final = "datlake_data"
EVENTS: Final = "datlake_events"
SNAPSHOT: Final = "datlake_snapshot"
JOB: Final = "datlake_job"
TABLE: Final = "datlake_table"

_VERSION: Final = "1-0-0"

F = TypeVar("F", bound="OwnFacet")


class OwnFacet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A facet of ours, without `_producer` and `_schemaURL`."""


class Kept(Struct, frozen=True):
    """Values of a run's metadata or environment that were told at one moment: of two for one key the later stays."""

    at: Time
    values: dict[str, object]


class OwnEnding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An end that was told of a run; `key` orders those of one moment."""

    state: Literal["completed", "failed", "aborted"]
    ended_at: Time
    key: Annotated[str, Meta(max_length=2048)]
    error: RunError | None = None


class OwnTag(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A label, on the column `field` where it names one. Of two with one key the later (`at`, then `digest`) stays."""

    key: str
    at: Time
    digest: str
    field: str = ""
    value: str | None = None
    source: str | None = None
    is_deleted: bool = False


class RunFacet(OwnFacet, frozen=True, kw_only=True, omit_defaults=True):
    """`datlake_run`, a run facet: what an SDK told of the run beside its data. An event may tell a part of it."""

    started_at: Time
    lost_after_s: Annotated[float, Meta(ge=0)] | None = None
    parent_run_id: Uuid | None = None
    processes: list[ProcessIdentity] = []
    metadata: list[Kept] = []
    environment: list[Kept] = []
    artifacts: list[Artifact] = []
    endings: list[OwnEnding] = []
    tags: list[OwnTag] = []


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an output was stated to be made from: a table, one snapshot of it, or a URI looked up in `namespace`.

    A snapshot may have been read while its lake was away: what was known last, so old, or this host's own.
    """

    table_name: Name | None = None
    namespace: Name | None = None
    snapshot_id: Uuid | None = None
    uri: Uri | None = None
    stale: bool = False
    age_s: Annotated[float, Meta(ge=0)] | None = None
    deferred: bool = False


class Telling(Source, frozen=True, kw_only=True, omit_defaults=True):
    """That the run read or wrote something, as it was told and when."""

    role: Literal["input", "output"]
    at: Time


class DataFacet(OwnFacet, frozen=True, kw_only=True, omit_defaults=True):
    """`datlake_data`, a run facet: what the run read and wrote, beside the snapshots that it registered."""

    items: list[Telling] = []


class LoggedEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that a job logged."""

    event_id: Uuid
    event_type: Text
    created_at: Time
    data: dict[str, object] = {}


class EventsFacet(OwnFacet, frozen=True, kw_only=True, omit_defaults=True):
    """`datlake_events`, a run facet: events that the run logged, in the order in which they were accepted."""

    items: list[LoggedEvent] = []


class SnapshotFacet(OwnFacet, frozen=True, kw_only=True, omit_defaults=True):
    """`datlake_snapshot`, a dataset facet: a snapshot of the table that has the dataset's name, as it is stored.

    It is an output of the run that the event is of, else of none. `inputs` is null where it states none. `fingerprint`
    is what the lake compares when the same registration arrives again.
    """

    snapshot_id: Uuid
    uri: Uri
    format: Text
    created_at: Time
    version: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    schema: Schema | None = None
    row_count: Count | None = None
    size_bytes: Count | None = None
    metadata: dict[str, object] = {}
    column_lineage: dict[str, object] | None = None
    inputs: list[Source] | None = None
    job_name: Name | None = None
    late: bool = False
    implied: bool = False
    fingerprint: str | None = None


class JobFacet(OwnFacet, frozen=True, kw_only=True, omit_defaults=True):
    """`datlake_job`, a job facet: what people said of the job."""

    owner: str | None = None
    description: str | None = None
    tags: list[OwnTag] = []


class TableFacet(OwnFacet, frozen=True, kw_only=True, omit_defaults=True):
    """`datlake_table`, a dataset facet: what people said of the table."""

    owner: str | None = None
    description: str | None = None
    location: Uri | None = None
    expected_freshness_s: Count | None = None
    compatibility: str | None = None
    tags: list[OwnTag] = []


_NAMES: Final[Mapping[type[OwnFacet], str]] = {
    RunFacet: RUN,
    DataFacet: DATA,
    EventsFacet: EVENTS,
    SnapshotFacet: SNAPSHOT,
    JobFacet: JOB,
    TableFacet: TABLE,
}


def own(*facets: OwnFacet) -> dict[str, object]:
    """The facets by their names, as they stand in an event."""
    return {_NAMES[type(facet)]: _as_told(facet) for facet in facets}


def read(value: str | bytes, kind: type[F]) -> F:
    """The facet that `value`, JSON, tells. Raises `InvalidRequest` with the path of what makes it unusable."""
    try:
        return codec.decoder(kind).decode(value)  # type: ignore[no-any-return]  # the decoder's own type
    except codec.UNREADABLE as error:
        message = f"the facet {_NAMES[kind]} cannot be used: {error}"
        raise InvalidRequest(message, code="openlineage_unusable", status=422) from error


def _as_told(facet: OwnFacet) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(facet)
    name = _NAMES[type(facet)].removeprefix("datlake_")
    return {"_producer": PRODUCER, "_schemaURL": f"urn:datlake:facet:{name}:{_VERSION}", **told}
