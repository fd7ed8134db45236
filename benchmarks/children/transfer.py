"""One transfer of one file: `transfer.py copy|up|down FILE SERVER_PID`; 0 where there is no server.

Prints how long it took and by how many MiB the memory of this process and of the server grew at its peak. A small
transfer goes first, so that what is measured is the file and not the loading of libraries.
"""

from __future__ import annotations

import os
import sys
import time
from hashlib import sha256

import msgspec

from datlake_sdk import DatlakeClient

CHUNK_BYTES = 1 << 20
KIB_PER_MIB = 1024


def main() -> None:
    """Warms up, transfers, prints."""
    what, path, server = sys.argv[1], sys.argv[2], int(sys.argv[3])
    act = {"copy": _copy, "up": _up, "down": _down}[what]
    small = f"{path}.small"
    with open(small, "wb") as file:
        file.write(os.urandom(CHUNK_BYTES))
    _up(small)
    act(small)
    processes = [pid for pid in (os.getpid(), server) if pid]
    before = [_restart_peak(pid) for pid in processes]
    began = time.perf_counter()
    act(path)
    seconds = time.perf_counter() - began
    grown = [(_status(pid, "VmHWM") - at) / KIB_PER_MIB for pid, at in zip(processes, before, strict=True)]
    for left in (f"{path}.copy", f"{small}.copy"):
        if os.path.exists(left):
            os.unlink(left)
    print(msgspec.json.encode({"seconds": seconds, "client_mib": grown[0], "server_mib": (*grown, None)[1]}).decode())


def _copy(path: str) -> None:
    """What nobody who copies a file safely can do without."""
    digest = sha256()
    with open(path, "rb", buffering=0) as source, open(f"{path}.copy", "wb", buffering=0) as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
        os.fsync(target.fileno())
    digest.hexdigest()


def _up(path: str) -> None:
    DatlakeClient().upload_object("artifacts", os.path.basename(path), path)


def _down(path: str) -> None:
    DatlakeClient().download_object(f"datlake://artifacts/{os.path.basename(path)}", f"{path}.copy")


def _restart_peak(pid: int) -> int:
    """The memory of the process now, in KiB; its high-water mark begins anew."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
