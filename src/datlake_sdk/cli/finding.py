"""What a name or an id on the command line means: a table, one of its snapshots, or something of another namespace."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from datlake_sdk.cli.text import shown
from datlake_sdk.errors import DatlakeError, NotFound
from datlake_sdk.wire.ids import is_uuid
from datlake_sdk.wire.models import Snapshot, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.client import DatlakeClient

T = TypeVar("T")

# So many namespaces are looked through for an id.
NAMESPACES: Final = 1000
NAMED: Final = 3


def table_or_snapshot(client: DatlakeClient, text: str) -> Table | Snapshot:
    """The table of that name, or the snapshot that `TABLE@VERSION` means. Raises `NotFound`."""
    try:
        return client.get_table(text)
    except NotFound as error:
        name, mark, version = text.rpartition("@")
        if not (mark and name and version):
            raise _told_where(client, text, error) from error
    try:
        return client.get_table_snapshot(name, plain_version(version))
    except NotFound as error:
        raise _told_where(client, name, error) from error


def snapshot_at(client: DatlakeClient, text: str, *, is_scoped: bool) -> Snapshot:
    """The snapshot of that id, of `TABLE@VERSION`, or the newest of a table. Raises `NotFound`.

    An id is looked for in every namespace, unless `is_scoped`.
    """
    if is_uuid(text):
        return anywhere(client, lambda scope: client.get_snapshot(text, namespace=scope), is_scoped=is_scoped)
    found = table_or_snapshot(client, text)
    if isinstance(found, Snapshot):
        return found
    if found.latest is None:
        message = f"table {text!r} has no snapshot: jobs name it, but none has registered one"
        raise NotFound(message, code="snapshot_not_found")
    return found.latest


def anywhere(client: DatlakeClient, look: Callable[[str | None], T], *, is_scoped: bool) -> T:
    """What `look` finds in the client's namespace, else in any, unless `is_scoped`. Raises `NotFound`."""
    try:
        return look(None)
    except NotFound:
        if not is_scoped:
            for place in client.list_namespaces(limit=NAMESPACES).items:
                with suppress(NotFound):
                    return look(place.namespace)
        raise


def plain_version(text: str) -> str:
    """`12` for `v12`; what a store itself calls a version stays as it is."""
    return text[1:] if text[:1] == "v" and text[1:].isdigit() else text


def _told_where(client: DatlakeClient, name: str, error: NotFound) -> NotFound:
    """`error`, with the namespaces that do have a table of that name."""
    with suppress(DatlakeError):  # a hint is no reason to fail otherwise
        hits = [hit for hit in client.search(name, kind="table", limit=100).items if hit.name == name]
        places = [hit.namespace for hit in hits if hit.namespace != client.settings.namespace]
        if places:
            named = ", ".join(shown(place) for place in places[:NAMED]) + (", …" if len(places) > NAMED else "")
            message = f"{error.message}; there is one in {named}: name it with --namespace"
            return NotFound(message, code=error.code, status=error.status, request_id=error.request_id)
    return error
