"""What a backup is: one tar file of known names, and a manifest at its end that says what is in it. Pure.

logs/RUN_ID.log                  the logs that grow
lake.db                          the records, at one committed state
objects/sha256/AB/ABCD…          the bytes of objects, each named by its sha256
manifest.json                    every member with its size and sha256; last, so that a file without it is not whole
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

FORMAT: Final = 1
RECORDS: Final = "lake.db"
MANIFEST: Final = "manifest.json"
MANIFEST_LIMIT_BYTES: Final = 1 << 30
OBJECT: Final = re.compile(r"objects/sha256/(?P<folder>[0-9a-f]{2})/(?P<digest>(?P=folder)[0-9a-f]{62})")
LOG: Final = re.compile(r"logs/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.log")


class Counts(Struct, frozen=True):
    """How much a lake holds."""

    jobs: int
    runs: int
    tables: int
    snapshots: int
    events: int
    objects: int


class Member(Struct, frozen=True):
    """One file of the archive."""

    name: str
    size_bytes: int
    sha256: str

    @property
    def is_damaged(self) -> bool:
        """True for an object whose bytes are not those it was named by."""
        found = OBJECT.fullmatch(self.name)
        return found is not None and found["digest"] != self.sha256


class Manifest(Struct, frozen=True):
    """What is in a backup. `missing` are the digests of objects whose bytes the lake had lost already."""

    format: int
    created_at: str
    datlake: str
    counts: Counts
    members: list[Member]
    missing: list[str] = []

    @property
    def damaged(self) -> list[str]:
        """The names of the objects whose bytes had changed in the lake already; they are kept as they were found."""
        return [member.name for member in self.members if member.is_damaged]


class Summary(Struct, frozen=True):
    """What became of a backup or a restore, for people and scripts."""

    file: str
    home: str
    created_at: str
    size_bytes: int
    counts: Counts
    missing: list[str]
    damaged: list[str]
    moved_to: str | None = None
    """Where the lake is now that was there before a restore."""


def is_known(name: str) -> bool:
    """True for the names that members of a backup have, and for nothing that leads out of a folder."""
    return name in {RECORDS, MANIFEST} or bool(OBJECT.fullmatch(name) or LOG.fullmatch(name))


def object_name(digest: str) -> str:
    """The member that holds the bytes of this sha256."""
    return f"objects/sha256/{digest[:2]}/{digest}"
