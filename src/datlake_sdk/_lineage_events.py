"""OpenLineage events, in whatever form a caller has them, as the JSON that travels. Called by the clients alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from msgspec import Raw, json

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.jsonable import jsonable
from datlake_sdk.wire import codec

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where `openlineage-python` has the classes of its events, and what writes them.
_FOREIGN: Final = "openlineage.client"


class _Serde(Protocol):
    @staticmethod
    def to_json(obj: object) -> str: ...


def event_of(event: object) -> Raw:
    """The event as JSON: text is passed on as it is. Raises `InvalidRequest` for what is no JSON, and no event."""
    try:
        data = _bytes_of(event)
        codec.decoder(Raw).decode(data)
    except (TypeError, *codec.UNREADABLE) as error:
        message = f"this event cannot be read: {error}; pass a dict, JSON, or an event of openlineage-python"
        raise InvalidRequest(message, code="malformed", status=400) from error
    return Raw(data)


def events_of(events: Sequence[object]) -> list[Raw]:
    """Each event as JSON. Raises `InvalidRequest` that names the place of one that is none."""
    found: list[Raw] = []
    for index, event in enumerate(events):
        try:
            found.append(event_of(event))
        except InvalidRequest as error:
            message = f"event {index} of the batch: {error.message}"
            raise InvalidRequest(message, code=error.code, status=error.status) from error
    return found


def _bytes_of(event: object) -> bytes:
    if isinstance(event, str):
        return event.encode()
    if isinstance(event, bytes | bytearray | memoryview):
        return bytes(cast("bytes", event))
    if any(kind.__module__.startswith(_FOREIGN) for kind in type(event).__mro__):
        return _foreign_json(event)
    return json.encode(event, enc_hook=jsonable)


def _foreign_json(event: object) -> bytes:
    """What its own client would send: that leaves out what is null, at every depth."""
    from importlib import import_module

    serde = cast("_Serde", import_module(f"{_FOREIGN}.serde").Serde)
    return serde.to_json(event).encode()
