"""`datlake backup` and `datlake restore`: which lake, how far it is, and what came of it. The work is the server's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from datlake_sdk._amounts import size
from datlake_sdk.cli.connection import settings_of
from datlake_sdk.cli.exits import ERROR, OK, UsageError
from datlake_sdk.cli.progress import Progress
from datlake_sdk.cli.text import facts, say, say_json, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk.cli.arguments import Arguments

NAMED: Final = 5


def backup(arguments: Arguments) -> int:
    """Writes the backup; 1 where it holds all that the lake has, but the lake itself has lost something."""
    from datlake_sdk.cli.server import back_up

    home = _folder_of(arguments, "backup")
    with Progress() as progress:
        made = back_up(home, arguments.file, progress)
    if arguments.json:
        say_json(made)
    else:
        held = f"{made.counts.runs} runs, {made.counts.snapshots} snapshots, {made.counts.objects} objects"
        say(f"The lake in {shown(home)} is in {shown(made.file)}: {held}, {size(made.size_bytes)}.")
    return _warned(made.missing, made.damaged)


def restore(arguments: Arguments) -> int:
    """Puts the backup in the lake's place."""
    from datlake_sdk.cli.server import restore as restored

    home = _folder_of(arguments, "restore")
    with Progress() as progress:
        found = restored(home, arguments.file, progress, force=arguments.force)
    if arguments.json:
        say_json(found)
    else:
        say(f"The lake in {shown(home)} is that of {found.created_at} again.")
        held = f"{found.counts.runs} runs, {found.counts.snapshots} snapshots, {found.counts.objects} objects"
        say(*facts((("holds", held), ("before", found.moved_to or "")), "  "))
    return _warned(found.missing, found.damaged)


def _folder_of(arguments: Arguments, command: str) -> str:
    """The folder of the lake in use. Raises `UsageError` where that is a server's."""
    from datlake_sdk.transport.resolve import is_server

    settings = settings_of(arguments).settings
    if is_server(settings.api_url):
        message = (
            f"{settings.api_url} is a server; its lake is a folder on its host: run "
            f"`datlake {command} FILE --home DIR` there"
        )
        raise UsageError(message)
    return settings.api_url or settings.home


def _warned(missing: Sequence[str], damaged: Sequence[str]) -> int:
    """The exit code, after a line on stderr for what the lake had lost already."""
    for what, names in (("have lost their bytes", missing), ("got other bytes", damaged)):
        if names:
            listed = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
            print(f"datlake: objects that {what} in the lake: {len(names)} ({listed})", file=sys.stderr)
    return ERROR if missing or damaged else OK
