"""The lock of the one server of a lake's folder: who serves it, and whether the one before ended well.

The kernel lets go of the lock however a process ends. What stands in its file is removed by a server that ends well.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from datlake_sdk.errors import ConfigError, DatlakeError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Generator

NAME: Final = "server.lock"
# Who asks whether a server is there holds the lock for microseconds.
PATIENCE_S: Final = 0.3
_TOLD_BYTES: Final = 4096
_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who serves a folder, as its lock's file has it."""

    pid: int
    host: str
    url: str | None = None

    def __str__(self) -> str:
        """As in `process 123 on lake-host at http://127.0.0.1:8765`."""
        return f"process {self.pid} on {self.host}{f' at {self.url}' if self.url else ''}"


class ServerLock:
    """The lock while it is held. `left_by` is the server before, where that was killed.

    `is_check_due` is true until the lake was looked through after that; then its owner sets it to false.
    """

    def __init__(self, file: int, host: str) -> None:
        """Uses `file`, on which the lock is held; `host` is this machine's name."""
        self._file = file
        self._me = Holder(os.getpid(), host)
        self.left_by = _holder(file)
        self.is_check_due = self.left_by is not None
        self._write(self._me)

    def tell(self, url: str) -> None:
        """Whoever asks for the lock hears where it is that this process serves."""
        self._write(Holder(self._me.pid, self._me.host, url))

    def end(self) -> None:
        """The next server looks for damage only where that is still to be done."""
        self._write((self.left_by or self._me) if self.is_check_due else None)

    def _write(self, holder: Holder | None) -> None:
        with suppress(OSError):  # a full disk; the lock itself holds all the same
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, msgspec.json.encode(holder) + b"\n" if holder else b"", 0)


@contextmanager
def served(home: str) -> Generator[ServerLock]:
    """This process is the only one that serves `home`, until the block ends.

    Raises `ConfigError`: `lake_served` where another one does, else where the folder cannot be written to.
    """
    file = _opened(home)
    try:
        _take(file, home)
        lock = ServerLock(file, _host_name())
        try:
            yield lock
        except DatlakeError:
            lock.end()  # it did not come to serving
            raise
        lock.end()
    finally:
        os.close(file)


def is_served(home: str) -> bool:
    """True while a server holds the lock of `home`; also where it is this very process."""
    if sys.platform == "win32":
        return False
    try:
        file = os.open(os.path.join(home, NAME), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _opened(home: str) -> int:
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        return os.open(os.path.join(home, NAME), _FLAGS, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written to: {error.strerror}; choose a folder you own with --home"
        ) from error


def _take(file: int, home: str) -> None:
    if sys.platform == "win32":
        return
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= deadline:
                told = _holder(file) or "another process"
                raise ConfigError(
                    f"{home} is served already by {told}; stop that one first, or choose another folder with --home",
                    code="lake_served",
                ) from error
            time.sleep(0.01)
        else:
            return


def _holder(file: int) -> Holder | None:
    """Who stands in the lock's file; null where nobody does, or what stands there cannot be read."""
    try:
        return msgspec.json.decode(os.pread(file, _TOLD_BYTES, 0), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _host_name() -> str:
    from socket import gethostname

    return gethostname() or "this host"
