"""`datlake export openlineage`: runs, jobs and datasets as lines of OpenLineage events, to stdout or into a file."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, cast

from msgspec import json

from datlake_sdk._amounts import grouped, size
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK, UsageError
from datlake_sdk.cli.progress import Progress
from datlake_sdk.cli.runs import run_of
from datlake_sdk.cli.text import moment_of, say, shown
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient

STDOUT: Final = "-"
PAGE_EVENTS: Final = 500
# A page of large events takes a while to write and to send.
TIMEOUT_S: Final = 120.0


def export(arguments: Arguments) -> int:
    """Writes the events, one on a line."""
    if arguments.run and arguments.since:
        message = "--run names one run, whenever it started; leave out --since"
        raise UsageError(message)
    with connect_to_read(arguments) as client, Progress() as progress:
        events = _events(client, arguments)
        if arguments.output == STDOUT:
            _write(sys.stdout.buffer, events, None)
            return OK
        with whole_file(arguments.output) as file:
            count = _write(file, events, progress)
    told = size(os.path.getsize(arguments.output))
    say(f"{grouped(count)} event{'' if count == 1 else 's'} in {shown(arguments.output)}, {told}.")
    return OK


@contextmanager
def whole_file(path: str) -> Generator[IO[bytes]]:
    """A file to write to that is at `path` once it is whole, gzipped by its ending; nothing is there if it fails."""
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        with open(path, "wb") as file:  # a device or a pipe: nothing may take its place
            yield file
        return
    part = f"{path}.{new_id()}.part"
    try:
        with open(part, "xb") as file:
            if path.endswith(".gz"):
                with _packing(file) as packed:
                    yield packed
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise


def _packing(file: IO[bytes]) -> IO[bytes]:
    import gzip

    # No name and no time in it: the same events are the same file.
    return cast("IO[bytes]", gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))


def _events(client: DatlakeClient, arguments: Arguments) -> Iterable[dict[str, object]]:
    if arguments.run:
        run = run_of(client, arguments.run, is_scoped=arguments.namespace is not None)
        return client.run_open_lineage(run.run_id, limit=PAGE_EVENTS, namespace=run.namespace, timeout=TIMEOUT_S)
    since = None if arguments.since is None else moment_of(arguments.since, utc_now())
    return client.export_open_lineage(since=since, limit=PAGE_EVENTS, namespace=arguments.namespace, timeout=TIMEOUT_S)


def _write(file: IO[bytes], events: Iterable[dict[str, object]], progress: Progress | None) -> int:
    count = 0
    for count, event in enumerate(events, start=1):
        file.write(json.encode(event) + b"\n")
        if progress is not None:
            progress(f"{grouped(count)} events", 0, 0)
    return count
