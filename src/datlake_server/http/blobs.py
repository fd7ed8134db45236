"""The bytes of objects over HTTP: streamed in and out in large pieces, never held whole, visible only when complete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import InvalidRequest, ServerError
from datlake_sdk.wire.ids import DEFAULT_NAMESPACE
from datlake_server.http.exchange import Answer, Headers, Incoming, json_answer, slow_body, take_names_from_query
from datlake_server.http.ranges import Part, is_known, part_from, sha256_from_header

if TYPE_CHECKING:
    from datlake_sdk.wire.models import LakeObject
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake
    from datlake_server.objects.files import Upload

PIECE_BYTES: Final = 1 << 20  # large enough to make the thread hop cheap, small enough for 32 uploads in 100 MB

# Objects are users' files served from the page's own origin: nothing in them may run there.
_DEFENCE: Final[Headers] = (
    (b"content-disposition", b"attachment"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-type", b"application/octet-stream"),
    (b"accept-ranges", b"bytes"),
    (b"cache-control", b"private, no-cache"),
)


class PutObject:
    """Stores a body as an object."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads

    async def __call__(self, request: Incoming) -> Answer:
        """201 with the object, once its bytes are safe on disk."""
        namespace, bucket, name = _address(request)
        sha256 = sha256_from_header(request.header(b"content-digest"))
        upload = await self._threads.run(partial(self._lake.begin_upload, namespace, bucket, name))
        try:
            await self._receive(request, upload)
            commit = partial(upload.commit, sha256=sha256, size_bytes=request.content_length)
            stored = await self._threads.go_on(commit)
        except TimeoutError as error:
            await self._abandon(upload)
            raise slow_body() from error
        except BaseException:
            # Also when the client goes away or the server stops: nothing half-written stays.
            await self._abandon(upload)
            raise
        return json_answer(stored, 201)

    async def _abandon(self, upload: Upload) -> None:
        await asyncio.shield(self._threads.go_on(upload.abort))

    async def _receive(self, request: Incoming, upload: Upload) -> None:
        """Writes one piece while the next one arrives."""
        writing: asyncio.Task[None] | None = None
        try:
            async for piece in _pieces(request):
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._threads.go_on(partial(upload.write, piece)))
        finally:
            if writing is not None:
                await asyncio.wait([writing])
        if writing is not None:
            writing.result()


class GetObject:
    """Answers the bytes of an object, whole or in part."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads

    async def __call__(self, request: Incoming) -> Answer:
        """200, 206 for a range, 304 where the client has it."""
        stored, path = await self._threads.run(partial(self._found, *_address(request)))
        etag = f'"{stored.sha256}"'
        headers: Headers = (*_DEFENCE, (b"etag", etag.encode()))
        if is_known(etag, request.header(b"if-none-match")):
            return Answer(status=304, headers=headers)
        asked = request.header(b"range") if request.method == "GET" else None
        part = part_from(stored.size_bytes, etag, asked, request.header(b"if-range"))
        headers = (*headers, (b"content-length", str(part.size_bytes).encode()))
        if part.is_whole:
            return Answer(headers=headers, body=self._read(path, part))
        shown = f"bytes {part.start}-{part.start + part.size_bytes - 1}/{stored.size_bytes}"
        return Answer(status=206, headers=(*headers, (b"content-range", shown.encode())), body=self._read(path, part))

    def _found(self, namespace: str, bucket: str, name: str) -> tuple[LakeObject, str]:
        stored, path = self._lake.find_object(namespace, bucket, name)
        size_bytes = os.stat(path).st_size if os.path.exists(path) else 0
        if size_bytes != stored.size_bytes:
            raise ServerError(
                f"object {name!r} of bucket {bucket!r} is damaged: {size_bytes:,} of {stored.size_bytes:,} bytes are "
                "on disk; upload it again, or restore the lake's folder from a backup",
                code="damaged_object",
                retryable=False,
            )
        return stored, path

    async def _read(self, path: str, part: Part) -> AsyncIterator[bytes]:
        """Reads one piece while the one before it is sent."""
        at, end = part.start, part.start + part.size_bytes
        file = await self._threads.go_on(partial(os.open, path, os.O_RDONLY | os.O_CLOEXEC))
        reading = self._reading(file, at, end)
        try:
            while piece := await reading:  # nothing is read at the end, or where damage cut the file short
                at += len(piece)
                reading = self._reading(file, at, end)
                yield piece
        finally:
            await asyncio.wait([reading])
            os.close(file)

    def _reading(self, file: int, at: int, end: int) -> asyncio.Task[bytes]:
        return asyncio.create_task(self._threads.go_on(partial(os.pread, file, min(PIECE_BYTES, end - at), at)))


async def _pieces(request: Incoming) -> AsyncIterator[bytes]:
    """The body in pieces of about `PIECE_BYTES`, whatever sizes the socket gives."""
    parts, size = list[bytes](), 0
    async for chunk in request.chunks():
        parts.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _address(request: Incoming) -> tuple[str, str, str]:
    """Namespace, bucket and object; the lake knows the bounds that names have. Raises `InvalidRequest`."""
    take_names_from_query(request)
    unknown = sorted(request.query.keys() - {"namespace"})
    if unknown and not request.is_alias:
        raise InvalidRequest(
            f"unknown query parameter {unknown[0]!r}; this address takes: namespace", code="unknown_parameter"
        )
    namespace = request.query.get("namespace", DEFAULT_NAMESPACE)
    bucket, name = request.names["bucket"], request.names["object"]
    return namespace, bucket, name
