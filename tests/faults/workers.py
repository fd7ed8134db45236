"""Processes of jobs that are killed, and the delivery of what they left; for the fault tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.load import ROOT
from tests.faults.oracle import eventually
from tests.faults.rounds import rounds
from tests.places import Place

FLUSH_S = rounds(60, 1_500)


def on_host(place: Place, host: Path, **more: str) -> dict[str, str]:
    """The environment of a process of a host that is the folder: nothing of another's outbox or breaker is seen."""
    return place.environment(DATLAKE_HOME=str(host), DATLAKE_OUTBOX_DIR=str(host / "outbox"), **more)


@contextmanager
def working(place: Place, ledger: Path, seconds: float = 60) -> Iterator[subprocess.Popen[bytes]]:
    """A process of jobs, killed at the end of the block; it has accepted something at its beginning."""
    before = ledger.stat().st_size if ledger.exists() else 0
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.worker", str(ledger), str(seconds)],
        env=on_host(place, place.home),
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert eventually(lambda: ledger.exists() and ledger.stat().st_size > before, 30)
            yield process
        finally:
            process.kill()


def flushed(place: Place) -> None:
    """All that dead processes of the host left is delivered."""
    done = subprocess.run(
        [sys.executable, "-m", "datlake_sdk", "outbox", "flush", "--timeout", str(FLUSH_S)],
        env=on_host(place, place.home),
        capture_output=True,
        text=True,
        timeout=FLUSH_S + 60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
