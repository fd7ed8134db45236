"""Identifiers and names: UUIDv7, the shapes names may have, and how a name travels in a path or an object key.

Pure; the clock and the randomness come from the operating system at the moment of minting, nowhere else.
"""

from __future__ import annotations

import os
import time
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]+(?![\s\S])"  # `$` would let a trailing newline pass
UUID_PATTERN: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\s\S])"

# 2,048 is what OpenLineage producers send; the SDK itself keeps to 256 (`SDK_NAME_LIMIT`).
NAME_LIMIT: Final = 2048
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT, pattern=NO_CONTROL)]
Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=NO_CONTROL)]
# A key holds two names of 256 characters, each up to 12 when percent-encoded; its URI escapes them again.
ObjectName = Annotated[str, Meta(min_length=1, max_length=8192, pattern=NO_CONTROL)]
Uri = Annotated[str, Meta(min_length=1, max_length=16384, pattern=NO_CONTROL)]
Uuid = Annotated[str, Meta(pattern=UUID_PATTERN)]
RunText = Name  # a run's id, or the text that a producer of OpenLineage calls it: what is taken is found

SDK_NAME_LIMIT: Final = 256
DEFAULT_NAMESPACE: Final = "default"

_HEX = "0123456789abcdef"


def new_id(now_ms: int | None = None) -> str:
    """A fresh UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, 74 random bits, so ids sort by time."""
    millis = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    noise = int.from_bytes(os.urandom(10), "big")
    value = (millis & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62
    return _dashed(f"{value | noise & 0x3FFF_FFFF_FFFF_FFFF:032x}")


def derived_id(*parts: str) -> str:
    """The same UUIDv8 for the same parts, for an id that was left out where a key is known (RFC 9562, section 5.8)."""
    digest = sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]
    value = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0b11 << 62)
    return _dashed(f"{value | 0x8 << 76 | 0b10 << 62:032x}")


def is_uuid(text: str) -> bool:
    """True for the 36-character form of a UUID, in either case."""
    if len(text) != 36 or not text.isascii() or not text[8] == text[13] == text[18] == text[23] == "-":
        return False
    try:
        return len(bytes.fromhex(text.replace("-", "", 4))) == 16
    except ValueError:
        return False


def quoted(text: str) -> str:
    """`text` as one path segment: percent-encoded, `/` included, and `.` and `..` so that no client collapses them."""
    encoded = "".join(_escaped(byte) for byte in text.encode("utf-8", "surrogatepass"))
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded


def run_log_key(job_name: str, run_id: str) -> str:
    """The object key of a run's log; the job's name is one percent-encoded segment, so it cannot leave its place."""
    return f"jobs/{quoted(job_name)}/{run_id}/run.log"


def artifact_key(job_name: str, run_id: str, name: str) -> str:
    """The object key of an artifact that a run attached."""
    return f"jobs/{quoted(job_name)}/{run_id}/artifacts/{quoted(name)}"


def run_url(base_url: str, run_id: str, namespace: str) -> str:
    """The page of a run on a server."""
    scope = "" if namespace == DEFAULT_NAMESPACE else f"?namespace={quoted(namespace)}"
    return f"{base_url}/runs/{run_id}{scope}"


def object_uri(bucket: str, object_name: str) -> str:
    """The address of an object of the lake, known before it is uploaded; segments are percent-encoded."""
    return f"datlake://{quoted(bucket)}/{'/'.join(quoted(part) for part in object_name.split('/'))}"


def _escaped(byte: int) -> str:
    char = chr(byte)
    return char if char.isascii() and (char.isalnum() or char in "-._~") else f"%{byte:02X}"


def _dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
