"""Files that are no backup: cut off, changed, or made to lead out of the lake's folder. None is put anywhere."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from datlake_sdk.errors import InvalidRequest, NotFound
from datlake_server.archive import Manifest, Member
from tests.store.backups import everything, lake_in, made, restored


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A lake."""
    return lake_in(tmp_path / "lake")


class Tar:
    """A backup that can be spoiled: its members as (name, bytes), written anew."""

    def __init__(self, file: Path) -> None:
        with tarfile.open(file, "r:") as tar:
            sources = [(member, tar.extractfile(member)) for member in tar]
            self.members = [(member, source.read() if source else b"") for member, source in sources]

    def write(self, file: Path) -> None:
        """Writes the members as they are now."""
        with tarfile.open(file, "w") as tar:
            for member, data in self.members:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

    def add(self, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
        """One member more, before the manifest, which does not know it."""
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        self.members.insert(-1, (member, data))

    def leave_out(self, name: str) -> None:
        """The member of this name is not there."""
        self.members = [(member, data) for member, data in self.members if member.name != name]

    def change(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """The bytes of the members whose names begin so are others."""
        self.members = [(m, change(data) if m.name.startswith(name) else data) for m, data in self.members]

    def tell(self, change: Callable[[Manifest], Manifest]) -> None:
        """The manifest says something else."""
        self.change("manifest.json", lambda text: msgspec.json.encode(change(msgspec.json.decode(text, type=Manifest))))


def known_by_manifest(tar: Tar, name: str) -> None:
    """A member that the manifest knows, too: only its name can refuse it."""
    tar.add(name, b"evil")
    more = Member(name, 4, sha256(b"evil").hexdigest())
    tar.tell(lambda manifest: msgspec.structs.replace(manifest, members=[*manifest.members, more]))


def flipped(data: bytes) -> bytes:
    """One bit of it is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


SPOILED: dict[str, Callable[[Tar], None]] = {
    "a bit of the records": lambda tar: tar.change("lake.db", flipped),
    "a bit of an object": lambda tar: tar.change("objects/", flipped),
    "a bit of a log": lambda tar: tar.change("logs/", flipped),
    "no records": lambda tar: tar.leave_out("lake.db"),
    "no manifest": lambda tar: tar.leave_out("manifest.json"),
    "a manifest that is none": lambda tar: tar.change("manifest.json", lambda _: b"[]"),
    "a newer format": lambda tar: tar.tell(lambda told: msgspec.structs.replace(told, format=99)),
    "other counts": lambda tar: tar.tell(
        lambda told: msgspec.structs.replace(told, counts=msgspec.structs.replace(told.counts, runs=7))
    ),
    "records that are no database, and digests that agree": lambda tar: agreeing(tar, b"x" * 8192),
    "empty records, and digests that agree": lambda tar: agreeing(tar, b""),
    "one more than the manifest has": lambda tar: tar.add(f"objects/sha256/{'ab' + '0' * 62}"),
    "a member twice": lambda tar: tar.add("lake.db", b"x"),
    "a name above": lambda tar: known_by_manifest(tar, "../evil"),
    "a name above, inside": lambda tar: known_by_manifest(tar, "objects/sha256/../../../evil"),
    "a name from the root": lambda tar: known_by_manifest(tar, "/tmp/evil"),  # noqa: S108 -- what must be refused
    "a name of the lake's folder": lambda tar: known_by_manifest(tar, "server.lock"),
    "an object in another's folder": lambda tar: known_by_manifest(tar, f"objects/sha256/ab/{'cd' * 32}"),
    "a log with a path": lambda tar: known_by_manifest(tar, "logs/../evil.log"),
    "a line break at a name's end": lambda tar: known_by_manifest(tar, f"objects/sha256/ab/{'ab' * 32}\n"),
    "a symbolic link": lambda tar: tar.add("lake.db-wal", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "a link under a known name": lambda tar: tar.add(
        f"objects/sha256/ab/{'ab' * 32}", kind=tarfile.SYMTYPE, link="/etc/passwd"
    ),
    "a hard link": lambda tar: tar.add(f"objects/sha256/ab/{'ab' * 32}", kind=tarfile.LNKTYPE, link="lake.db"),
    "a device": lambda tar: tar.add(f"objects/sha256/ab/{'ab' * 32}", kind=tarfile.CHRTYPE),
    "a folder": lambda tar: tar.add("objects", kind=tarfile.DIRTYPE),
}


def agreeing(tar: Tar, records: bytes) -> None:
    """Other records, which the manifest tells of."""
    tar.change("lake.db", lambda _: records)
    mine = Member("lake.db", len(records), sha256(records).hexdigest())
    tar.tell(
        lambda told: msgspec.structs.replace(
            told, members=[mine if each.name == "lake.db" else each for each in told.members]
        )
    )


@pytest.mark.parametrize("what", SPOILED)
def test_a_file_that_is_no_whole_unchanged_backup_is_refused(home: Path, tmp_path: Path, what: str) -> None:
    """It may come from anywhere; nothing of it is put anywhere before all of it has proved true."""
    made(home, tmp_path / "good.tar")
    tar = Tar(tmp_path / "good.tar")
    SPOILED[what](tar)
    tar.write(tmp_path / "b.tar")
    before = everything(tmp_path)
    with pytest.raises(InvalidRequest, match="nothing was changed") as refused:
        restored(home, tmp_path / "b.tar", force=True)
    assert refused.value.code == "bad_backup"
    assert everything(tmp_path) == before


def test_a_backup_that_was_cut_off_anywhere_is_refused(home: Path, tmp_path: Path) -> None:
    """A copy over a network that broke, a disk that was full."""
    made(home, tmp_path / "good.tar")
    data, file = (tmp_path / "good.tar").read_bytes(), tmp_path / "b.tar"
    with tarfile.open(tmp_path / "good.tar", "r:") as tar:
        end = max(member.offset_data + member.size for member in tar)
    for length in {0, 1, 511, 512, 513, *range(1024, end, 9_973), end - 1}:
        file.write_bytes(data[:length])
        with pytest.raises(InvalidRequest):
            restored(tmp_path / "new", file)
    assert everything(tmp_path / "new") == {}
    with pytest.raises(NotFound):
        restored(tmp_path / "never", tmp_path / "none.tar")
    assert not (tmp_path / "never").exists()
    shutil.copy(tmp_path / "good.tar", file)
    assert restored(tmp_path / "new", file).counts.runs == 1
    assert len(everything(tmp_path / "new" / "objects")) == 2
