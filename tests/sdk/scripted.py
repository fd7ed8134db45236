"""A server that answers what it is told to, byte for byte, and keeps what it was sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import msgspec

from datlake_sdk.transport.http import HttpTransport


def answer(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def problem(status: int, code: str, *headers: str, **more: object) -> bytes:
    """A whole answer that is a problem."""
    body = msgspec.json.encode({"status": status, "code": code, "detail": "said the server", **more})
    return answer(status, body, *headers, kind="application/problem+json")


class Scripted:
    """A server that gives one scripted answer per request and keeps what it was sent."""

    def __init__(self, *script: bytes | Callable[[socket.socket], None]) -> None:
        self.requests: list[bytes] = []
        self._script = list(script)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._live, daemon=True).start()

    def header(self, name: str, of: int = -1) -> str | None:
        """A header of one of the requests."""
        for line in self.requests[of].split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    def close(self) -> None:
        """New connections are refused."""
        self._listener.close()

    def _live(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                while request := _read_request(sock):
                    self.requests.append(request)
                    step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                    if callable(step):
                        step(sock)
                        return
                    sock.sendall(step)
            except OSError:
                return


def _read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    stated = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(stated[0].split(b":")[1]) if stated else 0
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


Make = Callable[..., tuple[Scripted, HttpTransport]]
