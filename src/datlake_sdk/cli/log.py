"""`datlake log`: what a run said, or has said so far; and, followed, what it goes on to say. Byte for byte."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK, UsageError
from datlake_sdk.cli.runs import run_of
from datlake_sdk.cli.text import ago, say, say_json
from datlake_sdk.errors import NotFound
from datlake_sdk.wire.ids import object_uri, run_log_key
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Artifact, Run


def log(arguments: Arguments) -> int:
    """Writes a run's log to stdout."""
    if arguments.follow and arguments.json:
        message = "--follow writes what the run says and --json does not; leave one of them out"
        raise UsageError(message)
    with connect_to_read(arguments) as client:
        run = run_of(client, arguments.run_id, is_scoped=arguments.namespace is not None)
        if arguments.json:
            say_json({"run_id": run.run_id, "items": _logs(run)})
        elif arguments.follow and run.state == "running":
            _follow(client, run)
        else:
            _show(client, run)
    return OK


def _follow(client: DatlakeClient, run: Run) -> None:
    """Writes the run's own log until the run has ended. A run that says nothing more may be lost: that is told."""
    _write(client.read_log(run.run_id, follow=True, namespace=run.namespace))
    if client.get_run(run.run_id, namespace=run.namespace).state == "lost":
        print(
            f"datlake: run {run.run_id} is presumed lost: its process is gone, or gave no sign of life for long",
            file=sys.stderr,
        )


def _show(client: DatlakeClient, run: Run) -> None:
    """Writes the run's own log, as far as it came, and those it attached."""
    attached = [each for each in _logs(run) if not _is_own(run, each)]
    own = next((each for each in _logs(run) if _is_own(run, each)), None)
    begun = _begun(client, run, own)
    is_headed = bool(attached) and (begun is not None or len(attached) > 1)
    if begun is not None:
        _say_head("run.log", is_headed=is_headed)
        _write(begun)
    elif not attached:
        raise NotFound(_no_log(run), code="log_not_found")
    for each in attached:
        _say_head(each.name or each.uri, is_headed=is_headed)
        _write(client.read_object(each.uri, namespace=run.namespace))


def _begun(client: DatlakeClient, run: Run, own: Artifact | None) -> Iterator[bytes] | None:
    """The run's own log: the object that its ending names, else what it said so far; null where it said nothing."""
    if own is not None:
        try:
            return _with_first(client.read_object(own.uri, namespace=run.namespace), is_needed=False)
        except NotFound:
            pass  # it is still on its way
    try:
        return _with_first(client.read_log(run.run_id, namespace=run.namespace), is_needed=True)
    except NotFound:
        if own is not None:
            raise
        return None  # an older server, which keeps no log before its end


def _with_first(pieces: Iterator[bytes], *, is_needed: bool) -> Iterator[bytes] | None:
    """The pieces, the first of which is here; null where there is none and one `is_needed`."""
    first = next(pieces, b"")
    return None if is_needed and not first else _joined(first, pieces)


def _joined(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _logs(run: Run) -> list[Artifact]:
    return [artifact for artifact in run.artifacts if artifact.type == "log"]


def _is_own(run: Run, log: Artifact) -> bool:
    key = object_uri("-", run_log_key(run.job_name, run.run_id)).removeprefix("datlake://-")
    return log.uri.endswith(key)


def _no_log(run: Run) -> str:
    why = (
        f"it is still running (started {ago(run.started_at, utc_now())}) and said nothing yet"
        if run.state == "running"
        else "none was kept"
    )
    return (
        f"run {run.run_id} of job {run.job_name!r} has no log: {why}; "
        "JobContext(…, ship_logs=True), DATLAKE_LOG_SHIP=1 and `datlake run` keep one"
    )


def _say_head(name: str, *, is_headed: bool) -> None:
    if is_headed:
        say(f"==> {name} <==")


def _write(pieces: Iterable[bytes]) -> None:
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
