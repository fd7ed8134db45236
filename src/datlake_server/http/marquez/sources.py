"""Sources as Marquez shows them: those that its clients made, and those that datasets name in their facets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.redaction import redact_uri
from datlake_sdk.wire.ids import Text
from datlake_sdk.wire.op import Prose
from datlake_sdk.wire.times import moment
from datlake_server.http.marquez.namespaces import checked_name
from datlake_server.http.marquez.shapes import Source

if TYPE_CHECKING:
    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx


class SourceRow(Struct, frozen=True):
    """A source; `type` is null where a facet names it, which knows the address alone."""

    name: str
    type: str | None
    url: str | None
    description: str | None
    created_at: int
    updated_at: int


class _Told(Struct, frozen=True, rename="camel"):
    type: Text
    connection_url: Annotated[str, Meta(max_length=16384)]
    description: Prose | None = None


def get(tx: Tx, ask: Ask) -> Source:
    """The source that the path names."""
    return _shown(row(tx, ask.names["source"]))


def all_of_them(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the sources by name."""
    window = ask.window()
    rows = tx.all(SourceRow, "marquez.sources", limit=window.limit, offset=window.offset)
    return {"sources": [_shown(one) for one in rows]}


def put(tx: Tx, ask: Ask) -> Source:
    """The source as told, without the secrets of its address."""
    told, name = ask.read(_Told), checked_name(ask.names["source"])
    tx.do(
        "marquez.put_source",
        name=name,
        type=told.type,
        url=redact_uri(told.connection_url),
        description=told.description,
        now=tx.now,
    )
    return get(tx, ask)


def row(tx: Tx, name: str) -> SourceRow:
    """The source of that name. Raises `NotFound`."""
    found = tx.one(SourceRow, "marquez.source", name=name)
    if found is None:
        raise NotFound(f"there is no source {name!r}; `/sources` lists those there are")
    return found


def _shown(found: SourceRow) -> Source:
    url = found.url or ""
    return Source(
        type=found.type or _type_of(url),
        name=found.name,
        created_at=moment(found.created_at),
        updated_at=moment(found.updated_at),
        connection_url=url,
        description=UNSET if found.description is None else found.description,
    )


def _type_of(url: str) -> str:
    """What kind of store an address is of, as Marquez's clients call them."""
    scheme = url.removeprefix("jdbc:").partition(":")[0].upper() if ":" in url else ""
    return {"POSTGRES": "POSTGRESQL", "": "OTHER"}.get(scheme, scheme)
