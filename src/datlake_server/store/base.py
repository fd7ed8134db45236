"""What the services may ask of a store: named statements inside a transaction they never open themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datlake_sdk.errors import DatlakeError

R = TypeVar("R")
A = TypeVar("A", covariant=True)
Value = str | int | float | None


class Tx(Protocol):
    """An open transaction. `now` is its moment in microseconds since 1970, the same for all that happens in it."""

    @property
    def now(self) -> int:
        """The moment of this transaction."""
        ...

    def all(self, kind: type[R], name: str, /, **values: Value) -> list[R]:
        """The rows of the named statement, each as a `kind` (a Struct whose fields are the columns)."""
        ...

    def one(self, kind: type[R], name: str, /, **values: Value) -> R | None:
        """The first row of the named statement, or null."""
        ...

    def rows(self, kind: Callable[..., R], name: str, /, **values: Value) -> list[R]:
        """As `all`, but each `kind` is made of the columns in their order, whatever their names, and none is checked.

        For thousands of rows, and for statements whose columns are no others' business: a tenth of the cost of `all`.
        """
        ...

    def do(self, name: str, /, **values: Value) -> int:
        """Runs the named statement; answers how many rows it changed."""
        ...

    def do_each(self, name: str, rows: Iterable[Sequence[Value]]) -> None:
        """Runs the named statement once for each row, whose values are its parameters ?1, ?2 … in their order."""
        ...

    def nested(self, work: Callable[[], R]) -> R:
        """What `work` answers; nothing of what it changed stays when it raises, and the transaction goes on."""
        ...


class Done(Protocol[A]):
    """What became of a work: its answer, or the error with which it ended."""

    @property
    def answer(self) -> A | None:
        """What it answered; null where it did not."""
        ...

    @property
    def error(self) -> BaseException | None:
        """Why it did not; null where it did."""
        ...


class Store(Protocol):
    """A place of records with one writer at a time and readers that do not wait for it."""

    def write(self, work: Callable[[Tx], R], patience_s: float) -> R:
        """What `work` answers, after its changes are on the disk; nothing of them stays when it raises.

        Raises `ServerError` (`busy`) where others held the lake for `patience_s` seconds.
        """
        ...

    def write_all(self, works: Sequence[Callable[[Tx], R]], patience_s: float) -> Sequence[Done[R]]:
        """As `write` of each, in their order and on the disk together as far as they fit into one group.

        Raises where none was begun; what became of each is told by its own `Done`.
        """
        ...

    def read(self, work: Callable[[Tx], R]) -> R:
        """What `work` answers, from one consistent state."""
        ...

    @property
    def damage(self) -> DatlakeError | None:
        """What writes are refused with, null for records that are well as far as is known."""
        ...

    @property
    def is_left_over(self) -> bool:
        """True where the records were found as a process leaves them that does not close them."""
        ...

    def quick_check(self, stop: Callable[[], bool]) -> bool:
        """True once everything was looked at, and `damage` tells what was found; false where `stop` became true."""
        ...

    def close(self) -> None:
        """Lets go of files and connections."""
        ...


class Recorded(Exception):
    """Raised by a service to keep its changes and still answer with `error`."""

    def __init__(self, error: DatlakeError) -> None:
        super().__init__(str(error))
        self.error = error
