"""Objects up and down: which bytes, in which pieces, checked how, and where to go on. Knows no HTTP library."""

from __future__ import annotations

import math
import os
import time
from base64 import b64encode
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from datlake_sdk.errors import DatlakeError, InvalidRequest, ServerError, TransientNetworkError
from datlake_sdk.transport.answers import value_from
from datlake_sdk.transport.retry import FailedAttempt, Policy, chance
from datlake_sdk.wire.models import LakeObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datlake_sdk.transport.answers import Received

T = TypeVar("T")

# Python's `sendall` has the whole timeout for one piece: 256 KiB in 5 s still passes a line of 0.5 Mbit/s.
PIECE_BYTES: Final = 256 << 10
# Up to here the digest is sent along and the server refuses damage. Above it a second pass over the file would cost
# as long as the transfer; the digest is then made on the way and held against the server's answer.
DIGEST_FIRST_BYTES: Final = 64 << 20
# The server answers when the bytes are on its disk: the slowest disk worth waiting for writes this much.
_SLOW_DISK_BYTES_S: Final = 8 << 20
# A read returns after this, even if the piece is not full: what trickles is still progress.
_READ_S: Final = 0.5
_TAG_CHARS: Final = 66  # 64 hexadecimal digits and two quotes


class Progress:
    """When the last piece went out (monotonic seconds); written by the sending thread, read by the waiting one."""

    def __init__(self) -> None:
        self.last_s = time.monotonic()

    def made(self, more_s: float = 0.0) -> None:
        """A piece went out; the next sign may take `more_s` longer than usual."""
        self.last_s = time.monotonic() + more_s


class Threads(Protocol):
    """Where the reading happens."""

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, in time."""
        ...

    def start(self, work: Callable[[], None]) -> None:
        """`work` is done some time; nobody waits."""
        ...


class Reader(Protocol):
    """An answer whose bytes come piece by piece."""

    status: int
    headers: dict[str, str]

    def read(self, within_s: float) -> bytes:
        """The next piece; empty at the end."""
        ...

    def close(self, *, is_done: bool) -> None:
        """The answer is let go."""
        ...


def upload(
    path: str,
    send: Callable[[dict[str, str], Iterator[bytes], float], Received],
    progress: Progress,
    timeout_s: float,
) -> LakeObject:
    """One attempt to send the file at `path`: as many bytes as it has now, even if it grows meanwhile.

    Raises `FailedAttempt`; what is wrong with the file itself is final.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        size_bytes, digest = os.fstat(file).st_size, sha256()
        headers = {"Content-Length": str(size_bytes)}
        if size_bytes <= DIGEST_FIRST_BYTES:
            first = sha256()
            for piece in _pieces(file, path, size_bytes):
                first.update(piece)
                progress.made()
            headers["Content-Digest"] = f"sha-256=:{b64encode(first.digest()).decode()}:"
        patience_s = timeout_s + size_bytes / _SLOW_DISK_BYTES_S

        def body() -> Iterator[bytes]:
            for piece in _pieces(file, path, size_bytes):
                progress.made()
                yield piece
                digest.update(piece)
            progress.made(size_bytes / _SLOW_DISK_BYTES_S)

        stored = value_from(send(headers, body(), patience_s), LakeObject)
    finally:
        os.close(file)
    if stored.sha256 != digest.hexdigest():
        message = f"{path} arrived changed at {stored.uri}; the network damages what it carries"
        raise FailedAttempt(ServerError(message, code="digest_mismatch"), is_final=False)
    return stored


def download(url: str, opened: Callable[[dict[str, str]], Reader], threads: Threads, policy: Policy) -> Iterator[bytes]:
    """The bytes in pieces. A break is mended by asking for the rest of the very same object; the digest is checked."""
    digest, at, failed = sha256(), 0, 0
    reader, is_done = opened({}), False
    try:
        etag = _digest_tag(url, reader)
        while not is_done:
            try:
                piece = threads.run(partial(reader.read, _READ_S))
            except TransientNetworkError:
                pause = policy.pause_s(failed := failed + 1, math.inf, chance)
                if pause is None:
                    raise
                threads.start(partial(reader.close, is_done=False))
                time.sleep(pause)
                reader = _reopened(url, opened, at, etag)
                continue
            is_done = not piece
            at, failed = at + len(piece), 0
            digest.update(piece)
            if piece:
                yield piece
    finally:
        # On a thread: a read that is stuck holds the answer's own lock.
        threads.start(partial(reader.close, is_done=is_done))
    if etag.strip('"') != digest.hexdigest():
        message = f"{url} arrived damaged: its sha256 is not the one the server states; ask again"
        raise ServerError(message, code="digest_mismatch")


def _digest_tag(url: str, reader: Reader) -> str:
    """The entity tag, which is the object's sha256. Raises `TransientNetworkError` where something else answered."""
    etag = reader.headers.get("etag", "").removeprefix("W/")
    if len(etag) == _TAG_CHARS:
        return etag
    raise TransientNetworkError(
        f"{url} answered without the object's digest; a login page or a proxy may answer for it, or "
        "DATLAKE_API_URL names another server",
        code="unexpected_answer",
    )


def _reopened(url: str, opened: Callable[[dict[str, str]], Reader], at: int, etag: str) -> Reader:
    reader = opened({"Range": f"bytes={at}-", "If-Range": etag} if at else {})
    if at and (reader.status != 206 or not reader.headers.get("content-range", "").startswith(f"bytes {at}-")):
        reader.close(is_done=False)
        raise ServerError(f"{url} was replaced while it was read; begin anew", code="object_changed", retryable=True)
    return reader


def _pieces(file: int, path: str, size_bytes: int) -> Iterator[bytes]:
    at = 0
    while at < size_bytes:
        try:
            piece = os.pread(file, min(PIECE_BYTES, size_bytes - at), at)
        except OSError as error:  # a folder opens like a file, and a network disk may fail half-way
            raise _unreadable(path, error) from error
        if not piece:
            shorter = InvalidRequest(
                f"{path} became shorter while it was sent; send it when it is finished", code="file_changed"
            )
            raise FailedAttempt(shorter, is_final=True)
        at += len(piece)
        yield piece


def _unreadable(path: str, error: OSError) -> FailedAttempt:
    wrong: DatlakeError = InvalidRequest(f"{path} cannot be read: {error.strerror}", code="file_unreadable")
    return FailedAttempt(wrong, is_final=True)
