"""The lists that a search goes through, one for each kind of likeness, and what each leaves to those before it.

A list is read in pieces, each of which begins after an entry; what is in a piece is sorted, the closest name first.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.ids import DEFAULT_NAMESPACE
from datlake_server.services import search_text
from datlake_server.services.pages import LAST_NAME
from datlake_server.services.search_text import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datlake_server.store.base import Tx, Value

# The kinds of entries, as the lake numbers them; runs have no entries.
TABLE, JOB, LABEL, COLUMN, RUN = 1, 2, 3, 4, 5

PIECE: Final = 256
# Fewer than these, and what is only similar is looked for.
FEW: Final = 10
NAMES_LOOKED_AT: Final = 100
_ID_CHARACTERS: Final = frozenset("0123456789abcdef-")
_ID_LENGTH: Final = 6  # so many of what might be a word as well are the beginning of a run's id
_OUTER_ID_LENGTH: Final = 3


class Scope(Struct, frozen=True):
    """Where something is looked for: a namespace, or all; a kind, or all."""

    namespace: str = ""
    kind: int = 0


class Entry(Struct, frozen=True):
    """A name that can be found; of a run its job's, and as `about` what its producer calls the run."""

    namespace: str
    name: str
    about: str
    entry_id: int = 0
    kind: int = RUN
    subject: int = 0
    is_alias: int = 0
    run_id: str = ""

    @property
    def told(self) -> str:
        """What is said of it, its namespace included, as the index of words has it."""
        return self.about if self.namespace == DEFAULT_NAMESPACE else f"{self.namespace} {self.about}"


class Place(Struct, array_like=True, frozen=True):
    """How far a search has come: the list, after which entry or run the piece begins, and how many of it are done.

    Of those that have the next one, a label or a column, it also says after whom the search goes on.
    """

    number: int = 0
    after: int = 0
    after_run: str = ""
    done: int = 0
    holder_kind: str = ""
    holder_run: str = ""
    holder: int = 0
    holder_fields: int = 0


class List(Struct, frozen=True):
    """Entries that are alike in one way. `is_new` is false of what a list before this one holds."""

    read: Callable[[Place], list[Entry]]
    is_new: Callable[[Entry], bool] = lambda _: True
    is_sorted: bool = False

    def piece(self, place: Place) -> tuple[list[Entry], Place | None]:
        """The entries of the piece that begins at `place`, and where the next one begins."""
        rows = self.read(place)
        if not rows:
            return rows, None
        beyond = Place(number=place.number, after=rows[-1].entry_id, after_run=rows[-1].run_id)
        if not self.is_sorted:
            rows = sorted(rows, key=lambda entry: (entry.kind, len(entry.name), entry.name, entry.entry_id))
        return rows, beyond if len(rows) == PIECE else None


class _Key(Struct, frozen=True):
    folded: str
    kind: int
    entry_id: int


class Lists:
    """The lists of one search, made as they are needed."""

    def __init__(self, tx: Tx, asked: Asked, typed: str, scope: Scope) -> None:
        """Nothing is looked up yet. `typed` is what was typed, which the ids of producers are compared with."""
        self._tx = tx
        self._asked = asked
        self._typed = typed
        self._scope = scope

    def __iter__(self) -> Iterator[List]:
        """The lists, the closest first; the last two only where the others hold few entries."""
        lists = [*self._of_names(), *self._of_runs(), *self._of_words()]
        yield from lists
        for make in (self._of_letters, self._of_guesses):
            found = self._few(lists)
            if found is None:
                return
            one = make(found)
            lists.append(one)
            yield one

    def _of_names(self) -> Iterator[List]:
        if self._asked.start and self._scope.kind != RUN:
            yield List(cache(self._by_name), is_sorted=True)

    def _of_runs(self) -> Iterator[List]:
        if self._scope.kind not in {0, RUN}:
            return
        if len(self._asked.start) >= _ID_LENGTH and _ID_CHARACTERS.issuperset(self._asked.start):
            yield List(self._runs_by_id, is_sorted=True)
        if len(self._typed) >= _OUTER_ID_LENGTH:
            yield List(self._runs_by_external_id, is_sorted=True)

    def _of_words(self) -> Iterator[List]:
        words = self._asked.words
        if words and self._scope.kind != RUN:
            yield List(self._matching("search.by_words", search_text.in_names(words)), self._begins_otherwise)
            yield List(self._matching("search.by_words", search_text.beside_names(words)), self._begins_otherwise)

    def _of_letters(self, found: set[int]) -> List:
        words = self._asked.words
        letters = search_text.letters(words)

        def is_new(entry: Entry) -> bool:
            # That the letters are there does not say that they stand together.
            parts = search_text.words_of(entry.name)
            return entry.entry_id not in found and all(any(word in part for part in parts) for word in words)

        return List(_nothing if letters is None else self._matching("search.by_letters", letters), is_new)

    def _of_guesses(self, found: set[int]) -> List:
        choices = [self._guessed(word) for word in self._asked.words]
        if all(len(choice) == 1 for choice in choices):
            return List(_nothing)
        return List(
            self._matching("search.by_words", search_text.in_any_of(choices)), lambda entry: entry.entry_id not in found
        )

    def _guessed(self, word: str) -> list[str]:
        """The word, and what may have been meant where nothing is called so."""
        if self._rows("search.by_words", words=search_text.in_names([word]), after_id=0, limit=1):
            return [word]
        letters = search_text.near_letters(word)
        near = [] if letters is None else self._rows("search.by_letters", words=letters, after_id=0, limit=PIECE)
        return search_text.guesses(word, {part for entry in near for part in search_text.words_of(entry.name)})

    def _few(self, lists: Sequence[List]) -> set[int] | None:
        """The entries of the lists; null where they are not few."""
        found: set[int] = set()
        runs = 0
        for one in lists:
            rows, beyond = one.piece(Place())
            new = [entry for entry in rows if one.is_new(entry)]
            found.update(entry.entry_id for entry in new)
            runs += sum(entry.kind == RUN for entry in new)
            if beyond is not None or len(found) + runs >= FEW:
                return None
        return found

    def _begins_otherwise(self, entry: Entry) -> bool:
        return not search_text.begins(entry.name, self._asked.start)

    def _by_name(self, place: Place) -> list[Entry]:
        start = self._asked.start
        after = _Key(start, 0, 0) if not place.after else self._tx.one(_Key, "search.entry", entry_id=place.after)
        if after is None:
            message = "what the last page ended with is gone meanwhile; leave the cursor out to begin at the first page"
            raise InvalidRequest(message, code="bad_cursor")
        return self._rows(
            "search.by_name",
            beyond=start + LAST_NAME,
            after=after.folded,
            after_kind=after.kind,
            after_id=after.entry_id,
        )

    def _matching(self, statement: str, words: str) -> Callable[[Place], list[Entry]]:
        def read(place: Place) -> list[Entry]:
            return self._rows(statement, words=words, after_id=place.after)

        return cache(read)

    def _rows(self, statement: str, *, limit: int = PIECE, **values: Value) -> list[Entry]:
        scope = self._scope
        return self._tx.all(Entry, statement, kind=scope.kind, namespace=scope.namespace, limit=limit, **values)

    def _runs_by_id(self, place: Place) -> list[Entry]:
        start = self._asked.start
        first = f"{place.after_run} " if place.after_run else start  # no id lies between one and itself with a blank
        return self._runs("search.runs_by_id", first=first, beyond=start + LAST_NAME)

    def _runs_by_external_id(self, place: Place) -> list[Entry]:
        last = self._tx.one(Entry, "search.run", run_id=place.after_run) if place.after_run else None
        return self._runs(
            "search.runs_by_external_id",
            first=last.about if last else self._typed,
            beyond=self._typed + LAST_NAME,
            after_run=place.after_run,
        )

    def _runs(self, statement: str, **values: Value) -> list[Entry]:
        return self._tx.all(Entry, statement, namespace=self._scope.namespace, limit=PIECE, **values)


def names_of(tx: Tx, entry: Entry) -> list[Entry]:
    """All names of the table or job that the entry is a name of, its own first."""
    return tx.all(Entry, "search.names_of", kind=entry.kind, subject=entry.subject, limit=NAMES_LOOKED_AT)


def _nothing(_: Place) -> list[Entry]:
    return []
