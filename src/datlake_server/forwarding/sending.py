"""What sending events came to, and what a sender is. Knows no HTTP and no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from datlake_server.services.forwarding import Outgoing, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence


class Trouble(Struct, frozen=True):
    """Why a target took no more. `status` is its answer's, null where there was none."""

    text: str
    status: int | None = None
    retry_after_s: float | None = None


class Sent(Struct, frozen=True):
    """The first `count` events are done with, of which some were refused; then there was trouble, or there was none."""

    count: int
    refusals: list[Refusal] = []
    trouble: Trouble | None = None


class Sender(Protocol):
    """The road to one target. Used by one thread at a time."""

    def send(self, events: Sequence[Outgoing]) -> Sent:
        """What became of the events, which are sent in their order; what is away is trouble, and never raised."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...
