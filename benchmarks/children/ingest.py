"""Tells a server of OpenLineage events as fast as it takes them: `ingest.py URL PID EVENTS`, PID being the server's.

Requests are made beforehand and sent from one thread, over sockets and nothing else: the sender shares the machine with
the server and must not take its core. Prints one JSON object of sample lists: events a second by way of telling, the
milliseconds of single requests, and the processor time of an event for the server and for the sender.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.children.lineage_events import events

SENDERS = 8
SINGLE_BURST = 0.3  # of the events, for one sender alone, which waits for each answer
BATCHES = (100, 1000)
READ_BYTES = 1 << 16
US_PER_TICK = 1e6 / os.sysconf("SC_CLK_TCK")

Samples = dict[str, list[float]]


def main() -> None:
    """Measures and prints."""
    url, server, count = urlsplit(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    told, found = _Told(url.hostname or "", url.port or 80, server), dict[str, list[float]]()
    warm, one, many, *batched = (events(size) for size in (64, int(count * SINGLE_BURST), count, count, count))
    told.by(warm, 1, SENDERS)
    found |= told.named("single POST, 1 sender", one, 1, 1)
    found |= told.named(f"single POST, {SENDERS} senders", many, 1, SENDERS)
    for size, these in zip(BATCHES, batched, strict=True):
        found |= told.named(f"batches of {size}", these, size, 1)
    print(msgspec.json.encode(found).decode())


class _Told:
    """The server, told by one case after another."""

    def __init__(self, host: str, port: int, server: int) -> None:
        self.host, self.port, self.server = host, port, server

    def named(self, name: str, these: Sequence[bytes], batch: int, senders: int) -> Samples:
        """What one case cost, under its name; of single requests also how long each took."""
        ours, theirs, began = time.process_time(), _cpu_us(self.server), time.perf_counter()
        waits = self.by(these, batch, senders)
        took_s, ours_s = time.perf_counter() - began, time.process_time() - ours
        found = {
            f"{name}|rate": [len(these) / took_s],
            f"{name}|server": [(_cpu_us(self.server) - theirs) / len(these)],
            f"{name}|sender": [ours_s / len(these) * 1e6],
        }
        return found | ({f"{name}|wait": waits} if batch == 1 else {})

    def by(self, these: Sequence[bytes], batch: int, senders: int) -> list[float]:
        """The milliseconds of each request; each sender has one on its way at a time."""
        if batch == 1:
            requests = [self._request("/api/v1/lineage", event) for event in these]
        else:
            packs = (these[at : at + batch] for at in range(0, len(these), batch))
            requests = [self._request("/api/v1/lineage/batch", b"[" + b",".join(pack) + b"]") for pack in packs]
        connections = [socket.create_connection((self.host, self.port)) for _ in range(min(senders, len(requests)))]
        try:
            return _sent(connections, iter(requests))
        finally:
            for connection in connections:
                connection.close()

    def _request(self, path: str, body: bytes) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _sent(connections: Sequence[socket.socket], requests: Iterator[bytes]) -> list[float]:
    waits, began = list[float](), dict[socket.socket, float]()
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            began[connection] = time.perf_counter()
            connection.sendall(next(requests))
        while began:
            for key, _ in selector.select():
                connection = _socket(key)
                _read(connection)
                waits.append((time.perf_counter() - began.pop(connection)) * 1000)
                if (request := next(requests, None)) is not None:
                    began[connection] = time.perf_counter()
                    connection.sendall(request)
    return waits


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def _read(connection: socket.socket) -> None:
    """Returns at the end of an answer that says that all was taken; such answers are short."""
    answer = connection.recv(READ_BYTES)
    while not _is_whole(answer):
        more = connection.recv(READ_BYTES)
        assert more, f"the server hung up after {answer!r}"
        answer += more
    status = answer[9:12]
    assert status in {b"201", b"204"}, answer.decode(errors="replace")


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lines = head.lower().split(b"\r\n")
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    return len(body) >= sum(lengths)


def _cpu_us(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * US_PER_TICK


if __name__ == "__main__":
    main()
