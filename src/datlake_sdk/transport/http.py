"""The transport to a server. The only file that knows urllib3, which it loads at the first call."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from datlake_sdk import __version__
from datlake_sdk._lazy import loading
from datlake_sdk.errors import ConfigError, DatlakeError, TransientNetworkError
from datlake_sdk.transport.address import ServerAddress, proxy_for
from datlake_sdk.transport.answers import ANSWER_LIMIT_BYTES, Received, answer_from, refuse, value_from
from datlake_sdk.transport.logs import log_target, part_from
from datlake_sdk.transport.objects import Progress, Reader, download, upload
from datlake_sdk.transport.retry import ONCE, Budget, FailedAttempt, Policy, chance, retried
from datlake_sdk.transport.workers import Overdue, Workers
from datlake_sdk.wire.codec import checked
from datlake_sdk.wire.http import BODY_METHODS, object_target, request_from_operation
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import LogState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import urllib3

    from datlake_sdk.transport.base import CallOptions
    from datlake_sdk.wire.models import LakeObject
    from datlake_sdk.wire.operations import Op

T = TypeVar("T")

# As many as there are threads would be polite to nobody: more than these are closed again after use.
_KEPT_CONNECTIONS: Final = 16
_PIECE_BYTES: Final = 1 << 20
# Where a specification answers without a body, ours says what became of each event (RFC 7240, section 4.2).
_WITH_ANSWER: Final = {"Prefer": "return=representation"}
_USER_AGENT: Final = f"datlake-sdk/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"


class HttpTransport:
    """A server behind `base_url`. Nothing is connected before the first call; a forked child connects anew."""

    def __init__(self, base_url: str, *, api_key: str | None = None, policy: Policy | None = None) -> None:
        """Raises `ConfigError` where `base_url` cannot be used."""
        self._address = ServerAddress.parse(base_url)
        self._api_key = api_key
        self._policy = policy or Policy()
        self._budget = Budget()
        self.workers = Workers()
        self._wire = _Wire(self._address)

    def call(self, op: Op[T], options: CallOptions) -> T:
        """What the server answers to `op`, within `options.timeout_s` in all. Raises the errors of the public tree."""
        # As the embedded lake: what it refuses is refused here, before an empty name could make another address.
        request = request_from_operation(checked(op))
        headers = self._headers(options)
        if request.method in BODY_METHODS:
            headers["Idempotency-Key"] = op.key or new_id()
            headers["Content-Type"] = "application/json"
            headers |= _WITH_ANSWER if op.body_field is not None else {}

        ask = _Ask(request.method, request.target, headers, request.body)

        return self._asked(ask, options, lambda received: answer_from(received, op), op)

    def upload(self, namespace: str, bucket: str, object_name: str, path: str, options: CallOptions) -> LakeObject:
        """The object that the file at `path` became: as many bytes as it had when this began, checked by digest."""
        target, headers, progress = object_target(bucket, object_name, namespace), self._headers(options), Progress()
        headers |= {"Idempotency-Key": new_id(), "Content-Type": "application/octet-stream"}

        def send(more: dict[str, str], body: Iterable[bytes], patience_s: float) -> Received:
            return self._wire.send(_Ask("PUT", target, headers | more, body), options.timeout_s, patience_s)

        def work() -> LakeObject:
            def left_s() -> float:
                return progress.last_s + options.timeout_s - time.monotonic()

            return self._retried(partial(upload, path, send, progress, options.timeout_s), options, left_s)

        run = partial(self.workers.run, work, options.timeout_s, lambda: progress.last_s)
        return self.guarded(run, options, headers, None)

    def download(self, namespace: str, bucket: str, object_name: str, options: CallOptions) -> Iterator[bytes]:
        """The object's bytes in pieces; goes on where a connection broke; the digest is checked at the end."""
        target, headers = object_target(bucket, object_name, namespace), self._headers(options)

        threads = _Threads(self, options, headers)

        def opened(more: dict[str, str]) -> Reader:
            def attempt() -> Reader:
                return self._wire.open(target, headers | more, options.timeout_s)

            end_s = time.monotonic() + options.timeout_s
            return threads.run(lambda: self._retried(attempt, options, lambda: end_s - time.monotonic()))

        policy = self._policy if options.retries else ONCE
        return download(self._address.url(target), opened, threads, policy)

    def append_log(
        self,
        namespace: str,
        run_id: str,
        offset: int,
        data: bytes,
        options: CallOptions,
        *,
        job_name: str | None = None,
    ) -> LogState:
        """How far the run's log has grown once `data` is in it from `offset` on; sent again, it is there once."""
        target = log_target(run_id, namespace, offset=offset, job_name=job_name)
        headers = self._headers(options) | {"Content-Type": "text/plain; charset=utf-8"}
        ask = _Ask("POST", target, headers, data)
        return self._asked(ask, options, lambda received: value_from(received, LogState))

    def read_log(
        self, namespace: str, run_id: str, offset: int, limit_bytes: int, options: CallOptions
    ) -> tuple[bytes, LogState]:
        """At most `limit_bytes` of the run's log from `offset`, and how far it has grown."""
        target = log_target(run_id, namespace, offset=offset, limit=limit_bytes)
        headers = self._headers(options) | {"Accept": "text/plain, application/problem+json"}
        return self._asked(_Ask("GET", target, headers, None), options, lambda received: part_from(received, run_id))

    def close(self) -> None:
        """Connections and threads are let go; a call after this connects again."""
        self.workers.close()
        self.workers = Workers()
        self._wire.close()

    def _asked(self, ask: _Ask, options: CallOptions, read: Callable[[Received], T], op: Op[T] | None = None) -> T:
        """What `read` makes of the server's answer, within `options.timeout_s` in all."""
        _load()  # before the clock starts: to load a library is no silence of the server's
        end_s = time.monotonic() + options.timeout_s

        def attempt() -> T:
            return read(self._wire.exchange(ask, end_s))

        def work() -> T:
            return self._retried(attempt, options, lambda: end_s - time.monotonic())

        return self.guarded(partial(self.workers.run, work, options.timeout_s), options, ask.headers, op)

    def _retried(self, attempt: Callable[[], T], options: CallOptions, left_s: Callable[[], float]) -> T:
        policy = self._policy if options.retries else ONCE
        return retried(attempt, policy=policy, budget=self._budget, left_s=left_s, wait=time.sleep, chance=chance)

    def guarded(self, run: Callable[[], T], options: CallOptions, headers: dict[str, str], op: Op[object] | None) -> T:
        """What `run` returns; errors leave with the request's id and the run's."""
        try:
            return run()
        except Overdue:
            error: DatlakeError = TransientNetworkError(
                f"no answer from {self._address.shown} within {options.timeout_s:g} s; see whether the server is well",
                code="timeout",
            )
            raise _marked(error, headers, op) from None
        except DatlakeError as error:
            _marked(error, headers, op)
            raise

    def _headers(self, options: CallOptions) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
            "X-Request-Id": options.request_id or new_id(),
        }
        key = options.api_key if options.api_key is not None else self._api_key
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return headers


class _Threads:
    """The transport's threads for one download."""

    def __init__(self, transport: HttpTransport, options: CallOptions, headers: dict[str, str]) -> None:
        self._transport = transport
        self._options = options
        self._headers = headers

    def run(self, work: Callable[[], T]) -> T:
        run = partial(self._transport.workers.run, work, self._options.timeout_s)
        return self._transport.guarded(run, self._options, self._headers, None)

    def start(self, work: Callable[[], None]) -> None:
        with suppress(Overdue):  # all threads are stuck; the operating system closes what is left
            self._transport.workers.start(work, self._options.timeout_s)


class _Ask(Struct, frozen=True):
    """One request, ready to be sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | Iterable[bytes] | None


class _Wire:
    """Connections to one server, kept open per process. Every method blocks and belongs on a worker's thread."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._pid = 0
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._prefix = ""
        self._inherited: list[urllib3.HTTPConnectionPool] = []

    def exchange(self, ask: _Ask, end_s: float) -> Received:
        """One request and its whole answer, until the moment `end_s`. Raises `FailedAttempt`."""
        url = self._address.url(ask.target)
        left_s = self._left_s(end_s, url)
        return self._whole(self._request(ask, left_s, left_s), url, end_s)

    def send(self, ask: _Ask, timeout_s: float, patience_s: float) -> Received:
        """As `exchange`, with a streamed body; the answer may take `patience_s`, since bytes are being made safe."""
        url = self._address.url(ask.target)
        response = self._request(ask, timeout_s, patience_s)
        return self._whole(response, url, time.monotonic() + patience_s)

    def open(self, target: str, headers: dict[str, str], timeout_s: float) -> Reader:
        """An answer whose bytes are still to come. Raises `FailedAttempt` for anything but 200 and 206."""
        url = self._address.url(target)
        response = self._request(_Ask("GET", target, headers | {"Accept": "*/*"}, None), timeout_s, timeout_s)
        if response.status not in {200, 206}:
            received = self._whole(response, url, time.monotonic() + timeout_s)
            refuse(received)
        return _ResponseReader(response, self._address.shown)

    def close(self) -> None:
        if self._pool is not None and self._pid == os.getpid():
            self._pool.close()
        self._pool = None

    def _request(self, ask: _Ask, timeout_s: float, answer_s: float) -> urllib3.BaseHTTPResponse:
        pool = self._connected()
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError, ProtocolError

        send = partial(
            pool.urlopen, ask.method, self._prefix + ask.target, body=ask.body, headers=ask.headers,
            retries=False, redirect=False, assert_same_host=False, preload_content=False, decode_content=False,
            timeout=Timeout(connect=timeout_s, read=answer_s),
        )  # fmt: skip
        connections = pool.num_connections
        try:
            try:
                return send()
            except ProtocolError:
                # A kept connection that the server closed in this very moment. Every request carries its key, so it is
                # safe to ask once more; a body that streams is begun anew by the caller.
                if pool.num_connections != connections or not (ask.body is None or isinstance(ask.body, bytes)):
                    raise
                return send()
        except (HTTPError, OSError) as error:
            raise _no_answer(error, self._address) from _root(error)

    def _whole(self, response: urllib3.BaseHTTPResponse, url: str, end_s: float) -> Received:
        """The answer with its body. Reads what has come, again and again, so that a trickle cannot outlast `end_s`."""
        from urllib3.exceptions import HTTPError

        parts, size = list[bytes](), 0
        try:
            while part := response.read1(_PIECE_BYTES):
                parts.append(part)
                size += len(part)
                self._left_s(end_s, url)
                if size > ANSWER_LIMIT_BYTES:
                    raise _endless(url)
        except (HTTPError, OSError) as error:
            response.close()
            raise _no_answer(error, self._address) from _root(error)
        except FailedAttempt:
            response.close()
            raise
        response.release_conn()
        names = {name.lower(): value for name, value in response.headers.items()}
        return Received(response.status, names, b"".join(parts), url)

    def _left_s(self, end_s: float, url: str) -> float:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            error = TransientNetworkError(
                f"{url} did not answer in time; look whether the server is well", code="timeout"
            )
            raise FailedAttempt(error, is_final=True)
        return left_s

    def _connected(self) -> urllib3.HTTPConnectionPool:
        if self._pool is None or self._pid != os.getpid():
            if self._pool is not None:
                # A parent's sockets: closing them here could wait on a lock that some thread held at the fork.
                self._inherited.append(self._pool)
            self._pool, self._prefix = _new_pool(self._address)
            self._pid = os.getpid()
        return self._pool


class _ResponseReader:
    """The bytes of an answer, piece by piece."""

    def __init__(self, response: urllib3.BaseHTTPResponse, shown: str) -> None:
        self._response = response
        self._shown = shown
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def read(self, within_s: float) -> bytes:
        """A piece: large, or what came `within_s`; empty at the end. Raises `TransientNetworkError` where it broke."""
        from urllib3.exceptions import HTTPError

        end_s, parts, size = time.monotonic() + within_s, list[bytes](), 0
        try:
            while size < _PIECE_BYTES and (part := self._response.read1(_PIECE_BYTES - size)):
                parts.append(part)
                size += len(part)
                if time.monotonic() >= end_s:
                    break
        except (HTTPError, OSError) as error:
            if parts:
                return b"".join(parts)
            self._response.close()
            message = f"the download from {self._shown} broke off: {error}"
            raise TransientNetworkError(message, code="disconnected") from error
        return b"".join(parts)

    def close(self, *, is_done: bool) -> None:
        """The connection is kept where all was read, else closed."""
        if is_done:
            self._response.release_conn()
        else:
            self._response.close()


def _load() -> None:
    from importlib import import_module

    with loading():
        import_module("urllib3")


def _new_pool(address: ServerAddress) -> tuple[urllib3.HTTPConnectionPool, str]:
    """A pool of connections, through the proxy that the environment names, and what stands before each target."""
    import urllib3
    from urllib3.util import parse_url

    proxy = proxy_for(address)
    if proxy is None:
        pool = urllib3.connection_from_url(address.origin, maxsize=_KEPT_CONNECTIONS, blocksize=_PIECE_BYTES)
        return pool, address.path
    parsed = parse_url(proxy)
    credentials = urllib3.make_headers(proxy_basic_auth=parsed.auth) if parsed.auth else None
    manager = urllib3.ProxyManager(proxy, maxsize=_KEPT_CONNECTIONS, proxy_headers=credentials)
    through = manager.connection_from_url(address.origin)
    if address.scheme == "https":
        return through, address.path
    through.headers = dict(credentials or {})
    return through, address.origin + address.path


def _no_answer(error: Exception, address: ServerAddress) -> FailedAttempt:
    """What a socket's trouble means for the caller."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.SSLError):
        return _tls_trouble(error, address)
    code, what = "unreachable", str(error)
    if isinstance(error, exceptions.NameResolutionError):
        what = f"the name {address.host} does not resolve"
    elif isinstance(error, exceptions.NewConnectionError):
        what = "the connection was refused" if "refused" in str(error).lower() else str(error).rpartition(": ")[2]
    elif isinstance(error, (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError)):
        code, what = "timeout", "no answer in time"
    elif isinstance(error, (exceptions.ProtocolError, OSError)):
        code, what = "disconnected", f"the connection broke ({error})"
    message = f"cannot reach {address.shown}: {what}; check DATLAKE_API_URL and that the server runs (`datlake serve`)"
    return FailedAttempt(TransientNetworkError(message, code=code), is_final=False)


def _root(error: BaseException) -> BaseException:
    """The first cause: what lies between is the HTTP library's own story, and a screen long."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _tls_trouble(error: Exception, address: ServerAddress) -> FailedAttempt:
    text = str(error)
    if "CERTIFICATE" in text.upper() or "doesn't match" in text:
        message = (
            f"the certificate of {address.shown} is not trusted: {text}; have it issued for that name by an authority "
            "this machine knows, or name yours in SSL_CERT_FILE"
        )
        return FailedAttempt(ConfigError(message, code="bad_certificate"), is_final=True)
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text:
        message = f"{address.shown} does not speak TLS; if it is the server, its address begins with http://"
        return FailedAttempt(ConfigError(message, code="not_tls"), is_final=True)
    trouble = TransientNetworkError(f"cannot reach {address.shown}: TLS failed ({text})", code="disconnected")
    return FailedAttempt(trouble, is_final=False)


def _endless(url: str) -> FailedAttempt:
    error = TransientNetworkError(
        f"{url} answered with more than {ANSWER_LIMIT_BYTES >> 20} MiB, which no Datlake server does; check "
        "DATLAKE_API_URL",
        code="unexpected_answer",
        retryable=False,
    )
    return FailedAttempt(error, is_final=True)


def _marked(error: DatlakeError, headers: dict[str, str], op: Op[object] | None) -> DatlakeError:
    error.request_id = error.request_id or headers["X-Request-Id"]
    run_id = getattr(op, "run_id", None)
    error.run_id = error.run_id or (run_id if isinstance(run_id, str) else None)
    return error
