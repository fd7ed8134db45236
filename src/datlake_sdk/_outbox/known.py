"""What this host knows of a lake's tables while the lake is away: its answers, and registrations it has not got yet.

Small files, never synced: what is damaged, foreign or gone is not known, and nothing here raises. Reads ask it, the
outbox tells it; it asks no lake and judges no age.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal
from zlib import crc32

from msgspec import Struct

from datlake_sdk.errors import DatlakeError
from datlake_sdk.wire.models import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_Kind = Literal["latest", "deferred", "pinned"]

# Of each kind: 256 folders with 39 files, 9,984 in all, so that making room lists few names.
_FILES_A_FOLDER: Final = 39
# Beyond this an answer is not worth keeping; a job that attaches such metadata asks its lake.
_FILE_BYTES: Final = 1 << 20
_MAGIC: Final = b"datlake-known 1 "
# The magic, checksum and size of what follows, in hexadecimal.
_HEAD_BYTES: Final = len(_MAGIC) + 18
# No pipe is waited for, no link followed: the folder may hold what others put there.
_CAREFULLY: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# A reader may meet a writer half-way; a few microseconds later it is done.
_READ_TRIES: Final = 3


class Known(Struct, frozen=True, kw_only=True):
    """A snapshot and when this host learned of it (Unix time).

    `deferred` is this host's own registration that the lake has not counted yet; its version is 0.
    """

    snapshot: Snapshot
    learned_at: float
    deferred: bool = False


class LastKnown:
    """What is known of one lake, in a folder that the host's processes share. Safe for threads and forked children."""

    def __init__(self, folder: str, *, clock: Callable[[], float] = time.time) -> None:
        """Will use `folder`, which is made at the first thing to remember."""
        self._folder = folder
        self._clock = clock

    # --- what is told -------------------------------------------------------------------------------------------------

    def remember_latest(self, snapshot: Snapshot) -> None:
        """`snapshot` is the table's newest, says its lake. A late one is not: that is only no longer deferred."""
        if not snapshot.late:
            self._write("latest", snapshot)
        self.settle(snapshot)

    def remember_deferred(self, snapshot: Snapshot) -> None:
        """This host registered `snapshot`, and its lake does not know it yet; nothing where it knows a newer one."""
        before = self.latest(snapshot.namespace, snapshot.table_name)
        if before is None or _order(before.snapshot) < _order(snapshot):
            self._write("deferred", snapshot)

    def remember_snapshot(self, version_or_id: str, snapshot: Snapshot) -> None:
        """`version_or_id` of the table is `snapshot`, for good; nothing where that names something that may move."""
        if version_or_id in {str(snapshot.version), snapshot.snapshot_id}:
            self._write("pinned", snapshot, version_or_id)

    def settle(self, snapshot: Snapshot) -> None:
        """The lake knows `snapshot`: what was deferred up to it is no longer news."""
        before = self.deferred(snapshot.namespace, snapshot.table_name)
        if before is not None and _is_settled(before.snapshot, snapshot):
            self.forget_deferred(before.snapshot)

    def forget_deferred(self, snapshot: Snapshot) -> None:
        """`snapshot` will never be known to its lake: it was refused, or dropped."""
        before = self.deferred(snapshot.namespace, snapshot.table_name)
        if before is not None and before.snapshot.snapshot_id == snapshot.snapshot_id:
            with suppress(OSError):
                os.unlink(self._path("deferred", snapshot.namespace, snapshot.table_name))

    # --- what is known ------------------------------------------------------------------------------------------------

    def latest(self, namespace: str, table_name: str) -> Known | None:
        """The newest of what the lake said and what it has not got yet."""
        deferred, answered = self.deferred(namespace, table_name), self.answered(namespace, table_name)
        if deferred is None or (answered is not None and _is_settled(deferred.snapshot, answered.snapshot)):
            return answered
        return deferred

    def answered(self, namespace: str, table_name: str) -> Known | None:
        """What the lake last said is the table's newest snapshot."""
        return self._read("latest", namespace, table_name)

    def deferred(self, namespace: str, table_name: str) -> Known | None:
        """The newest registration of this host that its lake may not know yet."""
        return self._read("deferred", namespace, table_name)

    def snapshot(self, namespace: str, table_name: str, version_or_id: str) -> Snapshot | None:
        """The table's snapshot of that version or id, where it was read before."""
        known = self._read("pinned", namespace, table_name, version_or_id)
        return None if known is None else known.snapshot

    # --- files --------------------------------------------------------------------------------------------------------

    def _path(self, kind: _Kind, *names: str) -> str:
        name = sha256("\x00".join(names).encode("utf-8", "surrogatepass")).hexdigest()
        return os.path.join(self._folder, kind, name[:2], name[2:32])

    def _read(self, kind: _Kind, namespace: str, table_name: str, *more: str) -> Known | None:
        path, body = self._path(kind, namespace, table_name, *more), None
        with suppress(OSError):
            for _ in range(_READ_TRIES):
                if body := _body(_content(path)):
                    break
        known = _known(kind, body) if body else None
        if known is None or (known.snapshot.namespace, known.snapshot.table_name) != (namespace, table_name):
            return None
        return known

    def _write(self, kind: _Kind, snapshot: Snapshot, *more: str) -> None:
        from datlake_sdk.wire.codec import encode

        path = self._path(kind, snapshot.namespace, snapshot.table_name, *more)
        with suppress(OSError, DatlakeError):  # a full disk; text that JSON cannot hold
            body = f"{kind} {self._clock()!r}\n".encode() + encode(snapshot)
            if len(body) <= _FILE_BYTES:
                _put(path, _MAGIC + b"%08x %08x\n" % (crc32(body), len(body)) + body)


def _order(snapshot: Snapshot) -> tuple[datetime, str]:
    return snapshot.created_at, snapshot.snapshot_id


def _is_settled(deferred: Snapshot, answered: Snapshot) -> bool:
    """True where the lake that gave `answered` as a table's newest has nothing newer to expect in `deferred`.

    The same id says so, too: a lake caps the time of what a fast clock stamped.
    """
    return deferred.snapshot_id == answered.snapshot_id or _order(deferred) <= _order(answered)


def _body(data: bytes) -> bytes | None:
    """What was written, null where that is damaged. What a longer one left behind it is no part of it."""
    head = data[:_HEAD_BYTES]
    with suppress(ValueError):
        body = data[_HEAD_BYTES : _HEAD_BYTES + int(head[-9:], 16)]
        if head == _MAGIC + b"%08x %08x\n" % (crc32(body), len(body)):
            return body
    return None


def _known(kind: _Kind, body: bytes) -> Known | None:
    """What `body` says, null where it is another kind's."""
    from datlake_sdk.wire.codec import decode

    head, _, snapshot = body.partition(b"\n")
    with suppress(ValueError, DatlakeError):
        written_as, text = head.decode().split(" ")
        learned_at = float(text)
        if written_as == kind and math.isfinite(learned_at):
            return Known(snapshot=decode(snapshot, Snapshot), learned_at=learned_at, deferred=kind == "deferred")
    return None


def _content(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | _CAREFULLY)
    try:
        return os.read(file, _FILE_BYTES + 64)
    finally:
        os.close(file)


def _put(path: str, data: bytes) -> None:
    """The file at `path` begins with `data`, which says how long it is. Raises `OSError`.

    Written in place, 4 us: a file that is renamed over another is flushed by ext4 at once, 200 to 700 us.
    """
    file = _opened(path)
    try:
        os.write(file, data)  # a full disk takes a part of it: then it is not known
    finally:
        os.close(file)


def _opened(path: str) -> int:
    from datlake_sdk._outbox.places import make_private

    flags = os.O_WRONLY | _CAREFULLY
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    folder = os.path.dirname(path)
    try:
        _make_room(folder)
    except FileNotFoundError:
        make_private(folder)
    return os.open(path, flags | os.O_CREAT, 0o600)


def _make_room(folder: str) -> None:
    """There is room for one file more; the oldest went."""
    names = os.listdir(folder)
    if len(names) < _FILES_A_FOLDER:
        return
    aged = list[tuple[float, str]]()
    for name in names:
        path = os.path.join(folder, name)
        with suppress(OSError):
            aged.append((os.stat(path).st_mtime, path))
    for _, path in sorted(aged)[: len(names) - _FILES_A_FOLDER + 1]:
        with suppress(OSError):
            os.unlink(path)
