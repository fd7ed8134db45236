"""What the fault tests look for in a bucket: objects in part, changed, unheard of, or acknowledged and gone."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from datlake_sdk import DatlakeClient

BUCKET = "b"


def payload(path: Path, chance: random.Random, size_bytes: int) -> str:
    """The sha256 of the random bytes that the file now holds."""
    path.write_bytes(data := chance.randbytes(size_bytes))
    return hashlib.sha256(data).hexdigest()


def wrongs(client: DatlakeClient, expected: dict[str, str], acked: set[str]) -> list[str]:
    """What is wrong with the bucket, where objects of these names and sha256 were sent, some of them acknowledged."""
    seen = {stored.object: stored.sha256 for stored in client.list_objects(BUCKET, limit=1000)}
    found = [f"{name} acknowledged and not there" for name in acked - seen.keys()]
    found += [f"{name} unheard of" for name in seen.keys() - expected.keys()]
    for name in seen.keys() & expected.keys():
        digest = hashlib.sha256()
        for piece in client.read_object(f"datlake://{BUCKET}/{name}"):
            digest.update(piece)
        if not expected[name] == seen[name] == digest.hexdigest():
            found.append(f"{name} is not what was sent")
    return found
