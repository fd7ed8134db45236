"""One transfer of one file: `transfer.py copy|up|down FILE SERVER_PID`; 0 where there is no server.

Prints how long it took and by how many MiB the memory of this process and of the server grew at its peak. A small
transfer goes first, so that what is measured is the file and not the loading of libraries.
"""

from __future__ import annotations

import os
import sys
import time
from hashlib import sha256
from pathlib import Path

import msgspec

from datlake_sdk import DatlakeClient

CHUNK_BYTES = 1 << 20
KIB_PER_MIB = 1024


def main() -> None:
    """Warms up, transfers, prints."""
    what, file, server = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    act = {"copy": _copy, "up": _up, "down": _down}[what]
    _warm_up(file)
    processes = [pid for pid in (os.getpid(), server) if pid]
    before = [_restart_peak(pid) for pid in processes]
    began = time.perf_counter()
    act(file)
    seconds = time.perf_counter() - began
    grown = [(_status(pid, "VmHWM") - at) / KIB_PER_MIB for pid, at in zip(processes, before, strict=True)]
    _copied(file).unlink(missing_ok=True)
    print(msgspec.json.encode({"seconds": seconds, "client_mib": grown[0], "server_mib": (*grown, None)[1]}).decode())


def _warm_up(file: Path) -> None:
    small = file.with_suffix(".small")
    small.write_bytes(os.urandom(CHUNK_BYTES))
    for act in (_up, _down, _copy):
        act(small)
    _copied(small).unlink()
    # A machine whose memory comes from a host gets fresh pages at a third of the speed: whoever comes first would pay
    # for all. A copy that is gone again leaves its pages to what is timed next, whichever it is.
    _copy(file)
    _copied(file).unlink()


def _copy(file: Path) -> None:
    """What nobody who copies a file safely can do without."""
    digest = sha256()
    with file.open("rb", buffering=0) as source, _copied(file).open("wb", buffering=0) as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
        os.fsync(target.fileno())
    digest.hexdigest()


def _up(file: Path) -> None:
    DatlakeClient().upload_object("artifacts", file.name, file)


def _down(file: Path) -> None:
    DatlakeClient().download_object(f"datlake://artifacts/{file.name}", _copied(file))


def _copied(file: Path) -> Path:
    return file.with_name(f"{file.name}.copy")


def _restart_peak(pid: int) -> int:
    """The memory of the process now, in KiB; its high-water mark begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
