"""Artifact bytes in a folder, by content: a user's name never becomes a path.

Bytes go to a temporary name and are hashed on the way; when whole and synced they get the name of their sha256. What is
half written is never seen, and what a dead process left in `tmp` is swept when the lake is opened a day later.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC, EXDEV
from hashlib import sha256
from threading import RLock
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import InvalidRequest, ServerError
from datlake_sdk.wire.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.wire.models import LakeObject

STALE_S: Final = 86_400


class ObjectFiles:
    """The folder of bytes of one lake."""

    def __init__(self, folder: str) -> None:
        """Uses `folder`; nothing is made before the first upload."""
        self._folder = folder
        self._tmp = os.path.join(folder, "tmp")

    def begin(self, record: Callable[[int, str], LakeObject]) -> Upload:
        """An upload; `record(size_bytes, sha256)` names the bytes once they are whole."""
        try:
            os.makedirs(self._tmp, mode=0o700, exist_ok=True)
            return Upload(self, os.path.join(self._tmp, new_id()), record)
        except OSError as error:
            raise unwritten(error) from error

    def path_of(self, digest: str) -> str:
        """Where the bytes of this sha256 lie."""
        return os.path.join(self._folder, "sha256", digest[:2], digest)

    def adopt(self, path: str, digest: str) -> None:
        """The synced file at `path` now lies where the bytes of this sha256 lie; it must hold them."""
        target = self.path_of(digest)
        try:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            try:
                os.replace(path, target)
            except OSError as error:
                if error.errno != EXDEV:
                    raise
                self._copy(path, target)  # the folder of objects was moved to another disk
                os.unlink(path)
            sync_folder(os.path.dirname(target))
        except OSError as error:
            raise unwritten(error) from error

    def _copy(self, path: str, target: str) -> None:
        from shutil import copyfileobj

        os.makedirs(self._tmp, mode=0o700, exist_ok=True)
        part = os.path.join(self._tmp, new_id())
        with open(path, "rb") as source, open(part, "xb", opener=_private) as copy:
            copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(part, target)

    def sweep(self) -> None:
        """Removes temporary files that nobody has written to for a day."""
        with suppress(FileNotFoundError):
            for name in os.listdir(self._tmp):
                path = os.path.join(self._tmp, name)
                with suppress(OSError):
                    if time.time() - os.stat(path).st_mtime > STALE_S:
                        os.unlink(path)


class Upload:
    """Bytes on their way into the lake. Ends with `commit` or `abort`, which may come from another thread."""

    def __init__(self, files: ObjectFiles, path: str, record: Callable[[int, str], LakeObject]) -> None:
        """Opens the temporary file `path`."""
        self._files = files
        self._path = path
        self._record = record
        self._hash = sha256()
        self.size_bytes = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        # A file that is closed while another thread writes to it may have become another file by then.
        self._using = RLock()

    def write(self, chunk: bytes | memoryview) -> None:
        """Appends `chunk`. Raises `ServerError` where the disk takes no more."""
        view = memoryview(chunk)
        with self._using:
            self._refuse_if_ended()
            self._hash.update(view)
            self.size_bytes += len(view)
            try:
                while view:
                    view = view[os.write(self._file, view) :]
            except OSError as error:
                raise unwritten(error) from error

    def commit(self, *, sha256: str | None = None, size_bytes: int | None = None) -> LakeObject:
        """The object, whole and on the disk. Raises `InvalidRequest` if it is not what the sender announced."""
        with self._using:
            self._refuse_if_ended()
            digest = self._hash.hexdigest()
            try:
                self._compare("sha256", sha256, digest)
                self._compare("size_bytes", size_bytes, self.size_bytes)
                self._keep(digest)
            except OSError as error:
                raise unwritten(error) from error
            finally:
                self.abort()
        return self._record(self.size_bytes, digest)

    def abort(self) -> None:
        """Leaves nothing behind; nothing happens where the upload has ended already."""
        with self._using:
            if self._file < 0:
                return
            os.close(self._file)
            self._file = -1
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def _refuse_if_ended(self) -> None:
        if self._file < 0:
            message = "the upload was given up before it was whole; nothing of it stayed; send it again"
            raise ServerError(message, code="interrupted", status=503)

    def _keep(self, digest: str) -> None:
        os.fsync(self._file)
        target = self._files.path_of(digest)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        os.replace(self._path, target)
        sync_folder(os.path.dirname(target))

    def _compare(self, what: str, announced: str | int | None, found: str | int) -> None:
        if announced is not None and announced != found:
            message = f"the upload is damaged: {what} is {found}, announced was {announced}; send it again"
            raise InvalidRequest(message, code="digest_mismatch", status=400)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync_folder(path: str) -> None:
    """The names in the folder are on the disk."""
    if os.name == "nt":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unwritten(error: OSError) -> ServerError:
    """The refusal for what the disk did not take."""
    if error.errno in {ENOSPC, EDQUOT, EFBIG}:
        return ServerError("the lake's disk is full; free some space and try again", code="disk_full", status=507)
    return ServerError(f"the lake could not write an object: {error.strerror}", code="store_failed", status=500)
