"""Which file systems can hold a lake: SQLite's shared memory needs one machine, so network file systems are refused."""

from __future__ import annotations

import os
from typing import Final

from datlake_sdk.errors import ServerError

_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "beegfs", "gpfs", "ceph", "glusterfs", "9p", "fuse.sshfs"}
)


def refuse_network_file_system(path: str) -> None:
    """Returns if `path` may hold a lake; raises `ServerError` with the reason if it lies on a network file system."""
    kind = _file_system(os.path.realpath(path))
    if kind in _NETWORK:
        message = (
            f"the lake's folder {path} is on a network file system ({kind}), where processes of several machines would "
            "damage it; set DATLAKE_HOME to a local folder, or DATLAKE_API_URL to a server (`datlake serve`)"
        )
        raise ServerError(message, code="network_file_system", retryable=False)


def _file_system(path: str) -> str:
    """The type of the mount that holds `path`; empty where the system does not tell."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            rows = [line.split(" ") for line in mounts]
    except OSError:
        return ""
    best, kind = "", ""
    for row in rows:
        point = row[1].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, row[2]
    return kind
