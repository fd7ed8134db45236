"""Ids of what OpenLineage names by text, or only implies: the same for the same names, whoever computes them.

UUIDs of version 5 (RFC 9562, section 5.5) in the namespace of URLs.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from msgspec import json

from datlake_sdk.wire.ids import is_uuid

_URLS: Final = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")


def run_id_of(text: str) -> str:
    """The id of the run that a producer calls `text`: that very UUID in lower case, or one made of the text."""
    return text.lower() if is_uuid(text) else _named(f"openlineage:run:{text}")


def version_id(namespace: str, name: str, version: str) -> str:
    """The id of the snapshot that a dataset's store itself calls `version`."""
    return _named(f"openlineage:snapshot:{_joined(namespace, name, version)}")


def output_id(run_id: str, namespace: str, name: str) -> str:
    """The id of the snapshot that a run made of a dataset, where nothing tells the store's version."""
    return _named(f"openlineage:output:{_joined(run_id, namespace, name)}")


def _joined(*parts: str) -> str:
    """The parts as a JSON array: no name can be mistaken for two."""
    return json.encode(parts).decode()


def _named(text: str) -> str:
    digest = bytearray(sha1(_URLS + text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    shown = digest.hex()
    return f"{shown[:8]}-{shown[8:12]}-{shown[12:16]}-{shown[16:20]}-{shown[20:]}"
