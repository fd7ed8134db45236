"""Processes with a presence, and what they leave."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from datlake_sdk._outbox.claims import Abandoned, claim
from datlake_sdk._outbox.presence import OpenRun

RUN = OpenRun("nightly", "default", "run-1", "2024-05-01T00:00:00Z")

BEGIN = """
import faulthandler, os, signal, sys, time
from datlake_sdk._outbox.presence import OpenRun, Presence
from datlake_sdk.wire.ids import new_id
RUN = OpenRun("nightly", "default", "run-1", "2024-05-01T00:00:00Z")
def begin(folder=sys.argv[1]):
    presence = Presence.create(folder, new_id())
    presence.began(RUN)
    presence.watch_signals()
    return presence
def up():
    print("up", flush=True)
def wait():
    up()
    time.sleep(60)
"""


class Child:
    """A process with a presence in `folder`, once it says `up`."""

    def __init__(self, folder: Path, body: str) -> None:
        # Unbuffered: a signal's handler that prints while a line is printed is refused by Python's own buffer.
        command = [sys.executable, "-u", "-c", BEGIN + body, str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.expect("up")

    def expect(self, line: str) -> None:
        """`line` is what it says next."""
        found = self.line()
        assert found == line, (found, self.ended())

    def end_by(self, number: signal.Signals) -> int:
        """The status with which the process ended after the signal."""
        self.process.send_signal(number)
        return self.ended()[0]

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ended(self) -> tuple[int, str]:
        """The status, and what else was printed."""
        out, err = self.process.communicate(timeout=20)
        assert "Traceback" not in err, err
        return self.process.returncode, out


def the_presence(folder: Path) -> str:
    [path] = folder.glob("*.presence")
    return str(path)


def told(folder: Path) -> Abandoned:
    """What the one process that left something in `folder` told."""
    found = claim(the_presence(folder))
    assert found is not None
    with found:
        return found.told
