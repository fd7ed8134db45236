"""`datlake doctor`: is everything in place? Each check is a line: ok, warn or FAIL, what was found, and what to do."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from datlake_sdk import __version__
from datlake_sdk._amounts import duration, size
from datlake_sdk.cli.connection import connect
from datlake_sdk.cli.exits import ERROR, OK
from datlake_sdk.cli.text import ago, columns, say, say_json, shown
from datlake_sdk.errors import DatlakeError
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.settings import Settings
    from datlake_sdk.wire.models import Forwarding

# Less than this and the next larger artifact fills the disk; then almost nothing can be recorded.
DISK_WARN_BYTES: Final = 1_000_000_000
DISK_FAIL_BYTES: Final = 50_000_000
SLOW_S: Final = 0.5
CLOCK_TOLERANCE_S: Final = 60
# What an extra brings, by a module that tells it is there.
EXTRAS: Final = {"server": ("uvicorn", "httptools"), "openlineage": ("openlineage",), "examples": ("polars",)}
LAG_S: Final = 60.0


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `next` says what to do where it is not ok."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    next: str | None = None


def doctor(arguments: Arguments) -> int:
    """Prints the checks; 1 if one failed."""
    found = list(_checks(arguments))
    is_well = all(check.status != "fail" for check in found)
    if arguments.json:
        say_json({"ok": is_well, "checks": found})
    else:
        for check, line in zip(found, columns(("",) * 3, map(_cells, found))[1:], strict=True):
            say(line)
            if check.next is not None:
                say(f"      → {shown(check.next)}")
        say("", "All is well." if is_well else "Something is broken: see FAIL above.")
    return OK if is_well else ERROR


def _cells(check: Check) -> tuple[str, str, str]:
    return (check.status if check.status != "fail" else "FAIL"), check.name, check.found


def _checks(arguments: Arguments) -> Iterator[Check]:
    yield Check(name="versions", status="ok", found=f"datlake-sdk {__version__}, Python {sys.version.split()[0]}")
    try:
        client = connect(arguments)
    except DatlakeError as error:
        yield Check(name="settings", status="fail", found=error.message, next="`datlake config show` lists them all")
        return
    with client:
        yield _settings(client.settings)
        yield from _openlineage(client.settings)
        yield from _home(client.settings)
        yield from _lake(client)
    yield _sqlite()
    yield from _extras()


def _settings(settings: Settings) -> Check:
    if settings.disabled:
        return Check(name="settings", status="warn", found="DATLAKE_DISABLED is set", next="unset it to record runs")
    return Check(name="settings", status="ok", found=f"namespace {settings.namespace}")


def _openlineage(settings: Settings) -> Iterator[Check]:
    from importlib.util import find_spec

    from datlake_sdk import _openlineage as openlineage

    if not settings.openlineage or not openlineage.is_configured(os.environ):
        return
    found = f"jobs tell {openlineage.destination(os.environ).removeprefix('openlineage ')} of their runs"
    then = None if find_spec("openlineage") else 'pip install "datlake-sdk[openlineage]"; without it, they do not'
    yield Check(name="openlineage", status="warn" if then else "ok", found=found, next=then)


def _home(settings: Settings) -> Iterator[Check]:
    from tempfile import TemporaryFile

    home = settings.home
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        with TemporaryFile(dir=home):
            pass
    except OSError as error:
        then = "set DATLAKE_HOME to a folder you own"
        yield Check(name="home", status="fail", found=f"{home} cannot be written to: {error.strerror}", next=then)
        return
    yield Check(name="home", status="ok", found=f"{home} can be written to")
    yield _disk(home)


def _disk(home: str) -> Check:
    from shutil import disk_usage

    free = disk_usage(home).free
    then = None if free >= DISK_WARN_BYTES else "make room, or move DATLAKE_HOME to a larger disk"
    status: Literal["ok", "warn", "fail"] = "ok" if then is None else "warn" if free >= DISK_FAIL_BYTES else "fail"
    return Check(name="disk", status=status, found=f"{size(free)} free", next=then)


def _lake(client: DatlakeClient) -> Iterator[Check]:
    place = client.base_url or client.settings.api_url or client.settings.home
    name = "server" if client.base_url else "lake"
    try:
        client.get_config()  # opens the lake or the connection, so that the next call shows what a call costs
        began = time.perf_counter()
        config = client.get_config()
        took = time.perf_counter() - began
        newest = client.list_runs(limit=1).items
    except DatlakeError as error:
        yield Check(name=name, status="fail", found=error.message)
        return
    found = f"{place}, version {config.version}, API {config.api_version}, answers in {took * 1000:.1f} ms"
    slow = None if took < SLOW_S else "calls are slow: look at the network, or at what else uses the disk"
    yield Check(name=name, status="warn" if slow else "ok", found=found, next=slow)
    if config.version != __version__:
        then = f"the lake is {config.version}, this SDK {__version__}; upgrade the older one"
        yield Check(name="versions", status="warn", found="they differ", next=then)
    yield _clock(newest[0].started_at if newest else None)
    yield from map(_forwarding, config.forwarding)


def _forwarding(told: Forwarding) -> Check:
    found = f"{told.target}: {told.sent} sent"
    if told.waiting:
        found += f", {told.waiting} wait, the oldest for {duration(told.lag_s)}"
    if told.refused:
        found += f", {told.refused} refused"
    if told.trouble is not None:
        why = f"{told.trouble}; what happens is kept for it meanwhile"
        return Check(name="forwarding", status="warn", found=found, next=why)
    is_late = told.lag_s > LAG_S and not told.is_catching_up
    then = "is the server that forwards running? (`datlake serve --forward-openlineage …`)" if is_late else None
    return Check(name="forwarding", status="warn" if is_late else "ok", found=found, next=then)


def _clock(newest_start: datetime | None) -> Check:
    now = utc_now()
    found = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if newest_start is not None and (newest_start - now).total_seconds() > CLOCK_TOLERANCE_S:
        told = f"{found}, but the newest run started in the future"
        return Check(name="clock", status="warn", found=told, next="set this clock, or that of the machine that ran it")
    last = "" if newest_start is None else f"; the newest run started {ago(newest_start, now)}"
    return Check(name="clock", status="ok", found=found + last)


def _sqlite() -> Check:
    from importlib.metadata import PackageNotFoundError, version

    try:
        # apsw carries SQLite's version number before a number of its own.
        apsw = version("apsw")
    except PackageNotFoundError:
        return Check(name="sqlite", status="fail", found="apsw is not installed", next="pip install datlake-sdk")
    return Check(name="sqlite", status="ok", found=f"SQLite {'.'.join(apsw.split('.')[:3])} (apsw {apsw})")


def _extras() -> Iterator[Check]:
    from importlib.util import find_spec

    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        found = "installed" if not missing else f'not installed; where it is wanted: pip install "datlake-sdk[{extra}]"'
        yield Check(name=f"extra {extra}", status="ok", found=found)
