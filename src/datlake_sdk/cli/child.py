"""A child process whose output is passed on at once, byte for byte, and handed to a sink as well.

`datlake run` uses it; it knows nothing of runs. Signals that reach this process alone are handed on to the child; what
the terminal sends, the child gets from the terminal. The caller blocks `FORWARDED` before it makes any thread.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
CHUNK_BYTES: Final = 64 * 1024
# A program that the child left running may hold the pipes open; nobody waits for it longer than this.
PATIENCE_S: Final = 1.0
# As much as a pipe can hold: what the child wrote before its end is read whole, but a flood from others is not.
PIPE_BYTES: Final = 1024 * 1024


class Child:
    """A running program. `received` are the signals that this process was sent while it ran."""

    def __init__(self, pid: int, outputs: Mapping[int, int], signals: Sequence[signal.Signals]) -> None:
        """Takes over the process and its pipes, as (end to read, descriptor to pass it on to)."""
        self.received: list[signal.Signals] = []
        self._pid = pid
        self._outputs = dict(outputs)
        self._signals = signals
        self._has_ended = False
        self._woken, self._wake = os.pipe()

    def exit_code(self, sink: Callable[[bytes], None]) -> int:
        """The exit code, negative for death by signal, once the child has ended and its output is passed on."""
        threading.Thread(target=self._await_end, name="datlake-child", daemon=True).start()
        threading.Thread(target=self._forward_signals, name="datlake-signals", daemon=True).start()
        with selectors.DefaultSelector() as selector:
            for source in (*self._outputs, self._woken):
                selector.register(source, selectors.EVENT_READ)
            self._pump(selector, sink)
        for source in self._outputs:
            os.close(source)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _await_end(self) -> None:
        # WNOWAIT keeps the process id taken, so that no signal of ours can reach a stranger.
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        self._has_ended = True
        os.close(self._wake)

    def _pump(self, selector: selectors.BaseSelector, sink: Callable[[bytes], None]) -> None:
        while True:
            ready = [key.fd for key, _ in selector.select()]
            for source in ready:
                if source == self._woken:
                    selector.unregister(source)
                    os.close(source)
                    self._drain(selector, sink)
                    return
                self._pass_on(selector, source, sink)

    def _drain(self, selector: selectors.BaseSelector, sink: Callable[[bytes], None]) -> None:
        """Reads on after the child's end until the pipes close, at most `PATIENCE_S`, then what is there already."""
        deadline = time.monotonic() + PATIENCE_S
        budget = PIPE_BYTES
        while self._outputs and budget > 0:
            left = deadline - time.monotonic()
            ready = [key.fd for key, _ in selector.select(max(left, 0.0))]
            if not ready and left <= 0:
                return
            for source in ready:
                count = self._pass_on(selector, source, sink)
                budget -= count if left <= 0 else 0

    def _pass_on(self, selector: selectors.BaseSelector, source: int, sink: Callable[[bytes], None]) -> int:
        """The number of bytes passed on; 0 closes the pipe, also when nobody reads our output any more."""
        data = os.read(source, CHUNK_BYTES)
        if data:
            sink(data)
        if not data or not _written(self._outputs[source], data):
            selector.unregister(source)
            del self._outputs[source]
            os.close(source)  # the child gets the SIGPIPE that it would have got without us
        return len(data)

    def _forward_signals(self) -> None:
        while True:
            number, is_ours_alone = _next_signal(self._signals)
            self.received.append(number)
            if is_ours_alone and not self._has_ended:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(self._pid, number)


def spawn(argv: Sequence[str], environment: Mapping[str, str], mask: set[signal.Signals]) -> Child:
    """The program, started with `mask` as its blocked signals. Raises `OSError` where it cannot be."""
    output, output_end = os.pipe()
    errors, errors_end = os.pipe()
    try:
        # posix_spawn, because it sets the child's signal mask without running Python in a forked child.
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            dict(environment),
            file_actions=[(os.POSIX_SPAWN_DUP2, output_end, 1), (os.POSIX_SPAWN_DUP2, errors_end, 2)],
            setsigmask=mask,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, which a child would inherit
        )
    except OSError:
        os.close(output)
        os.close(errors)
        raise
    finally:
        os.close(output_end)
        os.close(errors_end)
    return Child(pid, {output: 1, errors: 2}, forwarded_signals())


def forwarded_signals() -> list[signal.Signals]:
    """Those that are handed on; one that is ignored (`nohup`) stays ignored, by us and by the child."""
    return [each for each in FORWARDED if signal.getsignal(each) != signal.SIG_IGN]


def _written(target: int, data: bytes) -> bool:
    """Whether all of it went to the descriptor; false once nobody reads there."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:  # somebody made our terminal non-blocking
            with selectors.DefaultSelector() as selector:
                selector.register(target, selectors.EVENT_WRITE)
                selector.select()
        except OSError:
            return False
    return True


def _next_signal(signals: Sequence[signal.Signals]) -> tuple[signal.Signals, bool]:
    """(the next signal, whether a process sent it to us): what the terminal sends goes to the child as well."""
    if sys.platform == "darwin":
        number = signal.Signals(signal.sigwait(signals))
        return number, not (number in {signal.SIGINT, signal.SIGQUIT} and os.isatty(0))
    info = signal.sigwaitinfo(signals)
    return signal.Signals(info.si_signo), info.si_code <= 0
