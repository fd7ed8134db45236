"""A real server process over a lake of its own, and plain connections to it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

SERVE = "import sys; from datlake_sdk.cli.server import run_server; sys.exit(run_server(sys.argv[1], '127.0.0.1', 0))"


class Reply(NamedTuple):
    """An answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The body as an object."""
        return msgspec.json.decode(self.body, type=dict[str, object])


class Server:
    """A running `datlake serve`."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(home)],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.greeting = [self.process.stdout.readline(), self.process.stdout.readline()]
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.greeting[0])
        assert found, (self.greeting, self.process.stderr and self.process.stderr.read())
        self.port = int(found[1])
        self.url = found[0]

    def ask(
        self, method: str, target: str, body: bytes | object = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own; the target travels exactly as written."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = msgspec.json.encode(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            if isinstance(body, bytes) and not any(name.lower() == "content-length" for name in sent):
                sent["Content-Length"] = str(len(body))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body if isinstance(body, bytes) else None)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after it was asked to stop."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        code = self.process.wait(timeout=15)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code
