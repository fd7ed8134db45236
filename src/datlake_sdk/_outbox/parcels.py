"""What stands in a frame: an operation as the wire writes it, or bytes to upload. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk._outbox.journal import OPERATION, UPLOAD, Frame
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.operations import EventItem, LogEvent, LogEvents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk.wire.operations import Op

# A batch that a server takes at once, and whose coding holds the interpreter for well under a millisecond.
BATCH_EVENTS: Final = 100
BATCH_BYTES: Final = 1 << 20


class UploadParcel(Struct, frozen=True, kw_only=True):
    """Bytes that wait in the spool (`spool` is the file's name there) and become an object."""

    namespace: str
    bucket: str
    object_name: str
    spool: str
    size_bytes: int
    sha256: str
    run_id: str
    is_log: bool = False


class Parcel(Struct, frozen=True):
    """One call to the lake, and the frames that it answers; `end` is where the last of them ends."""

    what: Op[object] | UploadParcel | None  # null: nobody can read it
    frames: list[Frame]
    end: int


def payload_of(what: Op[object] | UploadParcel) -> tuple[int, bytes]:
    """The kind and the payload of the frame that holds `what`."""
    return (UPLOAD if isinstance(what, UploadParcel) else OPERATION), codec.encode(what)


def content_of(frame: Frame) -> Op[object] | UploadParcel:
    """What a frame holds. Raises `InvalidRequest` where it is nothing this version knows."""
    if frame.kind == UPLOAD:
        return codec.decode(frame.payload, UploadParcel)
    return codec.decode_operation(frame.payload)


def parcel_from(frames: Sequence[Frame], most_events: int = BATCH_EVENTS) -> Parcel:
    """The next call: the first frame's operation, or as many events that follow each other as go together.

    Raises `InvalidRequest` where the first frame cannot be read.
    """
    first = content_of(frames[0])
    if not isinstance(first, LogEvent):
        return Parcel(first, [frames[0]], frames[0].end)
    events, size = [first], len(frames[0].payload)
    for frame in frames[1:most_events]:
        size += len(frame.payload)
        event = _event_of(frame)
        if event is None or event.namespace != first.namespace or size > BATCH_BYTES:
            break
        events.append(event)
    together = LogEvents(namespace=first.namespace, events=[_item(event) for event in events])
    return Parcel(together, list(frames[: len(events)]), frames[len(events) - 1].end)


def _event_of(frame: Frame) -> LogEvent | None:
    if frame.kind != OPERATION or not frame.payload.startswith(b'{"op":"LogEvent"'):
        return None
    try:
        return codec.decode(frame.payload, LogEvent)
    except InvalidRequest:
        return None  # its own turn will tell


def _item(event: LogEvent) -> EventItem:
    return EventItem(
        event_type=event.event_type,
        data=event.data,
        job_name=event.job_name,
        run_id=event.run_id,
        event_id=event.event_id,
        created_at=event.created_at,
    )
