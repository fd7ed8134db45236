"""Tables that share a name are one thing, whatever was told first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from datlake_server.services import aliases, places
from datlake_server.services.records import TableRow
from datlake_server.store.base import Tx
from datlake_server.store.sqlite import SqliteStore

SALES, BUCKET, HIVE, FILE = ("shop", "sales"), ("s3://b", "/sales"), ("hive://m:9083", "db.sales"), ("file", "/d/sales")
A, B = ("default", "a"), ("default", "b")

Seen = TypeVar("Seen")
Name = tuple[str, str]
Groups = dict[Name, tuple[frozenset[Name], Name]]


class Telling(Struct, frozen=True):
    """That a table is there and, where `alias` is given, what it is also called, or is no more."""

    table: Name
    alias: Name | None = None
    at: int = 1
    deleted: bool = False


class _Named(Struct, frozen=True):
    table_id: int
    namespace: str
    name: str


class _Undone(Exception):
    pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """Records in which nothing stays."""
    opened = SqliteStore(str(tmp_path_factory.mktemp("aliases") / "lake.db"), lambda: 1_000)
    yield opened
    opened.close()


def test_two_names_of_one_thing_make_two_tables_one(store: SqliteStore) -> None:
    """A registered table and the place where a producer saw its data are told by different people."""
    groups = _after(store, [Telling(SALES, alias=BUCKET), Telling(BUCKET), Telling(A)])
    assert groups == {
        SALES: (frozenset({SALES, BUCKET}), SALES),
        BUCKET: (frozenset({SALES, BUCKET}), SALES),
        A: (frozenset({A}), A),
    }


def test_an_alias_that_two_tables_have_makes_them_one(store: SqliteStore) -> None:
    """Nobody needs to have told of the thing by the name that both point to."""
    groups = _after(store, [Telling(HIVE, alias=FILE), Telling(BUCKET, alias=FILE)])
    assert groups[HIVE] == groups[BUCKET] == (frozenset({HIVE, BUCKET}), HIVE)


def test_who_stands_for_all_has_no_storage_as_its_namespace_where_one_has_not(store: SqliteStore) -> None:
    """People know the table's name, not the bucket's; among equals the least name, so that no order decides."""
    told = [Telling(FILE, alias=BUCKET), Telling(BUCKET, alias=HIVE), Telling(HIVE)]
    assert {who for _, who in _after(store, told).values()} == {FILE}
    assert {who for _, who in _after(store, [*told, Telling(SALES, alias=FILE)]).values()} == {SALES}


def test_what_is_taken_back_parts_what_it_joined(store: SqliteStore) -> None:
    """A wrong symlink must not tie two tables for ever."""
    told = [Telling(SALES, BUCKET), Telling(BUCKET), Telling(HIVE, BUCKET), Telling(SALES, BUCKET, at=2, deleted=True)]
    groups = _after(store, told)
    assert groups[SALES] == (frozenset({SALES}), SALES)
    assert groups[BUCKET][0] == groups[HIVE][0] == {BUCKET, HIVE}
    assert _after(store, [*told, Telling(SALES, BUCKET, at=3)])[HIVE][0] == {SALES, BUCKET, HIVE}
    assert _after(store, [*told, Telling(SALES, BUCKET, at=1)]) == groups  # an old telling, sent again


def test_a_table_is_found_by_what_it_is_also_called(store: SqliteStore) -> None:
    """Its own name wins; of several that are called so the one that stands for them is meant."""

    def look(tx: Tx) -> list[Name | None]:
        return [_name(aliases.named(tx, *name)) for name in (BUCKET, FILE, A, B)]

    told = [Telling(HIVE, FILE), Telling(SALES, FILE), Telling(SALES, BUCKET), Telling(BUCKET), Telling(HIVE, B, 1)]
    gone = Telling(HIVE, B, at=2, deleted=True)
    assert _seen(store, [*told, gone], look) == [BUCKET, SALES, None, None]


def test_a_table_that_goes_leaves_the_others_one(store: SqliteStore) -> None:
    """A bare URI's table goes when a registered snapshot turns out to be meant; its number is given out again."""

    def drop(tx: Tx) -> None:
        places.drop_unused(tx, places.table_row(tx, *FILE).table_id)

    told = [Telling(FILE), Telling(BUCKET, FILE)]
    assert _after(store, told, drop) == {BUCKET: (frozenset({BUCKET}), BUCKET)}
    groups = _after(store, [Telling(HIVE, FILE), *told], drop, lambda tx: _tell(tx, Telling(A)))
    assert groups[BUCKET] == groups[HIVE] == (frozenset({BUCKET, HIVE}), HIVE)
    assert groups[A] == (frozenset({A}), A)


_names = st.sampled_from([SALES, BUCKET, HIVE, FILE])
_tellings = st.builds(Telling, table=_names, alias=st.none() | _names, at=st.integers(1, 3), deleted=st.booleans())


@st.composite
def _orders(draw: st.DrawFn) -> tuple[list[Telling], list[Telling]]:
    told = draw(st.lists(_tellings, max_size=12))
    return told, draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=3)) if told else told))


@given(_orders())
@settings(max_examples=150, deadline=None)
def test_any_order_ends_in_the_groups_that_the_names_say(
    store: SqliteStore, orders: tuple[list[Telling], list[Telling]]
) -> None:
    """Producers tell of symlinks when they happen to run, and events arrive late and twice."""
    for told in orders:
        assert _after(store, told) == _expected(told)


def _expected(told: Sequence[Telling]) -> Groups:
    """The groups by the names alone, reckoned the slow way."""
    last: dict[tuple[Name, Name], tuple[int, bool]] = {}
    for one in told:
        if one.alias is not None:
            key, state = (one.table, one.alias), (one.at, one.deleted)
            last[key] = max(last.get(key, state), state)
    called = {one.table: {one.table} for one in told}
    for (table, alias), (_, deleted) in last.items():
        if not deleted:
            called[table].add(alias)
    groups: list[tuple[set[Name], set[Name]]] = []
    for table, names in called.items():
        touched = [group for group in groups if group[1] & names]
        groups = [group for group in groups if group not in touched]
        groups.append(({table}.union(*(group[0] for group in touched)), names.union(*(group[1] for group in touched))))
    return {
        table: (frozenset(tables), min(tables, key=lambda name: ("://" in name[0] or name[0] == "file", name)))
        for tables, _ in groups
        for table in tables
    }


def _after(store: SqliteStore, told: Sequence[Telling], *steps: Callable[[Tx], None]) -> Groups:
    return _seen(store, told, lambda tx: _groups(tx, steps))


def _seen(store: SqliteStore, told: Sequence[Telling], look: Callable[[Tx], Seen]) -> Seen:
    """What `look` sees after these tellings in a lake that was empty, and is again."""
    found: list[Seen] = []

    def work(tx: Tx) -> None:
        for telling in told:
            _tell(tx, telling)
        found.append(look(tx))
        raise _Undone

    with pytest.raises(_Undone):
        store.write(work, 5)
    return found[0]


def _tell(tx: Tx, telling: Telling) -> None:
    table_id = places.table_row(tx, *telling.table).table_id
    if telling.alias is not None:
        aliases.add(tx, table_id, *telling.alias, "TABLE", telling.at, deleted=telling.deleted)


def _groups(tx: Tx, steps: Sequence[Callable[[Tx], None]]) -> Groups:
    for step in steps:
        step(tx)
    rows = [
        row for namespace in sorted({name[0] for name in (SALES, BUCKET, HIVE, FILE, A)}) for row in _of(tx, namespace)
    ]
    names = {row.table_id: (row.namespace, row.name) for row in rows}
    return {
        name: (
            frozenset(names[one] for one in aliases.members(tx, table_id)),
            names[aliases.representative(tx, table_id)],
        )
        for table_id, name in names.items()
    }


def _of(tx: Tx, namespace: str) -> list[_Named]:
    return tx.all(_Named, "tables.page", namespace=namespace, after="", limit=100)


def _name(row: object) -> Name | None:
    return (row.namespace, row.name) if isinstance(row, TableRow) else None
