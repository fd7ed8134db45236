"""Namespaces as Marquez shows them: those that hold something, and those that its clients made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import Name
from datlake_sdk.wire.op import Prose
from datlake_sdk.wire.times import moment
from datlake_server.http.marquez.shapes import Namespace

if TYPE_CHECKING:
    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx


class _Row(Struct, frozen=True):
    name: str
    owner: str
    description: str | None
    created_at: int
    updated_at: int


class _Told(Struct, frozen=True, rename="camel"):
    owner_name: Annotated[str, Meta(min_length=1, max_length=1024)]
    description: Prose | None = None


class _Named(Struct, frozen=True):
    name: Name


def get(tx: Tx, ask: Ask) -> Namespace:
    """The namespace that the path names."""
    return _shown(row(tx, ask.names["namespace"]))


def all_of_them(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the namespaces by name."""
    window = ask.window()
    rows = tx.all(_Row, "marquez.namespaces", limit=window.limit, offset=window.offset)
    return {"namespaces": [_shown(one) for one in rows]}


def put(tx: Tx, ask: Ask) -> Namespace:
    """The namespace, owned and described as told."""
    told, name = ask.read(_Told), checked_name(ask.names["namespace"])
    tx.do("marquez.put_namespace", name=name, owner=told.owner_name, description=told.description, now=tx.now)
    return get(tx, ask)


def delete(tx: Tx, ask: Ask) -> Namespace:
    """The namespace as it was; it and all in it is hidden until something is told of it again."""
    found = get(tx, ask)
    tx.do("marquez.hide", namespace=found.name, name="", kind="namespace", now=tx.now)
    return found


def row(tx: Tx, name: str) -> _Row:
    """The namespace of that name. Raises `NotFound`."""
    found = tx.one(_Row, "marquez.namespace", name=name)
    if found is None:
        raise NotFound(f"there is no namespace {name!r}; `/namespaces` lists those there are")
    return found


def checked_name(name: str) -> str:
    """`name`, if things may be called so. Raises `InvalidRequest`."""
    return codec.decode(codec.encode(_Named(name)), _Named).name


def _shown(found: _Row) -> Namespace:
    return Namespace(
        name=found.name,
        created_at=moment(found.created_at),
        updated_at=moment(found.updated_at),
        owner_name=found.owner,
        description=UNSET if found.description is None else found.description,
    )
