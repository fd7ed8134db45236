"""Bytes that could not be uploaded, kept by their content until the courier can. Knows files, sends nothing."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from hashlib import sha256
from typing import Final

from datlake_sdk._outbox.delivery import SPOOL
from datlake_sdk._outbox.journal import sync_folder
from datlake_sdk._outbox.places import make_private
from datlake_sdk.wire.ids import new_id

LOG_ENDING: Final = ".log"
# Between a file's arrival and the journal's word of it lie moments.
FORGOTTEN_AFTER_S: Final = 3600.0
_CHUNK_BYTES: Final = 1 << 20


class TooLargeError(OSError):
    """The file is larger than the room that is left."""


def spooled(folder: str, path: str, room_bytes: int, *, is_log: bool) -> tuple[str, int, str]:
    """(name in the spool, size, sha256) of a copy of the file as it is now, on the disk. Raises `OSError`.

    The same content again takes no room: it is another name of the same bytes.
    """
    place = os.path.join(folder, SPOOL)
    make_private(place)
    part = os.path.join(place, f"{new_id()}.part")
    try:
        size_bytes, digest = _copied(path, part, room_bytes)
        name = f"{digest}.{new_id()}{LOG_ENDING if is_log else '.bin'}"
        twin = next((other for other in os.listdir(place) if other.startswith(digest)), None)
        if twin is not None and _linked(os.path.join(place, twin), os.path.join(place, name)):
            os.unlink(part)
        else:
            os.replace(part, os.path.join(place, name))
        sync_folder(place)  # else the journal might outlive, after a power cut, what it speaks of
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
    return name, size_bytes, digest


def shed_logs(folder: str, needed_bytes: int) -> list[str]:
    """The names of the logs that were given up, the oldest first, until `needed_bytes` are free."""
    place, shed = os.path.join(folder, SPOOL), list[str]()
    try:
        with os.scandir(place) as found:
            logs = sorted(
                (each for each in found if each.name.endswith(LOG_ENDING)), key=lambda log: log.stat().st_mtime
            )
    except OSError:
        return []
    for log in logs:
        if needed_bytes <= 0:
            break
        with suppress(OSError):
            size_bytes = log.stat().st_size
            os.unlink(log.path)
            needed_bytes -= size_bytes
            shed.append(log.name)
    return shed


def forgotten(folder: str, older_than_s: float = FORGOTTEN_AFTER_S) -> list[str]:
    """The names of files that have waited so long that whoever put them there has written of them, or died before."""
    long_ago, names = time.time() - older_than_s, list[str]()
    with suppress(OSError), os.scandir(os.path.join(folder, SPOOL)) as found:
        names = [each.name for each in found if each.stat(follow_symlinks=False).st_mtime < long_ago]
    return names


def remove(folder: str, name: str) -> None:
    """The file is gone."""
    with suppress(OSError):
        os.unlink(os.path.join(folder, SPOOL, name))


def used_bytes(folder: str) -> int:
    """How much the folder's journals and its spool hold."""
    total = 0
    for place in (folder, os.path.join(folder, SPOOL)):
        with suppress(OSError), os.scandir(place) as found:
            for each in found:
                with suppress(OSError):
                    total += each.stat(follow_symlinks=False).st_size if each.is_file(follow_symlinks=False) else 0
    return total


def _copied(path: str, part: str, room_bytes: int) -> tuple[int, str]:
    digest, size_bytes = sha256(), 0
    with open(path, "rb", buffering=0) as source, open(os.open(part, _NEW_FILE, 0o600), "wb", buffering=0) as copy:
        left = os.fstat(source.fileno()).st_size  # a log may grow while it is copied
        if left > room_bytes:
            message = f"{left:,} bytes do not fit into the outbox, which has room for {max(room_bytes, 0):,}"
            raise TooLargeError(message)
        while left and (chunk := source.read(min(_CHUNK_BYTES, left))):
            _write_all(copy.fileno(), chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
            left -= len(chunk)
        os.fsync(copy.fileno())
    return size_bytes, digest.hexdigest()


_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def _write_all(file: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]


def _linked(twin: str, name: str) -> bool:
    try:
        os.link(twin, name)
        os.utime(name)
    except OSError:  # a file system without links, or the twin is gone
        return False
    return True
