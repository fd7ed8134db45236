"""Whether the processes of this host ask a destination at all, agreed on through one small file.

Five failures in a row open it; then one caller at a time tries, after pauses that grow from 5 s to a minute, until one
succeeds. What cannot be shared (no disk, no right to it) holds for this process alone. Nothing here raises.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, MsgspecError, Struct, structs

from datlake_sdk.errors import DatlakeError, ServerError, TransientNetworkError
from datlake_sdk.transport.retry import chance as drawn

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES_TO_OPEN: Final = 5
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0
# A server that asks for an hour is asked again after five minutes: it may have been restarted meanwhile.
ASKED_PAUSE_CAP_S: Final = 300.0

# How long a healthy process goes without looking at the file.
_LOOK_EVERY_S: Final = 0.5
# Clocks are adjusted by less than this all the time; one that went back by more says nothing about how long ago.
_CLOCK_STEP_S: Final = 1.0
_LOCK_TRIES: Final = 100
_LOCK_PAUSE_S: Final = 0.001
_FILE_BYTES: Final = 512
# What a server, or a proxy before it, answers while it cannot be asked.
_BUSY_STATUSES: Final = frozenset({429, 502, 503, 504})


def means_away(error: DatlakeError | None) -> bool:
    """True for what a lake says, or does not say, that nobody should ask for a while."""
    busy = isinstance(error, ServerError) and error.status in _BUSY_STATUSES
    return busy or isinstance(error, TransientNetworkError)


class _State(Struct, frozen=True):
    """What the processes agree on. Open where `pause_s` is not 0: since the Unix time `since`, for that long.

    `level` counts how often it opened again without a success between.
    """

    failures: Annotated[int, Meta(ge=0, le=1 << 31)] = 0
    level: Annotated[int, Meta(ge=0, le=16)] = 0
    since: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    pause_s: Annotated[float, Meta(ge=0, le=ASKED_PAUSE_CAP_S)] = 0.0
    is_probing: bool = False

    @property
    def is_closed(self) -> bool:
        return self.pause_s == 0

    def refuses(self, now: float) -> bool:
        """True while the pause lasts. A clock that was set back ends it: else it would last until it has caught up."""
        return not self.is_closed and self.since - _CLOCK_STEP_S <= now < self.since + self.pause_s


_CLEAN: Final = _State()


class Breaker:
    """Whether the processes of this host ask a destination at all. Shared by threads, and usable in a forked child."""

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = drawn,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Will agree with others through the file `path`, which is made at the first failure. `clock` is Unix time."""
        self._path = path
        self._clock = clock
        self._chance = chance
        self._monotonic = monotonic
        self._clean_until = -1.0
        self._own: _State | None = None  # what counts where the file could not be written

    def allows(self) -> bool:
        """True where the destination may be asked: closed, or this caller is the one that tries.

        Whoever is told so while it is open has to say `succeeded` or `failed`; others are refused until then, or for
        another pause.
        """
        if self._is_known_clean():
            return True
        state = self._state()
        if state.is_closed:
            return True
        return not state.refuses(self._clock()) and self._claims_probe()

    @property
    def is_open(self) -> bool:
        """True where `allows` would refuse now; asking this changes nothing."""
        return self.open_until is not None

    @property
    def open_until(self) -> float | None:
        """The Unix time until which `allows` refuses, null where it does not; asking this changes nothing."""
        if self._is_known_clean():
            return None
        state = self._state()
        return state.since + state.pause_s if state.refuses(self._clock()) else None

    def succeeded(self) -> None:
        """It is closed, whatever there was."""
        if not self._is_known_clean() and (self._own is not None or self._file_size()):
            self._change(lambda _: _CLEAN)

    def failed(self, *, retry_after_s: float | None = None) -> None:
        """One failure more is counted; the fifth in a row opens it, and a failed try opens it for twice as long.

        `retry_after_s` is what the server asked for: it lengthens the pause.
        """
        asked_s = min(max(retry_after_s or 0.0, 0.0), ASKED_PAUSE_CAP_S)
        self._change(lambda state: self._after_failure(state, asked_s))

    # --- what follows from what ---------------------------------------------------------------------------------------

    def _after_failure(self, state: _State, asked_s: float) -> _State:
        now = self._clock()
        if state.is_closed:
            failures = state.failures + 1
            if failures < FAILURES_TO_OPEN:
                return structs.replace(state, failures=failures)
            return self._opened(0, now, asked_s)
        if state.refuses(now) and not state.is_probing:
            # Asked before it opened, or a read that needs an answer: no news, but for how long it is asked to wait.
            is_longer = now + asked_s > state.since + state.pause_s
            return structs.replace(state, since=now, pause_s=asked_s) if is_longer else state
        return self._opened(min(state.level + 1, 16), now, asked_s)

    def _opened(self, level: int, now: float, asked_s: float) -> _State:
        # Full pauses, spread by a fifth to either side: the processes of many hosts do not try in step.
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**level) * (0.8 + 0.4 * self._chance())
        return _State(failures=FAILURES_TO_OPEN, level=level, since=now, pause_s=max(pause_s, asked_s))

    def _claims_probe(self) -> bool:
        """True where it closed meanwhile, or this caller is the first after the pause."""
        now = self._clock()

        def claimed(state: _State) -> _State:
            if state.is_closed or state.refuses(now):
                return state
            return structs.replace(state, since=now, is_probing=True)

        before = self._change(claimed)
        return before.is_closed or not before.refuses(now)

    # --- the file -----------------------------------------------------------------------------------------------------

    def _is_known_clean(self) -> bool:
        return self._own is None and self._monotonic() < self._clean_until

    def _state(self) -> _State:
        """What counts now."""
        if self._own is not None:
            return self._own
        if not self._file_size():
            return _CLEAN
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                return _decoded(os.pread(file, _FILE_BYTES, 0))
            finally:
                os.close(file)
        except OSError:
            return _CLEAN

    def _file_size(self) -> int:
        """The size of the file; none, like an empty one, says that all is well."""
        size = 0
        with suppress(OSError):
            size = os.stat(self._path).st_size
        if size == 0:
            self._clean_until = self._monotonic() + _LOOK_EVERY_S
        return size

    def _change(self, change: Callable[[_State], _State]) -> _State:
        """What counted before `change` was made to it, for all processes or, where that cannot be, for this one."""
        self._clean_until = -1.0
        try:
            file = _locked(self._path)
        except OSError:
            return self._change_alone(self._state(), change)
        try:
            before = _decoded(os.pread(file, _FILE_BYTES, 0))
            after = change(before)
            _write(file, after)
        except OSError:
            return self._change_alone(self._state(), change)
        finally:
            _let_go(file)
        self._own = None
        return before

    def _change_alone(self, before: _State, change: Callable[[_State], _State]) -> _State:
        after = change(before)
        self._own = None if after == _CLEAN else after
        return before


def _let_go(file: int) -> None:
    # Closing is not enough: a child forked meanwhile has a copy, which would hold the lock for as long as it lives.
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def _locked(path: str) -> int:
    """The file, made if need be, and its lock. Raises `OSError`."""
    if sys.platform == "win32":
        raise OSError("no flock")
    from datlake_sdk._outbox.places import make_private

    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        make_private(os.path.dirname(path))
        file = os.open(path, flags, 0o600)
    try:
        _lock(file)
    except BaseException:
        os.close(file)
        raise
    return file


def _lock(file: int) -> None:
    """The lock is ours. Raises `OSError` where its holder keeps it: that may be a stopped process."""
    import fcntl

    for _ in range(_LOCK_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_LOCK_PAUSE_S)
    raise TimeoutError


def _write(file: int, state: _State) -> None:
    """The file says `state`; empty is the healthy one, which can be told by its size alone."""
    from msgspec import json

    data = b"" if state == _CLEAN else json.encode(state) + b"\n"
    if os.pwrite(file, data, 0) != len(data):
        raise OSError("short write")
    os.ftruncate(file, len(data))


def _decoded(data: bytes) -> _State:
    """The state in the file; the healthy one where it holds anything else."""
    if not data:
        return _CLEAN
    from msgspec import json

    try:
        return json.decode(data, type=_State)
    except (MsgspecError, UnicodeError, RecursionError):
        return _CLEAN
