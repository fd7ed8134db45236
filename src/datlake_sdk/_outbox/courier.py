"""The thread that sends what the queue holds, in the background, and how the end of a run waits for it.

It asks a lake that is away less and less often, and not at all while the breaker of the host is open. Syncing what it
cannot send is a second thread's: one that waits for a lake must not leave accepted events off the disk.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._outbox.delivery import Outcome, Verdict
from datlake_sdk._outbox.parcels import BATCH_EVENTS, Parcel, parcel_from
from datlake_sdk.errors import DatlakeError, InvalidRequest, ServerError, TransientNetworkError
from datlake_sdk.transport.breaker import means_away
from datlake_sdk.transport.retry import chance

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk._outbox.delivery import Delivery
    from datlake_sdk._outbox.journal import Frame
    from datlake_sdk._outbox.queue import Ends, Segment, SegmentQueue
    from datlake_sdk.transport.breaker import Breaker

# Events that come together are sent together.
GATHER_S: Final = 0.02
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
REFUSED_PAUSE_S: Final = 60.0
# Accepted events are on the disk after this, if the lake has not answered them by then.
SYNC_WITHIN_S: Final = 0.15
READ_FRAMES: Final = 1_000
# One operation at which the lake fails while it is well: put aside after the first, given up after the second number.
PARK_AFTER: Final = 2
# Threads that have had nothing to do for so long end: clients that nobody closes keep none.
IDLE_S: Final = 5.0
BURY_AFTER: Final = 8


class Courier:
    """Sends the queue's frames in their order. One thread sends; `flush` may be called from any."""

    def __init__(
        self,
        queue: SegmentQueue,
        delivery: Delivery,
        breaker: Breaker,
        timeout_s: float,
        *,
        answered: Callable[[Parcel, Outcome], None],
        chores: Callable[[Courier], bool],
    ) -> None:
        """`answered` is told of every parcel that is done with; `chores` does other work, true where it did some."""
        self._queue = queue
        self._delivery = delivery
        self._breaker = breaker
        self._timeout_s = timeout_s
        self._answered = answered
        self._chores = chores
        # Reentrant: a signal's handler, or what the collector runs, may log in the midst of what its thread does here.
        self._moved = threading.Condition(threading.RLock())
        self._starting = threading.RLock()
        self._wake = _Flag()
        self._dirty = _Flag()
        self._sender: threading.Thread | None = None
        self._syncer: threading.Thread | None = None
        self._closed = False
        self._hurry = False
        self._steps = 0
        self._failures = 0
        self._tries: dict[tuple[int, int], _Tries] = {}
        self._answers = 0
        self._let_go: Callable[[], None] | None = None
        self._at_most = BATCH_EVENTS
        self._sending = threading.Lock()
        self.last_error: DatlakeError | None = None
        self.is_idle = True

    # --- called by the job --------------------------------------------------------------------------------------------

    def notice(self, *, to_sync: bool) -> None:
        """There is something to send; `to_sync` says that it is not on the disk yet."""
        self.is_idle = False
        if to_sync and not self._dirty.is_set:
            self._dirty.set()
        if not self._wake.is_set:
            self._wake.set()
        # After the flags are set: a thread that ends for want of work looks at them once more.
        if self._sender is None or (to_sync and self._syncer is None):
            self._start()

    def flush(self, patience_s: float, chores_s: float = 0.0) -> bool:
        """True once all is answered; false where the lake is away, or nothing moved for `patience_s` seconds.

        What other processes left is waited for as well, but no longer than `chores_s` seconds in all.
        """
        due = self._queue.ends()
        if self._queue.is_delivered(due) and (self.is_idle or not chores_s):
            return True
        if self._breaker.is_open:
            return False
        with self._moved:
            self._hurry = True
            self._moved.notify_all()
        try:
            self.notice(to_sync=False)
            if self._sender is None or not self._sender.is_alive():
                return self._send_here(due, patience_s)
            return self._wait(due, patience_s, chores_s)
        finally:
            self._hurry = False

    def _wait(self, due: Ends, patience_s: float, chores_s: float) -> bool:
        # What others log meanwhile is theirs to wait for.
        failures, steps = self._failures, self._steps
        began = since = time.monotonic()
        with self._moved:
            while not self._queue.is_delivered(due) or (not self.is_idle and time.monotonic() - began < chores_s):
                if self._failures != failures:
                    break
                if self._steps != steps:
                    steps, since = self._steps, time.monotonic()
                if time.monotonic() - since >= patience_s:
                    break
                self._moved.wait(0.05)
        return self._queue.is_delivered(due)

    def stop(self, patience_s: float, let_go: Callable[[], None]) -> bool:
        """True once nothing is being sent and nothing will be; else `let_go` is called when the call under way ends."""
        self._let_go = let_go
        self._closed = True
        self._wake.set()
        self._dirty.set()
        with self._moved:
            self._moved.notify_all()
        return self._sending.acquire(timeout=patience_s) and self._take_let_go() is not None

    def step(self) -> None:
        """Something moved; whoever waits for progress goes on waiting."""
        with self._moved:
            self._steps += 1
            self._moved.notify_all()

    def _take_let_go(self) -> Callable[[], None] | None:
        with self._starting:
            found, self._let_go = self._let_go, None
            return found

    def _send_here(self, due: Ends, patience_s: float) -> bool:
        # No thread is to be had, as at the end of the interpreter: what is left is sent from here.
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            if not self._round(patience_s):
                break
        return self._queue.is_delivered(due)

    def _start(self) -> None:
        with self._starting:
            if self._sender is None and not self._closed:
                self._sender = self._started(self._run, "datlake-events")
            if self._syncer is None and self._dirty.is_set and not self._closed:
                self._syncer = self._started(self._keep_synced, "datlake-sync")

    def _started(self, work: Callable[[], None], name: str) -> threading.Thread | None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        with suppress(RuntimeError):  # the interpreter is ending
            thread.start()
            return thread
        return None

    # --- the sender ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closed:
            failures = self._failures
            if self._guarded_round():
                pause_s = FIRST_PAUSE_S
            elif self._failures != failures:
                self._rest(self._pause_s(pause_s))
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            elif not self._await_work():
                return
        if self._sending.acquire(blocking=False) and (let_go := self._take_let_go()) is not None:
            let_go()

    def _guarded_round(self) -> bool:
        try:
            return self._round(self._timeout_s)
        except Exception as error:  # noqa: BLE001 -- one of the places that guard a host: the thread must live on
            what = ServerError(f"what waits could not be sent: {type(error).__name__}: {error}", code="courier_failed")
            return self._failed(Outcome(Verdict.AGAIN, what))

    def _round(self, timeout_s: float) -> bool:
        """True where something moved. One thread at a time is in here."""
        with self._sending:
            if self._closed:
                return False
            self._wake.clear()
            found = self._queue.next(READ_FRAMES)
            if found is not None:
                segment, batch = found
                return self._send(segment, batch.frames, timeout_s)
            if self._retry_parked(timeout_s) or self._chores(self):
                return True
            self._settle()
            return False

    def _settle(self) -> None:
        with self._moved:
            if not self._wake.is_set:
                self.is_idle = True
            self._moved.notify_all()

    def _await_work(self) -> bool:
        """True once there is some; false where there was none for long: the next one starts another thread."""
        if not self._closed and not self._wake.wait(IDLE_S):
            self._sender = None
            if not self._wake.is_set:
                return False
            self._sender = threading.current_thread()
        with self._moved:
            if not self._hurry and not self._closed:
                self._moved.wait(GATHER_S)
        return True

    def _send(self, segment: Segment, frames: list[Frame], timeout_s: float) -> bool:
        moved = False
        while frames and not self._closed:
            try:
                parcel = parcel_from(frames, self._at_most)
            except InvalidRequest as error:
                parcel, outcome = Parcel(None, frames[:1], frames[0].end), Outcome(Verdict.REFUSED, error)
            else:
                outcome = self.attempt(parcel, timeout_s)
            if not self._settle_parcel(segment, parcel, outcome):
                return moved
            moved = True
            frames = frames[len(parcel.frames) :] if segment.position >= parcel.end else frames
            time.sleep(0)  # the job may want the interpreter
        return moved

    def attempt(self, parcel: Parcel, timeout_s: float) -> Outcome:
        if not self._breaker.allows():
            known = self.last_error  # one that says nothing of the lake's absence was another operation's
            return Outcome(Verdict.AGAIN, known if known is not None and means_away(known) else _away())
        outcome = self._delivery.deliver(parcel, timeout_s)
        if outcome.error is not None and means_away(outcome.error):
            self._breaker.failed(retry_after_s=outcome.error.retry_after_s)
        else:
            self._breaker.succeeded()
        return outcome

    def _settle_parcel(self, segment: Segment, parcel: Parcel, outcome: Outcome) -> bool:
        """True where the queue may go on with what follows."""
        if outcome.verdict is Verdict.ANSWERED:
            self.last_error = None
            self._answers += 1
            self._at_most = min(self._at_most + max(self._at_most // 4, 1), BATCH_EVENTS)
        elif outcome.verdict is Verdict.REFUSED:
            if len(parcel.frames) > 1:  # one of them is at fault, or together they are too large: in halves it shows
                self._at_most = max(len(parcel.frames) // 2, 1)
                return True
            self._bury(parcel, outcome)
        elif self._failures_at(segment, parcel, outcome).all < PARK_AFTER:
            if outcome.error is not None and outcome.error.code == "timeout":
                self._at_most = max(len(parcel.frames) // 2, 1)  # the line may be too slow for so much at once
            return self._failed(outcome)
        else:
            segment.parked.extend(parcel.frames)
        self._queue.delivered(segment, parcel.end)
        if outcome.verdict is not Verdict.AGAIN:
            self._tries.pop((id(segment), parcel.frames[0].start), None)
            self._answered(parcel, outcome)
        self.step()
        return True

    def _failures_at(self, segment: Segment, parcel: Parcel, outcome: Outcome) -> _Tries:
        """How often the lake has answered and failed at this parcel; 0 where it fails for another reason now."""
        if outcome.verdict is not Verdict.AGAIN or outcome.error is None or outcome.error.status != 500:
            return _Tries()
        place = (id(segment), parcel.frames[0].start)
        before = self._tries.get(place, _Tries())
        # A lake that fails at everything says nothing of this operation.
        alone = before.alone + (self._answers > before.answers or not before.all)
        tries = self._tries[place] = _Tries(before.all + 1, alone, self._answers)
        return tries

    def _retry_parked(self, timeout_s: float) -> bool:
        for segment, frame in self._queue.parked:
            parcel = parcel_from([frame])
            outcome = self.attempt(parcel, timeout_s)
            failures = self._failures_at(segment, parcel, outcome).alone
            if outcome.verdict in {Verdict.AGAIN, Verdict.PAUSED} and failures < BURY_AFTER:
                return self._failed(outcome)
            if outcome.verdict is not Verdict.ANSWERED:
                self._bury(parcel, outcome)
            segment.parked.remove(frame)
            self._tries.pop((id(segment), frame.start), None)
            self._answered(parcel, outcome)
            self.step()
            return True
        return False

    def _bury(self, parcel: Parcel, outcome: Outcome) -> None:
        for frame in parcel.frames:
            self._delivery.bury(frame, outcome.error or _away())

    def _failed(self, outcome: Outcome) -> bool:
        self.last_error = outcome.error
        with self._moved:
            self._failures += 1
            self._moved.notify_all()
        return False

    def _pause_s(self, base_s: float) -> float:
        error = self.last_error
        if error is not None and not error.retryable:
            return REFUSED_PAUSE_S
        drawn = chance() * base_s
        asked = error.retry_after_s if error is not None else None
        return drawn if asked is None else max(min(asked, 300.0), drawn)

    def _rest(self, pause_s: float) -> None:
        """Waits before the next attempt; a run that ends hurries it."""
        until = time.monotonic() + pause_s
        with self._moved:
            while not self._closed and not self._hurry and (left_s := until - time.monotonic()) > 0:
                self._moved.wait(left_s)

    # --- the syncer ---------------------------------------------------------------------------------------------------

    def _keep_synced(self) -> None:
        while not self._closed:
            if not self._dirty.wait(IDLE_S):
                self._syncer = None
                if not self._dirty.is_set:
                    return
                self._syncer = threading.current_thread()
            time.sleep(SYNC_WITHIN_S)
            self._dirty.clear()
            if self._queue.unsynced:
                self._queue.sync()


class _Flag:
    """An event that a signal's handler may set while its own thread is about to: threading's would wait for itself."""

    def __init__(self) -> None:
        self.is_set = False
        self._changed = threading.Condition(threading.RLock())

    def set(self) -> None:
        with self._changed:
            self.is_set = True
            self._changed.notify_all()

    def clear(self) -> None:
        self.is_set = False

    def wait(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.is_set, timeout_s)


class _Tries(NamedTuple):
    """How often an operation failed: in all, and while the lake answered others between (`answers`, at the last)."""

    all: int = 0
    alone: int = 0
    answers: int = 0


def _away() -> TransientNetworkError:
    return TransientNetworkError("the lake has been away for a while; it is asked again soon", code="away")
