"""Work that waits for a commit. The store alone makes these; whoever commits for all who wait runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from datlake_server.store.base import Recorded, Tx

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


class Waiting(Generic[R]):
    """Work that waits for a commit, and later what became of it."""

    __slots__ = ("answer", "done", "error", "work")

    def __init__(self, work: Callable[[Tx], R]) -> None:
        """Nothing is done yet."""
        self.work = work
        self.done = False
        self.answer: R | None = None
        self.error: BaseException | None = None

    def attempt(self, tx: Tx) -> bool:
        """Runs the work; true where its changes stay."""
        try:
            self.answer = self.work(tx)
        except Recorded as recorded:
            self.error = recorded.error
        except Exception as error:  # noqa: BLE001 -- belongs to one caller of the group and is raised there
            self.error = error
            return False
        return True

    def settle(self, error: BaseException | None) -> None:
        """Marks the work as done; a group that failed as a whole gives every member its `error`."""
        if error is not None:
            self.answer, self.error = None, error
        self.done = True
