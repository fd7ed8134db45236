"""`datlake serve`: the one file of the command line that may import the server. It is loaded by that command alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from datlake_sdk.errors import DatlakeError

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_server(home: str, host: str, port: int, allowed_hosts: Sequence[str] | None = None) -> int:
    """The exit code of serving the lake in `home`: 0 after a graceful stop, 1 with a reason on stderr.

    Answers to loopback names and `allowed_hosts`, without which DATLAKE_ALLOWED_HOSTS names them.
    """
    try:
        from datlake_server.http.serve import serve
    except ImportError as error:
        print(
            f'datlake: the server is not installed ({error}); type: pip install "datlake-sdk[server]"', file=sys.stderr
        )
        return 1
    try:
        serve(home, host, port, allowed_hosts=allowed_hosts)
    except DatlakeError as error:
        print(f"datlake: {error}", file=sys.stderr)
        return 1
    return 0
