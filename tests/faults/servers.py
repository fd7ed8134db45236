"""A server process that is killed, stopped and started again on one port, for the fault tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from datlake_sdk import DatlakeClient, DatlakeError
from tests.faults.proxy import held_socket
from tests.places import SERVE, stop


class Served:
    """A server over the lake in `home`. Its port stays its own while it is dead."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self._environment = environment
        self._anchor = held_socket()
        self.port = int(self._anchor.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready_s = list[float]()
        self._process: subprocess.Popen[str] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process that serves now."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """A process serves and has answered; how long that took is noted."""
        began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.home), str(self.port)],
            env=os.environ | self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self.url in self._process.stdout.readline(), "the server does not start"
        with self.client() as client:
            while True:
                try:
                    client.get_config(retries=False)
                    break
                except DatlakeError:
                    assert time.monotonic() - began < 30, "the server does not answer"
                    time.sleep(0.005)
        self.ready_s.append(time.monotonic() - began)

    def kill(self) -> None:
        """The process is dead by SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """The process ended as it was asked to; nothing happens where none serves."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def pause(self) -> None:
        """The process stands still."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """The process goes on."""
        os.kill(self.pid, signal.SIGCONT)

    def restart_after_kill(self) -> None:
        """The process is killed and another serves."""
        self.kill()
        self.start()

    def client(self, **settings: float) -> DatlakeClient:
        """A new client of this server, past all proxies."""
        return DatlakeClient(self.url, timeout=settings.get("timeout", 20))

    def close(self) -> None:
        """Nothing serves, and the port is anybody's."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
        self.stop()
        self._anchor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
