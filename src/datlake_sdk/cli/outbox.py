"""`datlake outbox`: what waits on this host for a lake, deliver it, look at what was refused, and what was lost."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from datlake_sdk._amounts import size
from datlake_sdk._connection import transport_of
from datlake_sdk._outbox import dead, overview
from datlake_sdk._outbox.journal import Frame
from datlake_sdk._outbox.overview import Standing
from datlake_sdk._outbox.parcels import UploadParcel, content_of
from datlake_sdk._outbox.places import folder_of
from datlake_sdk._outbox.recovery import Progress
from datlake_sdk.cli.connection import connect, settings_of
from datlake_sdk.cli.exits import ERROR, OK, REFUSED, UNREACHABLE, exit_code_of
from datlake_sdk.cli.text import ago, columns, facts, say, say_json, shown
from datlake_sdk.errors import DatlakeError
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datlake_sdk._outbox.dead import DeadLetter
    from datlake_sdk._outbox.delivery import Carrier
    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.settings import Settings


def status(arguments: Arguments) -> int:
    """Prints what waits, by destination."""
    found = overview.standings(settings_of(arguments).settings)
    if arguments.json:
        say_json({"destinations": [_as_json(each) for each in found]})
    elif not found:
        say("Nothing waits: the outbox is empty.")
    else:
        for number, each in enumerate(found):
            say(*([""] if number else []), *_told(each))
    return OK


def flush(arguments: Arguments) -> int:
    """Delivers what processes that are gone left for the lake in use, and for the OpenLineage consumer if one is.

    4 where one of them cannot be reached.
    """
    settings = settings_of(arguments).settings
    with connect(arguments) as client:
        progress = overview.flush(settings, lambda: transport_of(client), arguments.timeout)
    flushed = [_Flushed(progress, overview.standing(settings, folder_of(settings)))]
    for consumer in _consumers(settings):
        progress = overview.flush(settings, _carrier_of_events(), arguments.timeout, consumer)
        flushed.append(_Flushed(progress, overview.standing(settings, folder_of(settings, consumer))))
    lake, *others = flushed
    if arguments.json:
        say_json(lake.as_json() | ({"openlineage": others[0].as_json()} if others else {}))
    else:
        for each in flushed:
            each.tell("" if each is lake else "OpenLineage: ")
    return max(each.exit_code for each in flushed)


def dead_letters(arguments: Arguments) -> int:
    """Prints what the lake, or the OpenLineage consumer, refused for good, with the answers."""
    settings = settings_of(arguments).settings
    places = [folder_of(settings), *(folder_of(settings, each) for each in _consumers(settings))]
    letters = [letter for place in places for letter in dead.dead_letters(place)]
    if arguments.json:
        say_json({"items": [_letter_as_json(letter) for letter in letters]})
    elif not letters:
        say("No dead letters: nothing was refused for good.")
    else:
        rows = [(letter.id, _what(letter), letter.code, _first_line(letter.message)) for letter in letters]
        say(*columns(("ID", "WHAT", "CODE", "ANSWER"), rows))
        say("", "`datlake outbox retry ID…` sends them again, `datlake outbox drop ID…` throws them away.")
    return OK


def retry(arguments: Arguments) -> int:
    """Sends dead letters again: those named, or all of them with --all."""
    settings, ids = settings_of(arguments).settings, _named(arguments)
    count = overview.retry(settings, ids) + sum(overview.retry(settings, ids, each) for each in _consumers(settings))
    if not arguments.json:
        say(f"{count} dead letters wait again")
    return flush(arguments)


def drop(arguments: Arguments) -> int:
    """Throws dead letters away: those named, or all of them with --all."""
    settings, ids = settings_of(arguments).settings, _named(arguments)
    count = overview.drop(settings, ids) + sum(overview.drop(settings, ids, each) for each in _consumers(settings))
    if arguments.json:
        say_json({"dropped": count})
    else:
        say(f"{count} dead letters dropped")
    return OK


class _Flushed(NamedTuple):
    """What became of what waited for one destination."""

    progress: Progress
    left: Standing

    @property
    def error(self) -> DatlakeError | None:
        """Why no more was taken; null where all was, or nothing is known of it."""
        stopped = self.progress.stopped_by
        return None if stopped is None else stopped.error

    @property
    def exit_code(self) -> int:
        """What the command is to end with, as far as this destination goes."""
        if self.progress.stopped_by is not None:
            return UNREACHABLE if self.error is None else exit_code_of(self.error)
        return REFUSED if self.progress.refused else OK if self.left.waiting <= self.left.held else ERROR

    def as_json(self) -> dict[str, object]:
        """The same, as programs read it."""
        return {
            "delivered": self.progress.operations,
            "refused": self.progress.refused,
            "damaged_bytes": self.progress.damaged_bytes,
            "left": self.progress.left,
            "waiting": self.left.waiting,
            "held": self.left.held,
            "stopped_by": None if self.error is None else self.error.message,
        }

    def tell(self, whose: str) -> None:
        """The same, as people read it."""
        told = f"{self.progress.operations} delivered, {self.progress.refused} refused, {self.left.waiting} waiting"
        say(f"{whose}{told}")
        _tell_rest(self.left, self.progress.left, self.error)


def _consumers(settings: Settings) -> list[str]:
    """The OpenLineage consumer that the environment names, where something waits for it here."""
    from datlake_sdk import _openlineage as openlineage

    if not settings.openlineage or not openlineage.is_configured(os.environ):
        return []
    destination = openlineage.destination(os.environ)
    return [destination] if os.path.isdir(folder_of(settings, destination)) else []


def _carrier_of_events() -> Callable[[], Carrier]:
    from datlake_sdk import _openlineage as openlineage
    from datlake_sdk._openlineage_client import Carrier as EventCarrier

    carrier = EventCarrier(openlineage.file_in_use(os.environ))
    return lambda: carrier


def _named(arguments: Arguments) -> list[str]:
    from datlake_sdk.cli.exits import UsageError

    if bool(arguments.ids) == arguments.all:
        message = "name dead letters by their ids (`datlake outbox dead` lists them), or say --all"
        raise UsageError(message)
    return list(arguments.ids)


def _told(each: Standing) -> list[str]:
    until = each.open_until
    lost = sum(loss.count for loss in each.lost)
    pairs = [
        ("destination", each.destination),
        ("waiting", _waiting(each)),
        ("files", f"{each.files} in the spool" if each.files else ""),
        ("size", f"{size(each.size_bytes)} of {size(each.limit_bytes)}"),
        ("oldest", "" if each.oldest_at is None else ago(_moment(each.oldest_at), utc_now())),
        ("away", "" if until is None else f"asked again in {max(until - time.time(), 0):.0f} s"),
        ("refused", f"{each.dead} dead letters; see `datlake outbox dead`" if each.dead else ""),
        ("lost", f"{lost}: {each.lost[-1].what}, {each.lost[-1].why}" if lost else ""),
        ("folder", each.folder),
    ]
    return facts(pairs)


def _waiting(each: Standing) -> str:
    if not each.waiting:
        return "nothing"
    held = f", {each.held} of them in running processes" if each.held else ""
    return f"{each.waiting} operations{held}"


def _tell_rest(left: Standing, unread: Sequence[str], error: DatlakeError | None) -> None:
    sys.stdout.flush()
    for each in unread:
        print(f"datlake: not read: {shown(each)}", file=sys.stderr)
    if error is not None:
        print(f"datlake: stopped: {shown(error.message)}", file=sys.stderr)
    elif left.held:
        told = f"{left.held} belong to running processes, which deliver them themselves"
        print(f"datlake: {told}", file=sys.stderr)


def _as_json(each: Standing) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(each)
    return found | {
        "oldest_at": None if each.oldest_at is None else _moment(each.oldest_at).isoformat(),
        "open_until": None if each.open_until is None else _moment(each.open_until).isoformat(),
    }


def _letter_as_json(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "code": letter.code,
        "status": letter.status,
        "message": letter.message,
        "refused_at": letter.refused_at,
        "operation": msgspec.json.decode(letter.payload),
    }


def _what(letter: DeadLetter) -> str:
    try:
        content = content_of(Frame(letter.kind, bytes(letter.payload), 0, 0))
    except DatlakeError:
        return "unreadable"
    if isinstance(content, UploadParcel):
        return f"upload of {content.object_name.rpartition('/')[2]}"
    run_id = getattr(content, "run_id", None)
    return type(content).__name__ + (f" of run {str(run_id)[:13]}" if run_id else "")


def _first_line(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
