"""Whether a run that has not ended still lives: `lost` is presumed when somebody looks, and never stored.

By the life of its processes, where this lake can see them; else by silence alone, and by this lake's own clock. A run
and the lists it stands in are told by the same rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from datlake_sdk.wire.models import ProcessIdentity, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx, Value

# Ten missed heartbeats, and never less than ten minutes: a busy host is late, not dead.
BEATS: Final = 10
LEAST_S: Final = 600.0

# A run may be started again from other processes, each telling of itself; more than these are no use to anybody.
PROCESSES_MOST: Final = 16
# Looking a process up costs 20 µs, and a page shows up to a thousand runs, often of few processes.
REMEMBERED_US: Final = 1_000_000
REMEMBERED_MOST: Final = 4096
# A clock that differs by more than this from the time that passed was set, or the host slept.
CLOCK_SET_US: Final = 60_000_000
# A reader's moment is a little older than what is written while it reads. What is later still was told by a clock that
# has been put back since.
TO_COME_US: Final = 5_000_000

_PROCESSES: Final = msgspec.json.Decoder(list[ProcessIdentity])


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a run's life; `process` is as `processes_text` writes it, `lost_after_us` as its start told."""

    state: RunState = "running"
    last_seen_at: int
    lost_after_us: int | None = None
    process: str | None = None


class Watch:
    """What a lake knows of life beside its records. `look_up` tells whether a process lives; without it silence counts.

    A lake that listens for others knows since when: silence while nobody listened proves nothing. Neither does the time
    that a host slept, or by which its clock was put forward.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        *,
        least_s: float = LEAST_S,
        look_up: Callable[[ProcessIdentity], bool | None] | None = None,
        listens: bool = False,
    ) -> None:
        """Listens from now on, by `clock` (microseconds since 1970); `monotonic` counts seconds, and nobody sets it."""
        self.least_us = int(least_s * 1_000_000)
        self.sees_processes = look_up is not None
        self._look_up = look_up
        self._known: dict[str, tuple[int, bool | None]] = {}
        self._monotonic = monotonic
        self._since = clock() if listens else 0
        self._offset = self._since - self._monotonic_us()

    def since(self, now: int) -> int:
        """From when on silence counts; 0 is always."""
        if self._since and abs(now - self._monotonic_us() - self._offset) > CLOCK_SET_US:
            self._since, self._offset = now, now - self._monotonic_us()
        return self._since

    def is_alive(self, processes: str, now: int) -> bool | None:
        """Whether any of these lives, as it was within the last second; null where that cannot be told from here."""
        if self._look_up is None:
            return None
        known = self._known.get(processes)
        if known is None or not 0 <= now - known[0] < REMEMBERED_US:
            if len(self._known) >= REMEMBERED_MOST:
                self._known = {}
            known = self._known[processes] = (now, _any_alive(processes, self._look_up))
        return known[1]

    def _monotonic_us(self) -> int:
        return int(self._monotonic() * 1_000_000)


def state_of(tx: Tx, run: Life, caller: Caller) -> RunState:
    """The state as it is shown: an end as it is stored, else `running` or `lost`."""
    if run.state != "running":
        return run.state
    alive = caller.presence.is_alive(run.process, tx.now) if run.process else None
    is_lost = _is_silent(run, tx.now, caller) if alive is None else not alive
    return "lost" if is_lost else "running"


def silence(tx: Tx, caller: Caller) -> dict[str, Value]:
    """The rule of silence as values for a statement: `runs.page_unended` has it in SQL, as `_is_silent` has it here."""
    since = caller.presence.since(tx.now)
    return {
        "now": tx.now,
        "listening": since,
        "to_come": tx.now + TO_COME_US,
        "instead": since or tx.now,
        "least_us": caller.presence.least_us,
    }


def lost_after_us(interval_s: float | None) -> int | None:
    """The silence after which a run that announced this interval may be presumed lost; null: never."""
    return int(interval_s * BEATS * 1_000_000) if interval_s else None


def processes_text(process: ProcessIdentity | None) -> str | None:
    """`process` as the processes of a run are stored."""
    return None if process is None else _text([process])


def joined(one: str | None, other: str | None) -> str | None:
    """The processes of both, whatever the order in which they were told."""
    if one is None or other is None or one == other:
        return one or other
    found = {_text([each]): each for each in (*_PROCESSES.decode(one), *_PROCESSES.decode(other))}
    return _text([found[key] for key in sorted(found)[-PROCESSES_MOST:]])


def joined_all(processes: Iterable[ProcessIdentity]) -> str | None:
    """All of these, as the processes of a run are stored."""
    told: str | None = None
    for one in processes:
        told = joined(told, processes_text(one))
    return told


def _is_silent(run: Life, now: int, caller: Caller) -> bool:
    if run.lost_after_us is None:
        return False
    since = caller.presence.since(now)
    seen = max(run.last_seen_at, since) if run.last_seen_at <= now + TO_COME_US else since or now
    return now - seen > max(run.lost_after_us, caller.presence.least_us)


def _any_alive(processes: str, look_up: Callable[[ProcessIdentity], bool | None]) -> bool | None:
    answers = {look_up(process) for process in _PROCESSES.decode(processes)}
    if True in answers:
        return True
    return None if None in answers else False


def _text(processes: list[ProcessIdentity]) -> str:
    return msgspec.json.encode(processes).decode()
