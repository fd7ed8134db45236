"""What the command line asks of the server's code; the one file of it that may import that, loaded when needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from datlake_sdk.errors import DatlakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_server.archive import Summary


class Forward(NamedTuple):
    """Where OpenLineage goes, without which DATLAKE_FORWARD_OPENLINEAGE names it, and whether new targets get all."""

    targets: Sequence[str] = ()
    all_history: bool = False


def run_server(
    home: str, host: str, port: int, allowed_hosts: Sequence[str] | None = None, forward: Forward | None = None
) -> int:
    """The exit code of serving the lake in `home`: 0 after a graceful stop, 1 with a reason on stderr.

    Answers to loopback names and `allowed_hosts`, without which DATLAKE_ALLOWED_HOSTS names them.
    """
    targets, all_history = forward or Forward()
    try:
        from datlake_server.http.serve import serve
    except ImportError as error:
        print(
            f'datlake: the server is not installed ({error}); type: pip install "datlake-sdk[server]"', file=sys.stderr
        )
        return 1
    try:
        serve(
            home, host, port, allowed_hosts=allowed_hosts, forward_openlineage=targets, forward_all_history=all_history
        )
    except DatlakeError as error:
        print(f"datlake: {error}", file=sys.stderr)
        return 1
    return 0


def back_up(home: str, file: str, told_of: Callable[[str, int, int], None]) -> Summary:
    """What the backup `file` of the lake in `home` holds, once it is on the disk."""
    from datlake_server.backup import back_up as backed_up

    return backed_up(home, file, told_of)


def restore(home: str, file: str, told_of: Callable[[str, int, int], None], *, force: bool) -> Summary:
    """What is in `home`, once the backup `file` is in the lake's place."""
    from datlake_server.restore import restore as restored

    return restored(home, file, told_of, force=force)
