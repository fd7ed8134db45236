"""`datlake outbox`: what waits on this host for a lake, deliver it, look at what was refused, and what was lost."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from datlake_sdk._amounts import size
from datlake_sdk._connection import transport_of
from datlake_sdk._outbox import dead, overview
from datlake_sdk._outbox.journal import Frame
from datlake_sdk._outbox.parcels import UploadParcel, content_of
from datlake_sdk._outbox.places import folder_of
from datlake_sdk.cli.connection import connect, settings_of
from datlake_sdk.cli.exits import ERROR, OK, REFUSED, UNREACHABLE, exit_code_of
from datlake_sdk.cli.text import ago, columns, facts, say, say_json, shown
from datlake_sdk.errors import DatlakeError
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk._outbox.dead import DeadLetter
    from datlake_sdk._outbox.overview import Standing
    from datlake_sdk.cli.arguments import Arguments


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
    """Delivers what processes that are gone left for the lake in use; 4 where it cannot be reached."""
    settings = settings_of(arguments).settings
    with connect(arguments) as client:
        progress = overview.flush(settings, lambda: transport_of(client), arguments.timeout)
    left = overview.standing(settings, folder_of(settings))
    stopped = progress.stopped_by
    if arguments.json:
        say_json(
            {
                "delivered": progress.operations,
                "refused": progress.refused,
                "damaged_bytes": progress.damaged_bytes,
                "left": progress.left,
                "waiting": left.waiting,
                "held": left.held,
                "stopped_by": None if stopped is None or stopped.error is None else stopped.error.message,
            }
        )
    else:
        say(f"{progress.operations} delivered, {progress.refused} refused, {left.waiting} waiting")
        _tell_rest(left, progress.left, stopped.error if stopped is not None else None)
    if stopped is not None:
        return exit_code_of(stopped.error) if stopped.error is not None else UNREACHABLE
    return REFUSED if progress.refused else OK if left.waiting <= left.held else ERROR


def dead_letters(arguments: Arguments) -> int:
    """Prints what the lake refused for good, with its answers."""
    letters = dead.dead_letters(folder_of(settings_of(arguments).settings))
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
    count = overview.retry(settings_of(arguments).settings, _named(arguments))
    if not arguments.json:
        say(f"{count} dead letters wait again")
    return flush(arguments)


def drop(arguments: Arguments) -> int:
    """Throws dead letters away: those named, or all of them with --all."""
    count = overview.drop(settings_of(arguments).settings, _named(arguments))
    if arguments.json:
        say_json({"dropped": count})
    else:
        say(f"{count} dead letters dropped")
    return OK


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
