"""What one client has accepted for a destination and not delivered yet: the journal, its courier, and its bookkeeping.

The outbox makes one when there is something to keep, and is its only user.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from datlake_sdk._outbox import dead, spool
from datlake_sdk._outbox.closed import QueueClosedError
from datlake_sdk._outbox.courier import Courier
from datlake_sdk._outbox.delivery import Carrier, Delivery, Outcome, Verdict
from datlake_sdk._outbox.journal import SegmentWriter
from datlake_sdk._outbox.parcels import Parcel, UploadParcel, payload_of
from datlake_sdk._outbox.places import others_in
from datlake_sdk._outbox.queue import MemoryFullError, SegmentQueue
from datlake_sdk._outbox.recovery import Adoption
from datlake_sdk._registered import deferred_snapshot
from datlake_sdk._telling import inform, logger
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.models import Snapshot
from datlake_sdk.wire.operations import LogEvents, RegisterSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from datlake_sdk._outbox.outbox import Kept, Outbox
    from datlake_sdk._outbox.presence import Presence
    from datlake_sdk.settings import Settings
    from datlake_sdk.wire.operations import LogEvent, Op, RecordLineage

# The room is counted anew after so much: a folder that other processes fill as well is not looked at for every event.
ROOM_STEP_BYTES: Final = 1 << 20
STOP_WAIT_S: Final = 0.2
FULL_FOR_S: Final = 1.0
# A server takes bodies of 1 MiB, and an embedded lake is held to the same; this is where it is not even tried.
EVENT_LIMIT_BYTES: Final = 8 << 20


class Depot:
    """One per client and process. Makes no file before something is to be kept; safe to share between threads."""

    def __init__(self, outbox: Outbox, settings: Settings, carrier: Callable[[], Carrier]) -> None:
        """Delivers through `carrier()`, which is asked for when it is needed."""
        self._outbox = outbox
        self._folder = outbox.folder
        self._destination = outbox.destination
        self._timeout_s = settings.timeout_s
        self._limit_bytes = settings.outbox_limit_mb << 20
        self._delivery = Delivery(carrier, self._folder, self._destination, self._learn)
        self._queue = SegmentQueue(self._new_segment, damaged=partial(dead.note_damage, self._folder))
        self.courier = Courier(
            self._queue,
            self._delivery,
            outbox.breaker,
            self._timeout_s,
            answered=self._settle,
            chores=self._adopt_a_little,
        )
        self._waiting: Counter[str] = Counter()
        self._counting = threading.RLock()
        self._room_bytes = ROOM_STEP_BYTES
        self._full_until = 0.0
        self._told: set[str] = set()
        self._adoption: Adoption | None = None
        self._steps: Generator[None] | None = None
        self._adoption_due = False
        self._presence: Presence | None = None
        self.lost: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    # --- what is kept -------------------------------------------------------------------------------------------------

    def keep(self, op: Op[object] | UploadParcel) -> Kept:
        """`op` is on the disk, or in memory where there is none; it is delivered later, by this process or the next."""
        run_id = _run_of(op)
        if not isinstance(op, UploadParcel):
            codec.checked(op)  # what no lake would take is refused now, where somebody may mend it
        with self._counting:
            self._waiting[run_id] += 1
        try:
            kept = self._put(op)
        except BaseException:
            self._forget(run_id)
            raise
        if kept == "lost":
            self._forget(run_id)
            self._lose("operation", run_id, "no disk took it, and memory has its fill")
        self.courier.notice(to_sync=False)
        return kept

    def post(self, event: LogEvent | RecordLineage) -> bool:
        """True once the event is in the kernel's hands; it is sent soon, and synced where that takes long."""
        run_id = _run_of(event)
        try:
            kind, payload = payload_of(event)
        except InvalidRequest as error:
            self._lose("event", run_id, error.message)
            return False
        if len(payload) > EVENT_LIMIT_BYTES:
            self._lose("event", run_id, f"an event of {len(payload):,} bytes is larger than any lake takes")
            return False
        self._room_bytes -= len(payload)
        if self._room_bytes < 0 and not self._has_room():
            self._lose("event", run_id, f"the outbox is full ({self._limit_bytes >> 20} MiB)")
            return False
        try:
            self._queue.append(kind, payload)
        except MemoryFullError:
            self._lose("event", run_id, "no disk took it, and memory has its fill")
            return False
        self.courier.notice(to_sync=True)
        return True

    def keep_file(self, what: UploadParcel, path: str) -> UploadParcel | None:
        """What was kept of the file at `path`, `what` with its size and digest; null where there is no room for it."""
        import msgspec

        room = self._limit_bytes - spool.used_bytes(self._folder)
        try:
            name, size_bytes, digest = spool.spooled(self._folder, path, room, is_log=what.is_log)
        except OSError as error:
            self._lose("log" if what.is_log else "artifact", what.run_id, error.strerror or str(error))
            return None
        kept = msgspec.structs.replace(what, spool=name, size_bytes=size_bytes, sha256=digest)
        return kept if self.keep(kept) == "disk" else None

    def holds(self, run_id: str) -> bool:
        """True while something of the run waits: what comes next waits behind it, so that order stays."""
        return self._waiting[run_id] > 0

    @property
    def is_empty(self) -> bool:
        """True where nothing of this process waits."""
        return self._queue.is_empty()

    @property
    def trouble(self) -> str | None:
        """Why what waits is in memory alone, null where it is on a disk."""
        error = self._queue.trouble
        return None if error is None or not self._queue.in_memory else (error.strerror or str(error))

    def flush(self, patience_s: float, chores_s: float = 0.0) -> bool:
        """True once all that this process kept is answered; see `Courier.flush`.

        With `chores_s`, what dead processes left is adopted as well, no longer than that.
        """
        if chores_s and others_in(self._folder, self._outbox.writer):
            self._adoption_due, self.courier.is_idle = True, False
        return self.courier.flush(patience_s, chores_s)

    # --- its life -----------------------------------------------------------------------------------------------------

    def close(self, presence: Presence | None) -> None:
        """Nothing more is taken; what is not delivered is the next process's, once `presence` is given up.

        Where a call is still under way, that happens when it returns.
        """
        self._presence = presence
        if self._queue.unsynced:
            self._queue.sync()
        if self.courier.stop(STOP_WAIT_S, self._let_go):
            self._let_go()

    def _let_go(self) -> None:
        if self._steps is not None:
            self._steps.close()
        is_done = self._queue.close()
        if self._presence is not None:
            self._presence.close(remove=is_done)

    def abandon(self) -> None:
        """In a forked child: its copies of the parent's files are closed, and nothing of the parent's is sent."""
        self._queue.abandon()
        if self._adoption is not None:
            self._adoption.abandon()
            _INHERITED.append(self._steps)  # the parent's thread may stand in the midst of it

    def sync(self) -> None:
        """All that was accepted is on the disk, where there is one."""
        self._queue.sync()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _put(self, what: Op[object] | UploadParcel) -> Kept:
        kind, payload = payload_of(what)
        try:
            self._queue.append(kind, payload)
        except MemoryFullError:
            return "lost"
        return "disk" if self._queue.sync() else "memory"

    def _new_segment(self, number: int) -> SegmentWriter:
        presence = self._presence  # a last sync that fails writes anew what it was to sync
        if presence is None and self._outbox.has(self):
            presence = self._outbox.present()
        if presence is None:
            raise QueueClosedError
        writer = presence.writer
        path = os.path.join(self._folder, f"{writer}.{number}.seg")
        return SegmentWriter.create(path, dead.header(self._destination, writer, number))

    def _has_room(self) -> bool:
        # A folder may hold thousands of files: a full one is not looked through for every event that it cannot take.
        if time.monotonic() < self._full_until:
            return False
        used = spool.used_bytes(self._folder)
        if used > self._limit_bytes:
            for _ in spool.shed_logs(self._folder, used - self._limit_bytes + ROOM_STEP_BYTES):
                self._lose("log", "", "events needed its room in the outbox")
            used = spool.used_bytes(self._folder)
        if used > self._limit_bytes // 2:
            self._tell(
                f"the outbox {self._folder} is more than half full ({self._limit_bytes >> 20} MiB are its limit)"
            )
        self._room_bytes = min(ROOM_STEP_BYTES, self._limit_bytes - used)
        if self._room_bytes <= 0:
            self._full_until = time.monotonic() + FULL_FOR_S
        return self._room_bytes > 0

    def _lose(self, what: str, run_id: str, why: str) -> None:
        self.lost[run_id] += 1
        # One note a run and reason: a full outbox must not be filled further by the news of it.
        if self.lost[run_id] == 1 or what != "event":
            dead.note_loss(self._folder, what, 1, why, run_id or None)
        self._tell(f"the outbox cannot keep everything: {why}")

    def _settle(self, parcel: Parcel, outcome: Outcome) -> None:
        what = parcel.what
        if outcome.verdict is Verdict.REFUSED or outcome.refused:
            self.refused[_run_of(what)] += outcome.refused or 1
        if outcome.verdict is Verdict.REFUSED and isinstance(what, RegisterSnapshot):
            self._outbox.known.forget_deferred(deferred_snapshot(what))
        if not isinstance(what, LogEvents):
            self._forget(_run_of(what))

    def _forget(self, run_id: str) -> None:
        with self._counting:
            self._waiting[run_id] -= 1
            if self._waiting[run_id] <= 0:
                del self._waiting[run_id]

    def _learn(self, op: Op[object], answer: object) -> None:
        if isinstance(op, RegisterSnapshot) and isinstance(answer, Snapshot):
            self._outbox.known.remember_latest(answer)

    def _adopt_a_little(self, courier: Courier) -> bool:
        if self._steps is None:
            if not self._adoption_due:
                return False
            self._adoption_due = False
            self._adoption = Adoption(self._folder, self._outbox.writer, self._attempt, self._delivery)
            self._steps = self._adoption.steps()
        for _ in self._steps:
            courier.step()
            return True
        progress = self._adoption.progress if self._adoption is not None else None
        self._steps = self._adoption = None
        if progress is not None and progress.operations:
            inform("%d operations that earlier processes kept were delivered", progress.operations)
        return False

    def _attempt(self, parcel: Parcel) -> Outcome:
        return self.courier.attempt(parcel, self._timeout_s)

    def adopt_soon(self) -> None:
        """What dead processes left is adopted in the background."""
        if others_in(self._folder, self._outbox.writer):
            self._adoption_due = True
            self.courier.notice(to_sync=False)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger().warning("%s", text)


def _run_of(what: object) -> str:
    if isinstance(what, LogEvents):
        return what.events[0].run_id or ""
    run_id = getattr(what, "run_id", None)
    return run_id if isinstance(run_id, str) else ""


# Adoptions that a forked child inherited.
_INHERITED: list[object] = []
