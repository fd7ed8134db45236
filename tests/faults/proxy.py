"""A TCP proxy that misbehaves on demand: one port before one server, its fault switched while connections are open.

The fault tests own it. It knows bytes and nothing of HTTP, but that an answer begins where the server speaks after its
client did. It never changes what it was not asked to change.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

READ_BYTES = 1 << 16
# How often a second a bandwidth is doled out.
DOLES_PER_S = 20
_RUDELY = struct.pack("ii", 1, 0)  # SO_LINGER of no time: what is closed is reset


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with the way. Several may be; nothing is where none is named."""

    refuses: bool = False  # nobody listens, and who was connected is cut off
    holds: bool = False  # a black hole: takes everything, passes nothing on
    resets_request: bool = False  # cut off at the first byte of a request, of which the server sees nothing
    answer_bytes: int | None = None  # an answer is cut off after so many of its bytes
    swallows: int = 0  # of each connection's answers every n-th is taken from the server and passed to nobody
    latency_s: float = 0.0
    piece_bytes: int = 0  # bytes travel in pieces of this size
    bytes_per_s: int = 0
    flips_request_at: int | None = None  # one bit of this byte of each connection's requests
    flips_answer_at: int | None = None
    says: bytes | None = None  # the answer to everything, given by the proxy


CLEAR = Fault()


@dataclass
class Counts:
    """What passed, and what did not."""

    connections: int = 0
    requests: int = 0
    answers: int = 0
    swallowed: int = 0
    flipped: int = 0


@dataclass(eq=False)
class _Link:
    """One client's connection and, once something is passed on, the server's end of it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    answers: int = 0
    is_answering: bool = True
    answer_bytes: int = 0
    asked_bytes: int = 0
    told_bytes: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def cut(self, *, rudely: bool) -> None:
        """Both ends are closed, at the client's with a reset where `rudely`."""
        if rudely:
            with suppress(OSError):
                found = self.writer.get_extra_info("socket")
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RUDELY)
        self.writer.transport.abort()
        if self.server is not None:
            self.server.transport.abort()


class FaultProxy:
    """A port of this machine whose connections lead to `upstream`, another one, past a fault."""

    def __init__(self, upstream: int, fault: Fault = CLEAR) -> None:
        self.upstream = upstream
        self.counts = Counts()
        self._fault = CLEAR
        self._links: set[_Link] = set()
        self._anchor = held_socket()
        self.port = int(self._anchor.getsockname()[1])
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.switch(fault)

    @property
    def url(self) -> str:
        """The address that clients are given."""
        return f"http://127.0.0.1:{self.port}"

    def switch(self, fault: Fault) -> None:
        """From now on this is wrong, on open connections too."""
        asyncio.run_coroutine_threadsafe(self._switch(fault), self._loop).result(10)

    def close(self) -> None:
        """Nothing listens and nothing is open any more."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._anchor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- on the proxy's own thread ------------------------------------------------------------------------------------

    async def _switch(self, fault: Fault) -> None:
        self._fault = fault
        if not fault.refuses:
            await self._listen()
            return
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut_all()

    async def _listen(self) -> None:
        if self._server is None:
            listener = held_socket(self.port)
            self._server = await asyncio.start_server(self._accepted, sock=listener)

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut_all()

    async def _cut_all(self) -> None:
        tasks = [task for link in self._links for task in link.tasks]
        for link in list(self._links):
            link.cut(rudely=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports are told that they are closed in the loop's next turn

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(reader, writer)
        self._links.add(link)
        self.counts.connections += 1
        task = asyncio.current_task()
        if task is not None:
            link.tasks.append(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._pass_requests(link)
        finally:
            for other in link.tasks[1:]:
                other.cancel()
            link.cut(rudely=False)
            self._links.discard(link)

    async def _pass_requests(self, link: _Link) -> None:
        while data := await link.reader.read(READ_BYTES):
            fault = self._fault
            if link.is_answering:
                link.is_answering = False
                self.counts.requests += 1
            if fault.resets_request:
                link.cut(rudely=True)
                return
            if fault.says is not None:
                await self._say(link, fault.says)
                return
            if fault.holds:
                continue
            server = link.server or await self._connected(link)
            shown = self._flipped(data, fault.flips_request_at, link.asked_bytes)
            link.asked_bytes += len(data)
            await _pass_on(shown, server, fault)

    async def _connected(self, link: _Link) -> asyncio.StreamWriter:
        reader, link.server = await asyncio.open_connection("127.0.0.1", self.upstream)
        link.tasks.append(asyncio.create_task(self._pass_answers(link, reader)))
        return link.server

    async def _pass_answers(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                fault = self._fault
                if not link.is_answering:
                    link.is_answering, link.answer_bytes = True, 0
                    link.answers += 1
                    self.counts.answers += 1
                    if fault.swallows and link.answers % fault.swallows == 0:
                        self.counts.swallowed += 1
                        break
                if fault.holds:
                    continue
                if fault.answer_bytes is not None and link.answer_bytes + len(data) > fault.answer_bytes:
                    await _pass_on(data[: fault.answer_bytes - link.answer_bytes], link.writer, fault)
                    link.cut(rudely=True)
                    return
                shown = self._flipped(data, fault.flips_answer_at, link.told_bytes)
                link.answer_bytes += len(data)
                link.told_bytes += len(data)
                await _pass_on(shown, link.writer, fault)
        link.cut(rudely=False)

    async def _say(self, link: _Link, answer: bytes) -> None:
        """Answers, and takes what else the client has to say until it goes: closing on unread bytes is a reset."""
        link.writer.write(answer)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while await link.reader.read(READ_BYTES):
                    pass

    def _flipped(self, data: bytes, at: int | None, before: int) -> bytes:
        if at is None or not before <= at < before + len(data):
            return data
        self.counts.flipped += 1
        changed = bytearray(data)
        changed[at - before] ^= 0x10
        return bytes(changed)


def held_socket(port: int = 0) -> socket.socket:
    """A socket bound to the port and not listening: connections to it are refused, and nobody is lent the port.

    Without it a client that looks for a dead server may be lent the server's own port, and connect to itself.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held


async def _pass_on(data: bytes, writer: asyncio.StreamWriter, fault: Fault) -> None:
    if fault.latency_s:
        await asyncio.sleep(fault.latency_s)
    size = fault.piece_bytes or max(fault.bytes_per_s // DOLES_PER_S, 1 if fault.bytes_per_s else len(data))
    for at in range(0, len(data), max(size, 1)):
        writer.write(data[at : at + size])
        await writer.drain()
        if fault.bytes_per_s:
            await asyncio.sleep(size / fault.bytes_per_s)
        elif fault.piece_bytes:
            await asyncio.sleep(0)
