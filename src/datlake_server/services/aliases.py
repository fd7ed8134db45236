"""Which tables are one and the same thing: those that share a name, their own or another that they are known by.

Follows from the names alone, whatever was told first. The group of a table that shares no name is itself; every other
has a row in `same_tables`, whose `group_id` is the table that stands for all of them: the one graphs draw, the one that
has no storage as its namespace first, then the least by (namespace, name). Never touches what the tables hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.wire.models import DatasetName
from datlake_server.services.records import TableRow, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datlake_server.store.base import Tx


NAMES_TOLD: Final = 1_000


class _Id(Struct, frozen=True):
    table_id: int


class _Alias(Struct, frozen=True):
    kind: str
    at: int
    deleted: int


def add(  # noqa: PLR0917 -- a row of six columns, in their order
    tx: Tx, table_id: int, namespace: str, name: str, kind: str, at: int, *, deleted: bool = False
) -> None:
    """The table has that other name, or has it no more: of two tellings the later counts."""
    known = tx.one(_Alias, "aliases.get", table_id=table_id, namespace=namespace, name=name)
    if known is not None and (at, int(deleted), kind) <= (known.at, known.deleted, known.kind):
        return
    tx.do("aliases.put", table_id=table_id, namespace=namespace, name=name, kind=kind, at=at, deleted=int(deleted))
    had = known is not None and not known.deleted
    if had and deleted:
        _regroup(tx, members(tx, table_id))
    elif not had and not deleted:
        _unite_by(tx, table_id, namespace, name)


def take_back(tx: Tx, table_id: int, namespace: str, name: str, *, kind: str, at: int) -> None:
    """The table has that other name no more, where it was told with this `kind`."""
    known = tx.one(_Alias, "aliases.get", table_id=table_id, namespace=namespace, name=name)
    if known is not None and known.kind == kind:
        add(tx, table_id, namespace, name, kind, max(at, known.at), deleted=True)


def joined(tx: Tx, row: TableRow) -> None:
    """A table that has just been made is one with those that are known by its name."""
    _unite_by(tx, row.table_id, row.namespace, row.name)


def left(tx: Tx, table_id: int) -> None:
    """A table that is gone is one with none; those that were one with it are what their names say."""
    others = [one for one in members(tx, table_id) if one != table_id]
    if others:
        tx.do("aliases.drop_members", table_ids=json_text([table_id]))
        _regroup(tx, others)


def named(tx: Tx, namespace: str, name: str) -> TableRow | None:
    """The table of that name, else the one that is also known by it; of several the one that stands for them."""
    row = tx.one(TableRow, "tables.get", namespace=namespace, name=name)
    return row or tx.one(TableRow, "aliases.named", namespace=namespace, name=name)


def members(tx: Tx, table_id: int) -> list[int]:
    """The tables that are the same thing as this one, itself included."""
    return [row.table_id for row in tx.all(_Id, "aliases.members", table_id=table_id)] or [table_id]


def representative(tx: Tx, table_id: int) -> int:
    """The table that stands for all that are the same thing as this one."""
    row = tx.one(_Id, "aliases.group_of", table_id=table_id)
    return table_id if row is None else row.table_id


def names_of(tx: Tx, table_id: int) -> list[DatasetName]:
    """What the table and those that are the same thing are called beside its own name, a thousand names at most."""
    group = json_text(members(tx, table_id))
    return tx.all(DatasetName, "aliases.names", table_id=table_id, table_ids=group, most=NAMES_TOLD)


def _unite_by(tx: Tx, table_id: int, namespace: str, name: str) -> None:
    other = tx.one(_Id, "aliases.another_of_name", table_id=table_id, namespace=namespace, name=name)
    if other is None:
        return
    groups = {representative(tx, table_id), representative(tx, other.table_id)}
    if len(groups) == 1:
        return
    into = _foremost(tx, groups)
    for group_id in groups - {into}:
        tx.do("aliases.move_group", group_id=group_id, into=into)
        tx.do("aliases.put_member", table_id=group_id, group_id=into)
    tx.do("aliases.put_member", table_id=into, group_id=into)


def _regroup(tx: Tx, table_ids: Iterable[int]) -> None:
    """The groups of these tables, which are all that were one, are what their names say."""
    left_over = set(table_ids)
    tx.do("aliases.drop_members", table_ids=json_text(sorted(left_over)))
    while left_over:
        group = _reached(tx, left_over.pop())
        left_over -= group
        if len(group) > 1:
            into = _foremost(tx, group)
            for table_id in group:
                tx.do("aliases.put_member", table_id=table_id, group_id=into)


def _reached(tx: Tx, table_id: int) -> set[int]:
    found, new = {table_id}, {table_id}
    while new:
        near = tx.all(_Id, "aliases.neighbours", table_ids=json_text(sorted(new)))
        new = {row.table_id for row in near} - found
        found |= new
    return found


def _foremost(tx: Tx, table_ids: Iterable[int]) -> int:
    row = tx.one(_Id, "aliases.foremost", table_ids=json_text(sorted(table_ids)))
    assert row is not None  # the tables are there  # noqa: S101
    return row.table_id
