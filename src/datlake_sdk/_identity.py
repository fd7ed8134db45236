"""Who a run is: the names and ids a `JobContext` is given, checked before anything happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from datlake_sdk.client import DatlakeClient
from datlake_sdk.errors import ConfigError, InvalidRequest
from datlake_sdk.settings import DESCRIPTORS
from datlake_sdk.wire.ids import SDK_NAME_LIMIT, is_uuid, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_sdk.aio_client import AsyncDatlakeClient
    from datlake_sdk.settings import Settings

PARENT_VARIABLE: Final = "DATLAKE_PARENT_RUN_ID"
_VARIABLES: Final = (*(each.variable for each in DESCRIPTORS), "HOME", "USERPROFILE", "XDG_CONFIG_HOME")


def who(
    client: DatlakeClient | AsyncDatlakeClient | str | None,
    job_name: str | Mapping[str, object] | None,
    metadata: Mapping[str, object] | None,
) -> tuple[DatlakeClient | None, str, Mapping[str, object] | None]:
    """(client, name, metadata) of both forms: `(client, "job", metadata)` and `("job", metadata)`."""
    client = getattr(client, "sync", client)  # an AsyncDatlakeClient is a client in front of one
    if isinstance(client, DatlakeClient) or client is None:
        return client, checked_name(job_name, "job"), metadata
    if job_name is not None and not isinstance(job_name, str):
        return None, checked_name(client, "job"), job_name
    if job_name is not None:
        message = f"two job names, {client!r} and {job_name!r}; pass a DatlakeClient first, or one name"
        raise InvalidRequest(message, code="bad_job_name")
    return None, checked_name(client, "job"), metadata


def checked_name(name: object, what: str) -> str:
    """`name`, if the SDK takes it: 1 to 256 characters, none of them a control character. Raises `InvalidRequest`."""
    if not isinstance(name, str) or not 0 < len(name) <= SDK_NAME_LIMIT or not all(map(_is_shown, name)):
        shown = f"{name!r:.80}"
        message = (
            f"{shown} cannot be the name of a {what}: it must be text of 1 to {SDK_NAME_LIMIT} printable characters"
        )
        raise InvalidRequest(message, code=f"bad_{what}_name")
    return name


def fitting(text: object, otherwise: str) -> str:
    """`text` as a label of at most 256 characters, blanks for what cannot stand there; `otherwise` if none is left."""
    try:
        told = str(text)[:SDK_NAME_LIMIT]
    except Exception:  # noqa: BLE001 -- a user's __str__ may raise anything, and a label is not worth a job
        return otherwise
    return "".join(char if _is_shown(char) else " " for char in told).strip() or otherwise


def checked_run_id(run_id: str | None) -> str:
    """`run_id`, or a fresh one. Raises `InvalidRequest` for what is no UUID."""
    if run_id is None:
        return new_id()
    if not is_uuid(run_id):
        message = f"{run_id!r} cannot be a run's id: it must be a UUID, as `uuid.uuid4()` makes them"
        raise InvalidRequest(message, code="bad_run_id")
    return run_id.lower()


def parent_from_environment() -> str | None:
    """The run that `datlake run` handed on to this process, if any."""
    run_id = os.environ.get(PARENT_VARIABLE, "").strip()
    return run_id.lower() if is_uuid(run_id) else None


# Jobs without a client of their own share one for the same settings: opening and closing a lake costs more than a run.
_SHARED: dict[Settings, DatlakeClient] = {}
# And settings are read once for the same environment and working directory.
_READ: dict[tuple[str | None, ...], DatlakeClient] = {}
_READ_AT_MOST: Final = 100


def default_client(namespace: str | None, bucket: str | None) -> tuple[DatlakeClient, str | None]:
    """The client for what the environment says now, and why it records nothing where there is no place for a lake."""
    place = (namespace, bucket, _working_directory(), *map(os.environ.get, _VARIABLES))
    known = _READ.get(place)
    if known is not None:
        return known, None
    try:
        client = DatlakeClient(namespace=namespace, artifact_bucket=bucket)
    except ConfigError as error:
        if error.code != "no_home":
            raise
        return DatlakeClient(home=os.path.abspath(os.sep), namespace=namespace, disabled=True), error.message
    if len(_READ) >= _READ_AT_MOST:
        _READ.clear()
    shared = _READ[place] = _SHARED.setdefault(client.settings, client)
    return shared, None


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed under the process
        return None


def _is_shown(char: str) -> bool:
    code = ord(char)
    return not (code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000)
