"""One server process over one lake's folder: binds, says where it is, serves until it is asked to stop."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

import uvicorn

from datlake_sdk.errors import ConfigError
from datlake_server.forwarding.targets import targets_from
from datlake_server.http.app import App, create_app
from datlake_server.http.health import STOP_S, Health
from datlake_server.http.hosts import SETTING, hosts_from
from datlake_server.lake import Lake
from datlake_server.serverlock import ServerLock, served
from datlake_server.services.presence import Watch
from datlake_server.settings import lost_after_s
from datlake_server.store.sqlite import now_us

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

GRACE_S: Final = 10
# Idle connections are cheap, and a job that calls once a minute should not pay for a new one each time.
KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 2048
_log = logging.getLogger("datlake.server")


def serve(
    home: str,
    host: str,
    port: int,
    *,
    log_level: str = "warning",
    allowed_hosts: Sequence[str] | None = None,
    forward_openlineage: Sequence[str] = (),
    forward_all_history: bool = False,
) -> None:
    """Serves the lake in `home` until SIGTERM or SIGINT, then lets running requests end.

    Answers to loopback names and `allowed_hosts`, without which DATLAKE_ALLOWED_HOSTS names them. Meanwhile forwards
    what happens to the OpenLineage targets, without which DATLAKE_FORWARD_OPENLINEAGE names them.
    Raises `ConfigError` for an address that cannot be used, a setting that cannot be read, and a folder that another
    server serves.
    """
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    _refuse_open_address(host)
    home = os.path.abspath(os.path.expanduser(home))
    if allowed_hosts is None:
        allowed_hosts = hosts_from(os.environ.get(SETTING, ""))
    least_s = lost_after_s(os.environ)
    targets = targets_from(forward_openlineage, os.environ)
    with served(home) as lock, _bound(host, port) as listener:
        lock.tell(url_of(listener))
        watch = Watch(now_us, time.monotonic, least_s=least_s, listens=True)
        lake = Lake.open(home, watch=watch, serves=True)
        app = create_app(lake, allowed_hosts=allowed_hosts)
        try:
            forwarding = lake.forwarding(targets, os.environ, all_history=forward_all_history)
            with forwarding, _looked_through(app.health, lake, lock):
                _Server(app, log_level, url_of(listener), home).run(sockets=[listener])
        finally:
            app.close()
            lake.close()


def url_of(listener: socket.socket) -> str:
    """The address that clients use for a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Says where it is once it answers, and ends with status 0 when it was asked to end."""

    def __init__(self, app: App, log_level: str, url: str, home: str) -> None:
        super().__init__(_config(app, log_level))
        self._app = app
        self._url = url
        self._home = home

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, then one line for people and one for their shell."""
        await super().startup(sockets)
        print(f"datlake: serving {self._home} at {self._url}", flush=True)  # noqa: T201 -- this is what it is for
        print(f"now type: export DATLAKE_API_URL={self._url}", flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; logs that are followed would hold it up as long as it waits for anybody."""
        self._app.wind_up()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """No signal is raised again: as uvicorn does it, a graceful stop looks like a death by signal."""
        kept = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in kept.items():
                signal.signal(one, handler)

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._app.wind_up()
        self.force_exit = self.should_exit  # asked twice: now
        self.should_exit = True


def _config(app: App, log_level: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="auto",
        http=_protocol(),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=log_level,
        access_log=log_level == "debug",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _protocol() -> type[asyncio.Protocol] | Literal["auto"]:
    """The guarded parser where httptools is there, else what uvicorn finds."""
    if find_spec("httptools") is None:
        return "auto"
    from datlake_server.http.guarded import GuardedProtocol

    return GuardedProtocol


@contextmanager
def _bound(host: str, port: int) -> Generator[socket.socket]:
    """A listening socket. `TCP_NODELAY` is inherited by what it accepts; without it a small answer waits 40 ms."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
    except OSError as error:
        raise ConfigError(
            f"the host {host!r} is not known here ({error.strerror}); --host 127.0.0.1 is the usual one"
        ) from error
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"{host} port {port} cannot be bound: {error.strerror}; choose another with --port"
        ) from error
    with listener:
        yield listener


@contextmanager
def _looked_through(health: Health, lake: Lake, lock: ServerLock) -> Generator[None]:
    """Meanwhile the lake is looked through where a process that had it open was killed; nobody waits for that."""
    lock.is_check_due |= lake.is_left_over
    if not lock.is_check_due:
        yield
        return

    def passed() -> None:
        lock.is_check_due = False

    _log.warning("the lake was not closed by %s; looking for damage", lock.left_by or "a process that used it")
    looking = health.check(passed)
    try:
        yield
    finally:
        health.stop()
        looking.join(STOP_S)


def _refuse_open_address(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ConfigError(
            f"refusing to serve on {host}: without keys, anyone who reaches that address could read and change the "
            "lake, and this version has no keys yet. Serve on 127.0.0.1, and let a reverse proxy or an SSH tunnel "
            "decide who may come in"
        )
