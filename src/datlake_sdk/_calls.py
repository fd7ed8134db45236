"""What the client's methods share: arguments into operation values, and how one is sent."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from msgspec import structs

from datlake_sdk.errors import ConfigError, DatlakeError, InvalidRequest
from datlake_sdk.jsonable import jsonable
from datlake_sdk.paging import Paged
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.transport.resolve import is_server
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import DataRef, Snapshot
from datlake_sdk.wire.operations import Op, RegisterSnapshot
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from datlake_sdk._connection import Call
    from datlake_sdk.settings import Settings
    from datlake_sdk.transport.base import Transport
    from datlake_sdk.wire.models import Page, Schema

A = TypeVar("A")
T = TypeVar("T")
OpT = TypeVar("OpT", bound=Op[Any])

__all__ = ["new_id", "utc_now"]

_KEY: Final = re.compile(r"[!-~]*")
_REQUEST_ID: Final = re.compile(r"[ -~]{1,128}")


def plain(values: object) -> dict[str, object]:
    """The user's values as JSON can hold them; a new dict. What is no mapping stands under `value`."""
    if values is None:
        return {}
    found = jsonable(values)
    return cast("dict[str, object]", found) if isinstance(found, dict) else {"value": found}


def time_of(value: datetime | str | None) -> datetime | None:
    """The aware moment that `value` names. Raises `InvalidRequest` for one without a time zone."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        message = f"{value!r} is not a time; write it like 2026-11-23T03:00:00Z"
        raise InvalidRequest(message, code="bad_time") from error
    if moment.tzinfo is None:
        message = f"{value!r} has no time zone; write 2026-11-23T03:00:00Z, or pass an aware datetime"
        raise InvalidRequest(message, code="bad_time")
    return moment


def data_ref(item: DataRef | str | os.PathLike[str]) -> DataRef:
    """What `item` names: a table, or any URI (text with `://`); a path object is a file. Passwords stay out."""
    from datlake_sdk.redaction import redact_uri

    if isinstance(item, DataRef):
        return item if item.uri is None else structs.replace(item, uri=redact_uri(item.uri))
    if isinstance(item, str):
        return DataRef(uri=redact_uri(item)) if "://" in item else DataRef(table_name=item)
    return DataRef(uri=file_uri(os.fspath(item)))


def file_uri(path: str) -> str:
    """The `file://` URI of a path, made absolute."""
    from pathlib import Path

    return Path(os.path.abspath(os.path.expanduser(path))).as_uri()


def registration(
    table_name: str,
    uri: str | os.PathLike[str],
    format: str,  # noqa: A002 -- the name of the field
    schema: Mapping[str, object] | Sequence[object] | None,
    *,
    job_name: str | None,
    run_id: str | None,
    snapshot_id: str | None,
    expected_version: int | None,
    row_count: int | None,
    size_bytes: int | None,
    inputs: Sequence[DataRef | str] | None,
    column_lineage: Mapping[str, object] | None,
    metadata: Mapping[str, object] | None,
    created_at: datetime | str | None,
    namespace: str,
) -> RegisterSnapshot:
    """The registration of a snapshot, its id minted here so that it can be sent any number of times."""
    from datlake_sdk.redaction import redact_uri

    return RegisterSnapshot(
        table_name=table_name,
        uri=redact_uri(uri) if isinstance(uri, str) else file_uri(os.fspath(uri)),
        format=format,
        schema=None if schema is None else cast("Schema", jsonable(schema)),
        job_name=job_name,
        run_id=run_id,
        snapshot_id=snapshot_id or new_id(),
        expected_version=expected_version,
        row_count=row_count,
        size_bytes=size_bytes,
        inputs=None if inputs is None else [data_ref(item) for item in inputs],
        column_lineage=None if column_lineage is None else plain(column_lineage),
        metadata=plain(metadata),
        created_at=time_of(created_at) or utc_now(),
        namespace=namespace,
    )


def update(kind: type[OpT], changes: Mapping[str, object], namespace: str, **names: str) -> OpT:
    """The update operation that makes `changes`. Raises `InvalidRequest` for a field it does not have."""
    known = set(kind.__struct_fields__) - {"namespace", *names}
    if unknown := sorted(set(changes) - known):
        message = f"{unknown[0]!r} cannot be changed; what can be is {', '.join(sorted(known))}"
        raise InvalidRequest(message, code="unknown_field")
    return kind(namespace=namespace, **names, **changes)


def snapshot_id_of(snapshot: str | Snapshot | Mapping[str, object]) -> str:
    """The id of the snapshot that is meant. Raises `InvalidRequest` for what has none."""
    if isinstance(snapshot, str):
        return snapshot
    found = snapshot.snapshot_id if isinstance(snapshot, Snapshot) else snapshot.get("snapshot_id")
    if not isinstance(found, str):
        message = f"{snapshot!r:.200} has no `snapshot_id`; pass a snapshot or its id"
        raise InvalidRequest(message)
    return found


def server_address(settings: Settings) -> str | None:
    """The server's address without a closing slash; null for an embedded lake."""
    return (settings.api_url or "").rstrip("/") if is_server(settings.api_url) else None


def options(settings: Settings, call: Call) -> CallOptions:
    """How long a call may take, and what travels beside it. Raises `InvalidRequest` for what no header can carry."""
    api_key, request_id = call.get("api_key"), call.get("request_id")
    if api_key is not None and not _KEY.fullmatch(api_key):
        raise InvalidRequest("api_key must be visible ASCII characters without spaces", code="bad_api_key")
    if request_id is not None and not _REQUEST_ID.fullmatch(request_id):
        message = f"{request_id!r:.80} cannot be a request_id: it must be 1 to 128 printable ASCII characters"
        raise InvalidRequest(message, code="bad_request_id")
    return CallOptions(
        timeout_s=call.get("timeout") or settings.timeout_s,
        retries=call.get("retries", True),
        api_key=api_key,
        request_id=request_id,
    )


def send(transport: Transport, op: Op[A], how: CallOptions) -> A:
    """What `op` answers. An error carries the run and the request it belongs to."""
    try:
        return transport.call(op, how)
    except DatlakeError as error:
        error.run_id = error.run_id or getattr(op, "run_id", None)
        error.request_id = error.request_id or how.request_id
        raise


def refuse_if_disabled(settings: Settings) -> None:
    """Returns where recording is on; raises `ConfigError` where the user switched it off."""
    if settings.disabled:
        message = "recording is switched off (DATLAKE_DISABLED), so nothing is written; unset it to record"
        raise ConfigError(message, code="disabled")


def pages(op: Op[Page[T]], fetch: Callable[[Op[Page[T]]], Page[T]]) -> Paged[T]:
    """The list that begins at the page `op` asks for."""
    return Paged(fetch(op), lambda cursor: fetch(structs.replace(op, cursor=cursor)))


def object_of(uri: str) -> tuple[str, str]:
    """The (bucket, object) of a lake's URI. `s3://` is understood as the same. Raises `InvalidRequest` for others."""
    from urllib.parse import unquote

    scheme, mark, rest = uri.partition("://")
    bucket, slash, name = rest.partition("/")
    if scheme not in {"datlake", "s3"} or not (mark and bucket and slash and name):
        message = f"{uri!r} is not an object of the lake; its URIs look like datlake://bucket/object"
        raise InvalidRequest(message, code="bad_uri")
    return unquote(bucket), "/".join(unquote(part) for part in name.split("/"))


def save(chunks: Iterable[bytes], path: str) -> str:
    """`path`, now holding the bytes; written beside it first, so that it is whole or untouched."""
    part = f"{path}.{new_id()}.part"
    try:
        with open(part, "xb") as file:
            file.writelines(chunks)
        os.replace(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
    return path
