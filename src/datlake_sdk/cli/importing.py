"""`datlake import openlineage`: the events of files, into the lake in batches, each told of that the lake refused."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._amounts import grouped
from datlake_sdk.cli.connection import connect
from datlake_sdk.cli.exits import ERROR, OK
from datlake_sdk.cli.json_events import STDIN, Found, events_in, opened
from datlake_sdk.cli.progress import Progress
from datlake_sdk.cli.text import say, say_json, shown
from datlake_sdk.errors import DatlakeError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient

# Larger batches are no faster, and one that fails costs more.
BATCH_EVENTS: Final = 200
# What a lake takes at once, unless it says otherwise; some of it for what stands around the events.
BATCH_BYTES: Final = 1 << 20
ROOM_BYTES: Final = 64 << 10
# A batch is many writes; a busy lake may need a while.
TIMEOUT_S: Final = 120.0
# So many are named in JSON; stderr names all.
FAILURES_KEPT: Final = 1000


class Failure(NamedTuple):
    """An event that was not taken."""

    file: str
    where: str
    reason: str


def take(arguments: Arguments) -> int:
    """Takes the events of the files; 1 where any was refused."""
    for path in arguments.files:
        _require(path)
    with connect(arguments) as client, Progress() as progress:
        taking = Taking(client, progress, strict=arguments.strict)
        for path in arguments.files:
            taking.take(path)
    if arguments.json:
        say_json(taking.told())
    else:
        say(taking.summary(len(arguments.files)))
    return ERROR if taking.failed else OK


class Taking:
    """What was taken so far, and what was not."""

    def __init__(self, client: DatlakeClient, progress: Progress, *, strict: bool) -> None:
        """Sends to `client`; nothing yet."""
        self.received = 0
        self.taken = 0
        self.failed = 0
        self._client = client
        self._progress = progress
        self._strict = strict
        self._failures: list[Failure] = []
        limits = client.get_config().limits
        self._batch_events = min(BATCH_EVENTS, limits.get("batch_events", BATCH_EVENTS))
        self._batch_bytes = max(1, limits.get("batch_bytes", BATCH_BYTES) - ROOM_BYTES)

    def take(self, path: str) -> None:
        """The events of the file are in the lake, but those that it refused."""
        source = opened(path)
        with source.packed:
            good = self._good(path, events_in(source.file))
            for batch in batches(good, self._batch_events, self._batch_bytes):
                self._send_or_say(path, batch)
                self._progress(f"{shown(path)}: {_counted(self.taken, 'event')}", source.read_bytes, source.size_bytes)

    def told(self) -> dict[str, object]:
        """The counts and the failures, for programs."""
        return {
            "received": self.received,
            "successful": self.taken,
            "failed": self.failed,
            "failures": [each._asdict() for each in self._failures],
        }

    def summary(self, files: int) -> str:
        """The counts, for people."""
        refused = f", {grouped(self.failed)} refused" if self.failed else ""
        return f"{_counted(self.taken, 'event')} taken from {_counted(files, 'file')}{refused}."

    def _good(self, path: str, found: Iterable[Found]) -> Iterator[Found]:
        for each in found:
            self.received += 1
            if each.error:
                self._fail(path, each.where, each.error)
            else:
                yield each

    def _send_or_say(self, path: str, batch: Sequence[Found]) -> None:
        try:
            self._send(path, batch)
        except DatlakeError as error:
            taken = _counted(self.taken, "event")
            error.message += f"; {taken} of the files were taken before; type the same again to go on: none is doubled"
            raise

    def _send(self, path: str, batch: Sequence[Found]) -> None:
        """Sends the batch; one that is refused as a whole in halves, until it is plain which event is at fault."""
        try:
            answer = self._client.record_lineage_batch(
                [each.data for each in batch], strict=self._strict, timeout=TIMEOUT_S
            )
        except InvalidRequest as error:
            if len(batch) == 1:
                self._fail(path, batch[0].where, error.message)
                return
            half = len(batch) // 2
            self._send(path, batch[:half])
            self._send(path, batch[half:])
            return
        self.taken += answer.summary.successful
        for refused in answer.failed_events:
            again = "; it may be taken when sent again" if refused.retriable else ""
            self._fail(path, batch[refused.index].where, refused.reason + again)

    def _fail(self, path: str, where: str, reason: str) -> None:
        self.failed += 1
        self._progress.clear()
        print(f"datlake: {shown(f'{path}: {where}: {reason}')}", file=sys.stderr)
        if len(self._failures) < FAILURES_KEPT:
            self._failures.append(Failure(path, where, reason))


def batches(found: Iterable[Found], most: int, most_bytes: int) -> Iterator[list[Found]]:
    """The events in groups of at most `most`, and of at most so many bytes unless one alone has more."""
    batch: list[Found] = []
    size_bytes = 0
    for each in found:
        if batch and (len(batch) == most or size_bytes + len(each.data) >= most_bytes):
            yield batch
            batch, size_bytes = [], 0
        batch.append(each)
        size_bytes += len(each.data) + 1
    if batch:
        yield batch


def _require(path: str) -> None:
    """Returns where the file can be read: of many, one that is mistyped is told before the first is taken."""
    if path != STDIN and not stat.S_ISFIFO(os.stat(path).st_mode):  # a pipe would be emptied by looking
        with open(path, "rb"):
            pass


def _counted(number: int, what: str) -> str:
    return f"{grouped(number)} {what}{'' if number == 1 else 's'}"
