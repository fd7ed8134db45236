"""Puts a backup in the place of a lake: looked through in a folder of its own first, then moved in. Deletes no lake.

Called by `datlake restore`. While it works nobody opens the lake; where it fails or dies the old one is all there.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from datlake_sdk.errors import Conflict, DatlakeError, InvalidRequest, NotFound, ServerError
from datlake_sdk.wire.ids import new_id
from datlake_server.archive import FORMAT, MANIFEST, MANIFEST_LIMIT_BYTES, RECORDS, Manifest, Member, Summary, is_known
from datlake_server.backup import look_through
from datlake_server.objects.files import sync_folder
from datlake_server.places import refuse_network_file_system
from datlake_server.serverlock import served
from datlake_server.store.connections import Failure, Writer, told
from datlake_server.store.filelock import OpenMark

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    # Hears what is being done, how much of it is done, and how much there is.
    Progress = Callable[[str, int, int], None]

# What a lake is made of; everything else in its folder stays where it is.
PARTS: Final = ("objects", "logs", f"{RECORDS}-wal", f"{RECORDS}-shm", RECORDS)
UNPACKED: Final = "restore-"
MOVED: Final = "replaced-"
_PIECE_BYTES: Final = 1 << 20
# A command that reads the lake has it open for a moment.
_ASKED_FOR_S: Final = 1.0


def restore(home: str, file: str, told_of: Progress, *, force: bool = False) -> Summary:
    """What is in `home` now: the backup `file`, whole and on the disk.

    Raises `Conflict` (`lake_exists`, `lake_in_use`), `ConfigError` (`lake_served`), `NotFound`, `InvalidRequest`
    (`bad_backup`) and `ServerError` where the disk refuses; then nothing has changed. With `force` a lake that is there
    is moved aside.
    """
    home, file = (os.path.abspath(os.path.expanduser(path)) for path in (home, file))
    if not os.path.isfile(file):  # asked first: a mistyped name makes no folder
        raise NotFound(f"there is no file {file}; name the backup", code="backup_not_found")
    with _alone(home):
        if _is_there(home) and not force:
            message = (
                f"there is a lake in {home} already; choose an empty folder with --home, or move it aside: --force"
            )
            raise Conflict(message, code="lake_exists")
        try:
            return _restored(home, file, told_of)
        except OSError as error:
            raise told(error, home) from error


def _restored(home: str, file: str, told_of: Progress) -> Summary:
    with _folder(home) as folder:
        manifest = _unpacked(file, folder, told_of)
        told_of("checking the records", 0, 0)
        _look_through(os.path.join(folder, RECORDS), file, manifest)
        told_of("moving it into place", 0, 0)
        moved_to = _swapped(home, folder)
    return Summary(
        file=file,
        home=home,
        created_at=manifest.created_at,
        size_bytes=sum(member.size_bytes for member in manifest.members),
        counts=manifest.counts,
        missing=manifest.missing,
        damaged=manifest.damaged,
        moved_to=moved_to,
    )


# --- who else is there ------------------------------------------------------------------------------------------------


@contextmanager
def _alone(home: str) -> Generator[None]:
    """No server serves the folder and no process has its lake open, before the block ends."""
    with served(home) as lock:
        refuse_network_file_system(home)
        mark = OpenMark(os.path.join(home, f"{RECORDS}.open"))
        try:
            _seize(mark, home)
            yield
            lock.is_check_due = False
        finally:
            mark.close()


def _seize(mark: OpenMark, home: str) -> None:
    deadline = time.monotonic() + _ASKED_FOR_S
    while not mark.seize():
        if time.monotonic() >= deadline:
            message = f"a process has the lake in {home} open; let jobs and notebooks that use it end, then try again"
            raise Conflict(message, code="lake_in_use")
        time.sleep(0.02)


def _is_there(home: str) -> bool:
    return any(os.path.lexists(os.path.join(home, part)) for part in PARTS)


# --- out of the archive -----------------------------------------------------------------------------------------------


@contextmanager
def _folder(home: str) -> Generator[str]:
    """An empty folder on the lake's own disk; gone when the block ends, and with it what a dead restore left."""
    for name in os.listdir(home):
        if name.startswith(UNPACKED):
            shutil.rmtree(os.path.join(home, name), ignore_errors=True)
    folder = os.path.join(home, f"{UNPACKED}{new_id()}")
    os.mkdir(folder, 0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(file: str, folder: str, told_of: Progress) -> Manifest:
    """What the archive says of itself, once all of it is in `folder` and proves it true."""
    found: dict[str, Member] = {}
    size = os.path.getsize(file)
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                told_of("unpacking", tar.offset, size)
                _refuse_tricks(member, found, file)
                found[member.name] = _written(tar, member, folder)
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise _bad(file, f"it is no tar file, or not all of one ({error})") from error
    manifest = _manifest(os.path.join(folder, MANIFEST), file)
    del found[MANIFEST]
    if {member.name: member for member in manifest.members} != found:
        raise _bad(file, "what is in it is not what its manifest says")
    return manifest


def _refuse_tricks(member: tarfile.TarInfo, found: dict[str, Member], file: str) -> None:
    """Only plain files of the names that a backup has: nothing that is written can lead elsewhere."""
    is_plain = member.type == tarfile.REGTYPE and not member.issparse()
    if not is_plain or not is_known(member.name) or member.name in found:
        raise _bad(file, f"it holds {member.name[:200]!r}, which no backup does")
    if member.name == MANIFEST and member.size > MANIFEST_LIMIT_BYTES:
        raise _bad(file, "its manifest is too large")


def _written(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: str) -> Member:
    target = os.path.join(folder, *member.name.split("/"))
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    source = tar.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"{member.name} has no bytes")
    hashed, size = sha256(), 0
    with source, open(target, "xb", opener=_private) as written:
        while piece := source.read(_PIECE_BYTES):
            hashed.update(piece)
            size += len(piece)
            written.write(piece)
    if size != member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")
    return Member(member.name, size, hashed.hexdigest())


def _manifest(path: str, file: str) -> Manifest:
    try:
        with open(path, "rb") as text:
            manifest = msgspec.json.decode(text.read(), type=Manifest)
    except FileNotFoundError:
        raise _bad(file, "it has no manifest, so it is not whole") from None
    except msgspec.MsgspecError as error:
        raise _bad(file, f"its manifest cannot be read ({error})") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
    if manifest.format > FORMAT:
        raise _bad(file, f"it was made by a newer Datlake ({manifest.datlake}); upgrade datlake-sdk")
    return manifest


def _look_through(records: str, file: str, manifest: Manifest) -> None:
    try:
        found = look_through(records)
    except ServerError as error:
        if error.code == "lake_too_new":
            raise
        raise _bad(file, f"the records in it are damaged ({error.message})") from error
    except FileNotFoundError:
        found = None
    if found is None or found[0] != manifest.counts:
        raise _bad(file, "the records in it are not those its manifest tells of")


def _bad(file: str, why: str) -> InvalidRequest:
    message = f"{file} is no backup that can be restored: {why}; nothing was changed"
    return InvalidRequest(message, code="bad_backup")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# --- into place -------------------------------------------------------------------------------------------------------


def _swapped(home: str, folder: str) -> str | None:
    """Where the old lake is now, null where there was none. The new one is in its place, and on the disk."""
    if hasattr(os, "sync"):
        os.sync()  # one for all: a sync of each of a million objects would take minutes
    _fold(os.path.join(home, RECORDS))
    old = [part for part in PARTS if os.path.lexists(os.path.join(home, part))]
    aside = os.path.join(home, f"{MOVED}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{new_id()[-4:]}")
    moves = [(os.path.join(home, part), os.path.join(aside, part)) for part in old]
    new = [part for part in PARTS if os.path.lexists(os.path.join(folder, part))]
    moves += [(os.path.join(folder, part), os.path.join(home, part)) for part in new]
    if old:
        os.mkdir(aside, 0o700)
    _move(moves)
    for each in (aside, home) if old else (home,):
        sync_folder(each)
    return aside if old else None


def _fold(records: str) -> None:
    """The old lake is one file, where that can still be done: it is moved file by file."""
    with suppress(Failure, OSError, DatlakeError):
        if os.path.getsize(records):
            writer = Writer(records)
            try:
                writer.version()  # the log of a database that is not read is not folded
            finally:
                writer.close()


def _move(moves: list[tuple[str, str]]) -> None:
    """All of the moves are made, or none of them."""
    made: list[tuple[str, str]] = []
    try:
        for source, target in moves:
            os.rename(source, target)
            made.append((source, target))
    except OSError:
        for source, target in reversed(made):
            os.rename(target, source)
        raise
