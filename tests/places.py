"""Where stories happen: an embedded lake or a served one, reached the same way from this process and from children."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from datlake_sdk.client import DatlakeClient
from datlake_sdk.errors import DatlakeError

SERVE = """
import sys
from datlake_sdk.cli.server import run_server
sys.exit(run_server(sys.argv[1], "127.0.0.1", int(sys.argv[2])))
"""


class Place(NamedTuple):
    """A lake: how to reach it, the folder that holds it, and the namespace that belongs to this story."""

    address: str
    home: Path
    namespace: str

    def client(self) -> DatlakeClient:
        """A new client."""
        return DatlakeClient(self.address, namespace=self.namespace, timeout=10)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a child process whose jobs go to this lake."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DATLAKE_")}
        key = "DATLAKE_API_URL" if self.address.startswith("http") else "DATLAKE_HOME"
        outbox = os.environ.get("DATLAKE_OUTBOX_DIR", str(self.home / "outbox"))
        return clean | {key: self.address, "DATLAKE_NAMESPACE": self.namespace, "DATLAKE_OUTBOX_DIR": outbox} | more

    def run(self, source: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A Python program that has ended, with what it printed."""
        return subprocess.run(
            [sys.executable, "-c", source],
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def free_port() -> int:
    """A port of this machine that nobody listens on for the moment."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def eventually(is_true: Callable[[], bool], within_s: float) -> None:
    """Returns once `is_true()`; a lake that cannot be reached yet is no answer. Fails after `within_s`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with suppress(DatlakeError):
            if is_true():
                return
        time.sleep(0.1)
    message = f"not true within {within_s} s"
    raise AssertionError(message)


def serve(home: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """A server over the lake in `home`, once it answers, and its address."""
    command = [sys.executable, "-c", SERVE, str(home), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    return process, found[0]


def stop(process: subprocess.Popen[str]) -> None:
    """The server has ended."""
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)
    if process.stdout is not None:
        process.stdout.close()
