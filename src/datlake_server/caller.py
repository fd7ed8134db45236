"""Who asks, and who is there: what travels beside an operation and is no part of it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Presence(Protocol):
    """What is known of life beside the records. The lake hands it in, as it does the time."""

    @property
    def least_us(self) -> int:
        """No run that was silent for less is presumed lost."""
        ...

    @property
    def sees_processes(self) -> bool:
        """Whether `is_alive` ever knows."""
        ...

    def since(self, now: int) -> int:
        """From when on silence counts; 0 is always."""
        ...

    def is_alive(self, processes: str, now: int) -> bool | None:
        """Whether any of a run's processes lives; null where that cannot be told from here."""
        ...


class Blind:
    """Sees no process, and takes silence as each run announced it."""

    least_us = 0
    sees_processes = False

    def since(self, now: int) -> int:
        """Always."""
        del now
        return 0

    def is_alive(self, processes: str, now: int) -> bool | None:
        """Not known."""
        del processes, now
        return None


class Caller(Struct, frozen=True, kw_only=True):
    """The request an operation came with. `key` is its idempotency key, `request_id` what finds it in the logs."""

    key: str | None = None
    request_id: str | None = None
    presence: Presence = Blind()
