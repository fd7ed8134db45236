"""The outbox of one client, as its runs see it. Light: what keeps and delivers is loaded when it is needed.

A forked child begins with an empty one: what the parent accepted is the parent's.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from weakref import WeakSet

from datlake_sdk._lazy import loading
from datlake_sdk._outbox.closed import QueueClosedError
from datlake_sdk._outbox.places import destination_of, folder_of, others_in
from datlake_sdk.errors import DatlakeError
from datlake_sdk.transport.breaker import Breaker
from datlake_sdk.wire.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk._outbox.delivery import Carrier
    from datlake_sdk._outbox.depot import Depot
    from datlake_sdk._outbox.known import LastKnown
    from datlake_sdk._outbox.parcels import UploadParcel
    from datlake_sdk._outbox.presence import Presence
    from datlake_sdk.settings import Settings
    from datlake_sdk.wire.operations import LogEvent, Op, RecordLineage

R = TypeVar("R")

Kept = Literal["disk", "memory", "lost"]


class Outbox:
    """One per client. Makes nothing before something is to be kept; safe to share between threads."""

    def __init__(self, settings: Settings, carrier: Callable[[], Carrier], destination: str | None = None) -> None:
        """Delivers through `carrier()`, which is asked for when it is needed, to the lake unless another is named."""
        self._settings = settings
        self._carrier = carrier
        self.destination = destination or destination_of(settings)
        self.folder = folder_of(settings, destination)
        self.breaker = Breaker(os.path.join(self.folder, "breaker"))
        self._known: LastKnown | None = None
        self._presence: Presence | None = None
        self._making = threading.RLock()
        self._depots: dict[None, Depot] = {}
        _tidy_with_the_process(self)

    @property
    def known(self) -> LastKnown:
        """What this host knows of the lake's tables."""
        if self._known is None:
            with loading():
                from datlake_sdk._outbox.known import LastKnown

            self._known = LastKnown(os.path.join(self.folder, "known"))
        return self._known

    def keep(self, what: Op[object] | UploadParcel) -> Kept:
        """`what` is on the disk, or in memory where there is none; delivered later, by this process or the next.

        Raises `InvalidRequest` for what no lake would take, and `ValueError` for what no journal holds.
        """
        return self._asked(lambda depot: depot.keep(what))

    def post(self, event: LogEvent | RecordLineage) -> bool:
        """True once the event is in the kernel's hands; it is sent soon, and synced where that takes long."""
        return self._asked(lambda depot: depot.post(event))

    def keep_file(self, what: UploadParcel, path: str) -> UploadParcel | None:
        """What was kept of the file at `path`, `what` with its size and digest; null where there is no room for it."""
        return self._asked(lambda depot: depot.keep_file(what, path))

    def holds(self, run_id: str) -> bool:
        """True while something of the run waits: what comes next waits behind it, so that order stays."""
        depot = self._depots.get(None)
        return depot is not None and depot.holds(run_id)

    def flush(self, patience_s: float, chores_s: float = 0.0) -> bool:
        """True once all that this process kept is answered; see `Courier.flush`.

        With `chores_s`, what dead processes left is adopted as well, no longer than that.
        """
        depot = self._depots.get(None)
        if depot is None and not (chores_s and others_in(self.folder, self.writer)):
            return True
        return self._depot().flush(patience_s, chores_s)

    def adopt_soon(self) -> None:
        """What dead processes left is adopted in the background."""
        if others_in(self.folder, self.writer):
            self._depot().adopt_soon()

    @property
    def is_empty(self) -> bool:
        """True where nothing of this process waits."""
        depot = self._depots.get(None)
        return depot is None or depot.is_empty

    @property
    def trouble(self) -> str | None:
        """Why what waits is in memory alone, null where it is on a disk."""
        depot = self._depots.get(None)
        return None if depot is None else depot.trouble

    @property
    def last_error(self) -> DatlakeError | None:
        """Why the latest delivery failed; null where it did not."""
        depot = self._depots.get(None)
        return None if depot is None else depot.courier.last_error

    def losses_of(self, run_id: str) -> tuple[int, int]:
        """How many things of the run could not be kept, and how many were refused for good."""
        depot = self._depots.get(None)
        return (0, 0) if depot is None else (depot.lost[run_id], depot.refused[run_id])

    # --- this process, as the host sees it ----------------------------------------------------------------------------

    @property
    def writer(self) -> str | None:
        """Who this process is in the folder; null before it has anything there."""
        return None if self._presence is None else self._presence.writer

    def present(self) -> Presence:
        """The sign of this process's life, made at the first call. Raises `OSError` where the folder takes none."""
        with self._making:
            if self._presence is None:
                with loading():
                    from datlake_sdk._outbox.presence import Presence

                self._presence = Presence.create(self.folder, new_id())
            return self._presence

    def began(self, job_name: str, namespace: str, run_id: str, began_at: str) -> None:
        """The host knows that this process has the run open, and a signal that ends it leaves a mark. Never raises."""
        with loading():
            from datlake_sdk._outbox.presence import OpenRun

        with suppress(OSError):
            presence = self.present()
            presence.began(OpenRun(job_name=job_name, namespace=namespace, run_id=run_id, began_at=began_at))
            presence.watch_signals()

    def refresh(self) -> None:
        """The sign of this process's life is new. Where a file system knows no locks, an hour without means dead."""
        if self._presence is not None:
            self._presence.refresh()

    def ended(self, run_id: str) -> None:
        """The run is no longer open."""
        if self._presence is not None:
            self._presence.ended(run_id)

    def close(self) -> None:
        """Nothing more is sent from here; what is not delivered is on the disk. Another use begins anew."""
        with self._making:
            depot, presence = self._depots.pop(None, None), self._presence
            self._presence = None
        if depot is not None:
            depot.close(presence)
        elif presence is not None:
            presence.close(remove=True)

    def has(self, depot: Depot) -> bool:
        """True where `depot` is the one in use: not closed, nor on the way to it."""
        return self._depots.get(None) is depot

    def begin_anew(self) -> None:
        """In a forked child: nothing of the parent's is sent, and its files are closed."""
        self._making = threading.RLock()
        depot, presence = self._depots.pop(None, None), self._presence
        self._presence = None
        if depot is not None:
            depot.abandon()
        if presence is not None:
            presence.abandon()

    def _depot(self) -> Depot:
        if None not in self._depots:
            with loading():
                from datlake_sdk._outbox.depot import Depot

            # One only, also where two threads ask at once.
            return self._depots.setdefault(None, Depot(self, self._settings, self._carrier))
        return self._depots[None]

    def _asked(self, work: Callable[[Depot], R]) -> R:
        """What `work` gets from the depot; from a new one where it was closed in this very moment."""
        while True:
            try:
                return work(self._depot())
            except (KeyError, QueueClosedError):
                continue


# --- with the process -------------------------------------------------------------------------------------------------

_OUTBOXES: Final[WeakSet[Outbox]] = WeakSet()
_registered: Final[list[bool]] = []


def _tidy_with_the_process(outbox: Outbox) -> None:
    """Forked children begin anew, and the end of the process leaves no empty file; nothing is sent there."""
    if not _registered:
        import atexit

        _registered.append(True)
        atexit.register(_tidy)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_begin_anew)
    _OUTBOXES.add(outbox)


def _tidy() -> None:
    for outbox in list(_OUTBOXES):
        with suppress(OSError, DatlakeError):
            outbox.close()


def _begin_anew() -> None:
    for outbox in list(_OUTBOXES):
        outbox.begin_anew()
