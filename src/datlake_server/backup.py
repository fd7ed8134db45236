"""A backup of a lake while everybody goes on using it: one file, checked while it is written, whole or not there.

Called by `datlake backup`. The order matters: a log that becomes an object meanwhile is found as the one or the other.
"""

from __future__ import annotations

import os
import sys
import tarfile
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from datlake_sdk import __version__
from datlake_sdk.errors import DatlakeError, NotFound
from datlake_server.archive import (
    FORMAT,
    LOG,
    MANIFEST,
    OBJECT,
    RECORDS,
    Counts,
    Manifest,
    Member,
    Summary,
    object_name,
)
from datlake_server.objects.files import sync_folder
from datlake_server.store import refusals
from datlake_server.store.connections import Failure, Reader, told
from datlake_server.store.filelock import OpenMark

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import BinaryIO

    from datlake_server.store.base import Tx

    # Hears what is being done, how much of it is done, and how much there is.
    Progress = Callable[[str, int, int], None]

_DAMAGE_TOLD: Final = 300


class _Digest(msgspec.Struct, frozen=True):
    sha256: str


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def back_up(home: str, file: str, told_of: Progress) -> Summary:
    """What the backup `file` of the lake in `home` holds. It is on the disk, and was not there before it was whole.

    Raises `NotFound` where there is no lake, `ServerError` (`lake_damaged`) where its records are not well, and
    `DatlakeError` (`backup_unwritable`) where the file cannot be written. A backup that was there stays until the end.
    """
    home, file = (os.path.abspath(os.path.expanduser(path)) for path in (home, file))
    if not os.path.exists(os.path.join(home, RECORDS)):
        message = f"there is no lake in {home}; name its folder with --home"
        raise NotFound(message, code="lake_not_found")
    try:
        with _in_use(home), _replaced(file) as part:
            manifest = _Writing(home, f"{file}.part.db", part, told_of).write()
            part.flush()  # the end of an archive may still be in memory
            size_bytes = os.fstat(part.fileno()).st_size
    except (OSError, tarfile.TarError) as error:
        message = f"the backup {file} cannot be written: {error}; what was there before is as it was"
        raise DatlakeError(message, code="backup_unwritable") from error
    return Summary(
        file=file,
        home=home,
        created_at=manifest.created_at,
        size_bytes=size_bytes,
        counts=manifest.counts,
        missing=manifest.missing,
        damaged=manifest.damaged,
    )


class _Writing:
    """One backup on its way into `part`; `copy` is where its records stand meanwhile."""

    def __init__(self, home: str, copy: str, part: BinaryIO, told_of: Progress) -> None:
        self._home = home
        self._copy = copy
        self._tar = tarfile.open(fileobj=part, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 -- closed in `write`
        self._told_of = told_of
        self._members = dict[str, Member]()

    def write(self) -> Manifest:
        """What the archive holds, which is whole then."""
        created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._add_logs()
        counts, digests = self._add_records()
        self._add_objects(set(_object_files(self._home)))
        # A log is named by the records a moment before it becomes an object.
        self._add_objects(digests)
        missing = sorted(digest for digest in digests if object_name(digest) not in self._members)
        manifest = Manifest(FORMAT, created_at, __version__, counts, list(self._members.values()), missing)
        text = msgspec.json.encode(manifest)
        self._add(MANIFEST, BytesIO(text), len(text))
        self._tar.close()
        return manifest

    def _add_logs(self) -> None:
        folder = os.path.join(self._home, "logs")
        for name in _names(folder):
            if LOG.fullmatch(f"logs/{name}"):
                self._add_file(f"logs/{name}", os.path.join(folder, name))

    def _add_records(self) -> tuple[Counts, set[str]]:
        try:
            _copy_records(os.path.join(self._home, RECORDS), self._copy, self._told_of)
            self._told_of("checking the records", 0, 0)
            found = _checked(self._copy)
            self._add_file(RECORDS, self._copy)
        finally:
            _remove(self._copy)
        return found

    def _add_objects(self, digests: set[str]) -> None:
        wanted = sorted(digest for digest in digests if object_name(digest) not in self._members)
        for number, digest in enumerate(wanted):
            self._told_of("objects", number, len(wanted))
            self._add_file(object_name(digest), os.path.join(self._home, *object_name(digest).split("/")))

    def _add_file(self, name: str, path: str) -> None:
        """Adds what the file holds now, however it grows; nothing where it is gone."""
        with suppress(FileNotFoundError), open(path, "rb") as file:
            self._add(name, file, os.fstat(file.fileno()).st_size)

    def _add(self, name: str, source: _Readable, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, int(time.time())
        hashed = _Hashed(source)
        self._tar.addfile(member, hashed)
        self._members[name] = Member(name, size, hashed.digest)


class _Hashed:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._hash = sha256()

    @property
    def digest(self) -> str:
        """The sha256 of what was read."""
        return self._hash.hexdigest()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._source.read(size)
        self._hash.update(data)
        return data


def _copy_records(source: str, copy: str, told_of: Progress) -> None:
    _remove(copy)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        reader = Reader(source)
        try:
            reader.copy_to(copy, lambda done, of: told_of("records", done, of))
        finally:
            reader.close()
    except Failure as error:
        raise told(error, source) from error


def _checked(copy: str) -> tuple[Counts, set[str]]:
    """How much the copied records hold and which bytes they name. Raises `ServerError` where they are not well."""
    found = look_through(copy)
    if found is None:
        raise NotFound("the lake is not made yet: nothing was ever recorded in it", code="lake_not_found")
    return found


def look_through(records: str) -> tuple[Counts, set[str]] | None:
    """How much records hold that nobody has open, and which bytes they name; null where they are no lake's.

    Raises `ServerError` where they are not well, or those of a newer Datlake.
    """
    try:
        reader = Reader(records, alone=True)
        try:
            problems = reader.problems("integrity_check", lambda: False)
            if problems:
                raise refusals.damaged(records, problems[0][:_DAMAGE_TOLD])
            return reader.seen(_contents, 0) if reader.version() else None
        finally:
            reader.close()
    except Failure as error:
        raise told(error, records) from error


def _contents(tx: Tx) -> tuple[Counts, set[str]]:
    [counts] = tx.all(Counts, "backup.counts")
    return counts, {row.sha256 for row in tx.all(_Digest, "backup.digests")}


def _object_files(home: str) -> Iterator[str]:
    folder = os.path.join(home, "objects", "sha256")
    for part in _names(folder):
        for digest in _names(os.path.join(folder, part)):
            if OBJECT.fullmatch(f"objects/sha256/{part}/{digest}"):
                yield digest


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def _in_use(home: str) -> Generator[None]:
    """Nobody puts another lake in the place of this one meanwhile."""
    path = os.path.join(home, RECORDS)
    mark = OpenMark(f"{path}.open")
    if not mark.sign_in(lambda: None):
        raise refusals.seized(path)
    try:
        yield
    finally:
        mark.close()


@contextmanager
def _replaced(file: str) -> Generator[BinaryIO]:
    """A file beside `file`, which it becomes when the block ends well; else it is gone."""
    part = f"{file}.part"
    with os.fdopen(_taken(part), "wb") as written:
        try:
            os.chmod(part, 0o600)
            written.truncate()
            yield written
            written.flush()
            os.fsync(written.fileno())
            os.replace(part, file)
        except BaseException:
            _remove(part)
            raise
    sync_folder(os.path.dirname(file))


def _taken(part: str) -> int:
    """The open file at `part`, which nobody else writes to."""
    file = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    if _is_mine(file, part):
        return file
    os.close(file)
    message = f"another backup writes to {part}; wait for it, or choose another file"
    raise DatlakeError(message, code="backup_unwritable")


def _is_mine(file: int, part: str) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The other one may have ended between our two calls, and this be its whole backup under its new name.
        return os.path.samestat(os.stat(part), os.fstat(file))
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
