"""Conditional and partial reads of stored bytes (RFC 9110, sections 13 and 14), and the digest of a body. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

import msgspec

from datlake_sdk.errors import InvalidRequest
from datlake_server.http.exchange import is_listed

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII | re.IGNORECASE)
_DIGEST: Final = re.compile(r"sha-256\s*=\s*:([A-Za-z0-9+/]{43}=):(?:\s*;.*)?", re.IGNORECASE)
_SHA256_BYTES: Final = 32


class RangeRefused(InvalidRequest):
    """The asked range lies outside the object; `size_bytes` is how long that is."""

    default_code = "bad_range"
    default_status = 416

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the range lies outside the object, which has {size_bytes:,} bytes")
        self.size_bytes = size_bytes


class Part(msgspec.Struct, frozen=True):
    """Which bytes to send: `size_bytes` of them from `start`; `is_whole` where nobody asked for a part."""

    start: int
    size_bytes: int
    is_whole: bool


def is_known(etag: str, if_none_match: str | None) -> bool:
    """True where the client says that it has this version already."""
    return if_none_match is not None and is_listed(etag, if_none_match)


def part_from(size_bytes: int, etag: str, asked: str | None, if_range: str | None) -> Part:
    """What a `Range` header asks for. A range that is not understood, or several, get the whole (RFC 9110, 14.2).

    Raises `RangeRefused` where no byte of the range exists.
    """
    found = _RANGE.fullmatch(asked) if asked is not None else None
    if found is None or (if_range is not None and if_range != etag) or not (found[1] or found[2]):
        return Part(0, size_bytes, is_whole=True)
    if not found[1]:
        length = min(int(found[2]), size_bytes)
        start, end = size_bytes - length, size_bytes - 1
    else:
        start, end = int(found[1]), min(int(found[2]) if found[2] else size_bytes - 1, size_bytes - 1)
        if found[2] and int(found[2]) < start:
            return Part(0, size_bytes, is_whole=True)
    if start >= size_bytes or end < start:
        raise RangeRefused(size_bytes)
    return Part(start, end - start + 1, is_whole=False)


def sha256_from_header(content_digest: str | None) -> str | None:
    """The sha256 (lower-case hex) that `Content-Digest` (RFC 9530) states; null where it states none.

    Other algorithms are left alone, as the standard wants it. Raises `InvalidRequest` (400) for a broken sha-256.
    """
    members = [] if content_digest is None else [member.strip() for member in content_digest.split(",")]
    stated = [member for member in members if member.lower().startswith("sha-256")]
    if not stated:
        return None
    found = _DIGEST.fullmatch(stated[0])
    try:
        raw = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        raw = b""
    if len(raw) != _SHA256_BYTES:
        raise InvalidRequest(
            "Content-Digest must be sha-256=:BASE64: with the 32 bytes of the digest", code="bad_digest", status=400
        )
    return raw.hex()
