"""Walks through the lists of a search and tells what the entries are names of. Loaded when somebody searches.

A step is a hit, or an entry that is none; each has the place at which a next page goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from msgspec import Struct
from msgspec.structs import astuple, replace

from datlake_sdk.wire.models import HitKind, Page, SearchHit
from datlake_server.services import search_text
from datlake_server.services.pages import cursor_from, place_of
from datlake_server.services.search_lists import (
    COLUMN,
    JOB,
    LABEL,
    PIECE,
    RUN,
    TABLE,
    Entry,
    List,
    Lists,
    Place,
    Scope,
    names_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.wire.operations import Search
    from datlake_server.services.search_text import Asked
    from datlake_server.store.base import Tx, Value

# So much is looked at for one page; it may be short of what it could hold then, and the next one goes on.
LOOKED_AT: Final = 2_000
_NUMBERS: Final[dict[HitKind, int]] = {"table": TABLE, "job": JOB, "tag": LABEL, "column": COLUMN, "run": RUN}

Step = tuple[Place, SearchHit | None]


class _TableRow(Struct, frozen=True):
    table_id: int
    namespace: str
    name: str


class _LabelledRow(Struct, frozen=True):
    kind: Literal["run", "job", "table"]
    run_id: str
    subject: int
    field: str
    namespace: str
    name: str


def found(tx: Tx, op: Search) -> Page[SearchHit]:
    """A page of what is called as was typed, or close to it."""
    scope = Scope(namespace=op.namespace, kind=_NUMBERS[op.kind] if op.kind else 0)
    walk = _Walk(tx, search_text.asked(op.q), op.q.strip(), scope)
    start = place_of(op.cursor, Place) if op.cursor else Place()
    hits: dict[SearchHit, None] = {}  # a table that is found by its name and by another is listed once
    for looked, (place, hit) in enumerate(walk.steps(start), 1):
        if hit is not None:
            hits[hit] = None
        if len(hits) == op.limit or looked == LOOKED_AT:
            return Page(items=list(hits), next_cursor=cursor_from(*cast("tuple[str | int, ...]", astuple(place))))
    return Page(items=list(hits))


class _Walk:
    """One search on its way through its lists."""

    def __init__(self, tx: Tx, asked: Asked, typed: str, scope: Scope) -> None:
        self._tx = tx
        self._asked = asked
        self._scope = scope
        self._lists = Lists(tx, asked, typed, scope)

    def steps(self, start: Place) -> Iterator[Step]:
        """The steps from `start` to the end."""
        for number, one in enumerate(self._lists):
            if number >= start.number:
                yield from self._of_list(one, start if number == start.number else Place(number=number))

    def _of_list(self, one: List, start: Place) -> Iterator[Step]:
        place: Place | None = start
        while place is not None:
            entries, beyond = one.piece(place)
            for at, entry in enumerate(entries[place.done :], place.done):
                here = place if at == place.done else Place(place.number, place.after, place.after_run, at)
                if one.is_new(entry) and not self._is_echo(entry):
                    yield from self._holders(entry, here)
                yield Place(place.number, place.after, place.after_run, at + 1), None
            place = beyond

    def _is_echo(self, entry: Entry) -> bool:
        """True of another name of a table that is listed by its own, or by one before this."""
        if not entry.is_alias:
            return False
        fitting = (one.entry_id for one in names_of(self._tx, entry) if self._asked.is_in(one.name, one.told))
        return next(fitting, entry.entry_id) != entry.entry_id

    def _holders(self, entry: Entry, here: Place) -> Iterator[Step]:
        """What the entry is a name of: itself, or all that have the column or the label."""
        if entry.kind == COLUMN:
            yield from self._with_column(entry, here)
        elif entry.kind == LABEL:
            yield from self._with_label(entry, here)
        else:
            yield replace(here, done=here.done + 1), self._itself(entry)

    def _itself(self, entry: Entry) -> SearchHit:
        if entry.kind == RUN:
            return SearchHit(
                kind="run",
                namespace=entry.namespace,
                name=entry.name,
                run_id=entry.run_id,
                description=entry.about or None,
            )
        own = names_of(self._tx, entry)[0] if entry.is_alias else entry
        return SearchHit(
            kind="table" if entry.kind == TABLE else "job",
            namespace=own.namespace,
            name=own.name,
            description=own.about or None,
        )

    def _with_column(self, entry: Entry, here: Place) -> Iterator[Step]:
        last = self._tx.one(_TableRow, "search.namespace_of", table_id=here.holder) if here.holder else None
        scope = self._scope.namespace
        statement = "search.tables_of_namespace_with" if scope else "search.tables_with"
        rows = None
        while rows is None or len(rows) == PIECE:
            after, namespace = (last.table_id, last.namespace) if last else (0, scope)
            rows = self._tx.all(
                _TableRow, statement, entry_id=entry.entry_id, after=after, after_namespace=namespace, limit=PIECE
            )
            for last in rows:
                hit = SearchHit(kind="column", namespace=last.namespace, name=last.name, field=entry.name)
                yield replace(here, holder=last.table_id), hit

    def _with_label(self, entry: Entry, here: Place) -> Iterator[Step]:
        values: dict[str, Value] = {"key": entry.name, "value": entry.about, "namespace": self._scope.namespace}
        rows, limit = None, 0
        while rows is None or len(rows) == limit:
            skipped = here.holder_fields
            limit = PIECE + skipped
            rows = self._tx.all(_LabelledRow, "search.labelled", limit=limit, **_holder(here), **values)
            for row in rows[skipped:]:
                here = _after(here, row)
                yield here, _labelled(entry, row)


def _holder(place: Place) -> dict[str, Value]:
    return {"from_kind": place.holder_kind, "from_run": place.holder_run, "from_subject": place.holder}


def _after(place: Place, row: _LabelledRow) -> Place:
    """After one more label of the same run, job or table, or the first of the next."""
    is_same = (place.holder_kind, place.holder_run, place.holder) == (row.kind, row.run_id, row.subject)
    return replace(
        place,
        holder_kind=row.kind,
        holder_run=row.run_id,
        holder=row.subject,
        holder_fields=place.holder_fields + 1 if is_same else 1,
    )


def _labelled(entry: Entry, row: _LabelledRow) -> SearchHit:
    return SearchHit(
        kind="tag",
        namespace=row.namespace,
        name=row.name,
        field=row.field or None,
        run_id=row.run_id or None,
        tag=entry.name,
        description=entry.about or None,
    )
