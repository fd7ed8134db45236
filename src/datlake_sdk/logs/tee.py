"""stdout and stderr, copied line by line to a run's log while they go on to where they went before.

A run's context uses `tee_streams` when asked to capture output. It replaces `sys.stdout` and `sys.stderr` inside the
block only, not file descriptors: what a child process or C code prints is not seen.
"""

from __future__ import annotations

import re
import sys
from _thread import get_ident
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TextIO, cast

__all__ = ["tee_streams"]

# A line longer than this is binary or a progress bar without carriage returns; it is passed on in pieces.
LINE_CHARS = 64 * 1024

Sink = Callable[[str], None]


@contextmanager
def tee_streams(sink: Sink, accepts: Callable[[], bool] = lambda: True) -> Generator[None]:
    """Whole lines printed inside the block reach `sink`, without colours and with progress bars collapsed.

    `accepts` says, on the printing thread, whether its text belongs. The streams of before are back afterwards, unless
    somebody replaced ours meanwhile: theirs then stays, and ours only passes on.
    """
    tees = [(name, _Tee(stream, sink, accepts)) for name in ("stdout", "stderr") if (stream := getattr(sys, name))]
    for name, tee in tees:
        setattr(sys, name, tee)
    try:
        yield
    finally:
        for name, tee in reversed(tees):
            if getattr(sys, name) is tee:
                setattr(sys, name, tee.stream)
            tee.finish()


class _Tee:
    """A stream that behaves as the one behind it, and tells the sink what was written."""

    def __init__(self, stream: TextIO, sink: Sink, accepts: Callable[[], bool]) -> None:
        self.stream = stream
        self._sink: Sink | None = sink
        self._accepts = accepts
        # By thread: print() writes its text and its newline apart, and threads would mix their lines. No lock, because
        # each thread touches its own entry only.
        self._partial: dict[int, str] = {}
        self._busy: set[int] = set()

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        finally:
            self._note(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return cast("object", getattr(self.stream, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.stream)

    def finish(self) -> None:
        """The last unfinished lines are told, and from now on the tee only passes on."""
        sink, self._sink = self._sink, None
        for rest in list(self._partial.values()):
            if sink is not None and (line := _readable(rest)):
                sink(line)
        self._partial.clear()

    def _note(self, text: object) -> None:
        thread, sink = get_ident(), self._sink
        # The sink may print, too: when a full disk is told through logging.
        if sink is None or not isinstance(text, str) or thread in self._busy:
            return
        self._busy.add(thread)
        try:
            if self._accepts():
                self._collect(thread, text, sink)
        except Exception:  # noqa: BLE001 - the job's print must not fail because of its log, which counts its own losses
            self._partial.pop(thread, None)
        finally:
            self._busy.discard(thread)

    def _collect(self, thread: int, text: str, sink: Sink) -> None:
        *lines, rest = (self._partial.pop(thread, "") + text).split("\n")
        for line in lines:
            sink(_readable(line) + "\n")
        rest = _collapsed(rest)
        if len(rest) > LINE_CHARS:
            sink(_readable(rest) + "\n")
        elif rest:
            self._partial[thread] = rest


def _collapsed(line: str) -> str:
    """What is left of a line that was overwritten: the text after its last carriage return, kept until newer comes."""
    ended = line.endswith("\r")
    last = line.rstrip("\r").rpartition("\r")[2]
    return last + "\r" if ended else last


def _readable(line: str) -> str:
    return _escapes().sub("", _collapsed(line).removesuffix("\r"))


@cache
def _escapes() -> re.Pattern[str]:
    """Terminal control: colours and cursor moves, titles and links, and single escapes."""
    return re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
