"""A small OpenLineage consumer: takes events over real sockets, keeps them, and answers as it is told to."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

Event = dict[str, object]


class Request(NamedTuple):
    """A request as it came, its body unpacked."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What it answers."""

    status: int = 201
    body: bytes = b""


class Consumer:
    """Listens on a port of its own from `with` to the end of the block. `answer` says what each request gets."""

    def __init__(self, answer: Callable[[Request], Reply] = lambda _: Reply(), port: int = 0) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[Event]:
        """All events that were taken, in the order in which they came."""
        return [event for request in list(self.requests) for event in events_in(request)]

    def kinds(self, job: str | None = None) -> list[object]:
        """The types of the events taken, of one job or of all."""
        return [event.get("eventType") for event in self.events if job in {None, name_of(event)}]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _take(self, request: Request) -> Reply:
        reply = self.answer(request)
        if reply.status < 300:
            self.requests.append(request)
        return reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                reply = take(Request(self.path, dict(self.headers), body))
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        return Handler


def events_in(request: Request) -> list[Event]:
    """The events of a request: one, or a batch."""
    told = msgspec.json.decode(request.body, type=Event | list[Event])
    return told if isinstance(told, list) else [told]


def name_of(event: Event) -> object:
    """The job that the event is of, null where it is of none."""
    job = event.get("job")
    return job.get("name") if isinstance(job, dict) else None


def run_event(number: int, kind: str = "START", **more: object) -> Event:
    """A producer's event of the run with that number."""
    return {
        "eventType": kind,
        "eventTime": f"2026-11-01T00:{number:02}:00Z",
        "run": {"runId": f"0190a0a0-0000-7000-8000-{number:012}"},
        "job": {"namespace": "default", "name": f"job-{number}"},
        "inputs": [{"namespace": "s3://lake", "name": "raw"}],
        "outputs": [{"namespace": "s3://lake", "name": f"out-{number}"}],
        "producer": "urn:test",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        **more,
    }
