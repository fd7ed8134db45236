"""Tags: the labels there are, those on things, and the putting and taking of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from msgspec import UNSET, Struct

from datlake_sdk.wire.op import Prose
from datlake_server.http.marquez.namespaces import checked_name
from datlake_server.http.marquez.shapes import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx

_PLAIN: Final = frozenset({"", "true"})


class Change(Protocol):
    """Puts a tag on a thing, or takes it off."""

    def __call__(self, tx: Tx, kind: str, subject: int, tag: str, field: str = "") -> None:
        """The thing, or the field of it, is as wanted."""
        ...


class _Row(Struct, frozen=True):
    name: str
    description: str | None


class _Label(Struct, frozen=True):
    subject: int
    field: str
    key: str
    value: str | None

    @property
    def shown(self) -> str:
        """The label as one text; a value that says more than that it is there is part of it."""
        return self.key if (self.value or "").lower() in _PLAIN else f"{self.key}:{self.value}"


class _Told(Struct, frozen=True):
    description: Prose | None = None


def all_of_them(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the tags by name."""
    window = ask.window()
    rows = tx.all(_Row, "marquez.all_tags", limit=window.limit, offset=window.offset)
    return {"tags": [_shown(one) for one in rows]}


def put(tx: Tx, ask: Ask) -> Tag:
    """The tag, described as told."""
    name, told = checked_name(ask.names["tag"]), ask.read(_Told)
    tx.do("marquez.put_tag", name=name, description=told.description, now=tx.now)
    return _shown(_Row(name, told.description))


def of(tx: Tx, kind: str, subjects: Iterable[int]) -> defaultdict[int, dict[str, list[str]]]:
    """The tags of jobs (`job`) or tables (`table`) by their numbers; under a field's name those of the field."""
    found: defaultdict[int, dict[str, list[str]]] = defaultdict(dict)
    for row in _labels(tx, kind, subjects):
        found[row.subject].setdefault(row.field, []).append(row.shown)
    return found


def stick(tx: Tx, kind: str, subject: int, tag: str, field: str = "") -> None:
    """The thing, or the field of it, has the tag."""
    key = checked_name(tag)
    if any((row.field, row.shown) == (field, tag) for row in _labels(tx, kind, [subject])):
        return
    tx.do("marquez.label", kind=kind, subject=subject, field=field, key=key, now=tx.now, deleted=0)


def peel(tx: Tx, kind: str, subject: int, tag: str, field: str = "") -> None:
    """The thing, or the field of it, has the tag no more."""
    for row in _labels(tx, kind, [subject]):
        if row.field == field and row.shown == tag:
            tx.do("marquez.label", kind=kind, subject=subject, field=field, key=row.key, now=tx.now, deleted=1)


def _labels(tx: Tx, kind: str, subjects: Iterable[int]) -> list[_Label]:
    wanted = msgspec.json.encode(sorted(subjects)).decode()
    return tx.all(_Label, "marquez.labels", kind=kind, subjects=wanted)


def _shown(row: _Row) -> Tag:
    return Tag(name=row.name, description=UNSET if row.description is None else row.description)
