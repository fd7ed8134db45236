"""Bodies that come packed, held to their limit while they are unpacked: a small packet can hold much of nothing."""

from __future__ import annotations

import zlib
from typing import Final

from datlake_sdk.errors import InvalidRequest

_GZIP: Final = 16 + zlib.MAX_WBITS
# A sender that packs as it goes makes some. Each costs the server memory and time, however little is in it.
_MEMBERS: Final = 100


def unpacked(body: bytes, encoding: str | None, limit_bytes: int) -> bytes:
    """`body` as it was before it was packed. Raises `InvalidRequest`: 413 beyond the limit, 415 for another packing."""
    told = (encoding or "identity").strip().lower()
    if told == "identity":
        return body
    if told not in {"gzip", "x-gzip"}:
        message = f"the body is packed as {told[:40]!r}; send it as gzip, or as it is"
        raise InvalidRequest(message, code="unknown_encoding", status=415)
    plain = bytearray()
    for _ in range(_MEMBERS):  # one after the other: RFC 1952, section 2.2
        unpacker = zlib.decompressobj(_GZIP)
        try:
            plain += unpacker.decompress(body, limit_bytes + 1 - len(plain))
        except zlib.error as error:
            raise InvalidRequest(f"the body is no gzip: {error}", code="malformed", status=400) from error
        if len(plain) > limit_bytes:
            message = f"unpacked, the body is larger than {limit_bytes:,} bytes; send it in parts"
            raise InvalidRequest(message, code="too_large", status=413)
        if not unpacker.eof:
            raise InvalidRequest("the packed body is cut short", code="malformed", status=400)
        body = unpacker.unused_data
        if not body:
            return bytes(plain)
    raise InvalidRequest(f"the body is packed in more than {_MEMBERS} members", code="malformed", status=400)
