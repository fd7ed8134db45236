"""Which process this is, and whether another one still lives, from what Linux tells in /proc.

The SDK names the process of a run with it; its outbox and an embedded lake ask it about processes that came before.
Never signals, never waits. Where there is no /proc it knows nothing, and says so.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from msgspec import Struct

from datlake_sdk.wire.models import ProcessIdentity

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
# Machines that were never named: two of them may share a folder, so their name tells nothing apart.
_NAMELESS: Final = frozenset({"", "localhost", "localhost.localdomain"})

_own: dict[int, ProcessIdentity] = {}


class _Stat(Struct, frozen=True):
    """What /proc/PID/stat says of a process."""

    pid: int
    state: str
    threads: int
    started: int


def own_identity() -> ProcessIdentity:
    """This process, read once in each process; what the system does not tell is empty or 0."""
    pid = os.getpid()
    found = _own.get(pid)
    if found is None:
        found = _read_own(pid)
        _own.clear()  # what a forked child inherited is its parent's
        _own[pid] = found
    return found


def is_alive(identity: ProcessIdentity) -> bool | None:
    """True: it runs. False: it is certainly gone, a zombie included. None: it cannot be told from here."""
    own = own_identity()
    if identity == own:
        return True
    if identity.host != own.host or not identity.boot_id or not own.boot_id:
        return None
    if identity.boot_id != own.boot_id:
        return None if own.host in _NAMELESS else False
    if not identity.pid_namespace or identity.pid_namespace != own.pid_namespace:
        return None
    return _lives_here(identity.pid, identity.started)


def _lives_here(pid: int, started: int) -> bool | None:
    """Whether the process of that number and start is in this process's own table."""
    stat = _stat(str(pid))
    if stat is None:
        return None if _is_hidden(pid) else False
    if started and stat.started != started:
        return False
    # A process whose first thread has left while others work shows itself as a zombie, with its threads.
    is_gone = stat.state in "ZX" and stat.threads <= 1
    if is_gone or started:
        return not is_gone
    return None


def _is_hidden(pid: int) -> bool:
    """Whether the process is there though /proc does not show it (mounted with `hidepid`, or not readable)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_own(pid: int) -> ProcessIdentity:
    if sys.platform == "win32":
        return ProcessIdentity(host=os.environ.get("COMPUTERNAME", "")[:256], boot_id="", pid=pid)
    host = os.uname().nodename[:256]
    stat = _stat("self")
    # A /proc of another process table (a container given its host's) numbers processes differently: of no use here.
    if stat is None or stat.pid != pid:
        return ProcessIdentity(host=host, boot_id=_text(_BOOT_ID)[:64], pid=pid)
    return ProcessIdentity(
        host=host,
        boot_id=_text(_BOOT_ID)[:64],
        pid=pid,
        started=stat.started,
        pid_namespace=_namespace(),
    )


def _namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _stat(process: str) -> _Stat | None:
    """What the system says of a process; the second field, its name, may hold blanks and brackets of its own."""
    before, _, after = _text(f"/proc/{process}/stat").rpartition(")")
    fields = after.split()
    try:
        return _Stat(int(before.partition(" ")[0]), fields[0], int(fields[17]), int(fields[19]))
    except (ValueError, IndexError):
        return None


def _text(path: str) -> str:
    """The start of a small file of the system, or nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 4096).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)
