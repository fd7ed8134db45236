"""A small lake, and backups of it; what the tests of backups share."""

from __future__ import annotations

import re
from pathlib import Path

from datlake_sdk.wire.models import LakeObject
from datlake_sdk.wire.operations import StartRun
from datlake_server.archive import Summary
from datlake_server.backup import back_up
from datlake_server.lake import Lake
from datlake_server.restore import restore
from datlake_server.run_logs import LogPlace


def silent(what: str, done: int, of: int) -> None:
    """Nobody wants to know how far it is."""


def made(home: Path, file: Path) -> Summary:
    """A backup of the lake in `home`."""
    return back_up(str(home), str(file), silent)


def restored(home: Path, file: Path, *, force: bool = False) -> Summary:
    """The backup in `home`."""
    return restore(str(home), str(file), silent, force=force)


def store(lake: Lake, name: str, data: bytes) -> LakeObject:
    """An object of these bytes."""
    upload = lake.begin_upload("default", "b", name)
    upload.write(data)
    return upload.commit()


def lake_in(home: Path) -> Path:
    """A lake with a run, its growing log, and two objects, in the folder `home`."""
    lake = Lake.open(str(home))
    run = lake.dispatch(StartRun(job_name="j"))
    lake.append_log(LogPlace(namespace="default", run_id=run.run_id, offset=0), b"it began\n")
    store(lake, "one", b"1" * 3000)
    store(lake, "two", b"2" * 3000)
    lake.close()
    return home


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for those that say who is there."""
    mere = re.compile(r".*(\.lock(\.gate)?|\.open|-shm|-wal)")
    files = [path for path in folder.rglob("*") if path.is_file() and not mere.fullmatch(path.name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
