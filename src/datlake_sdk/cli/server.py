"""`datlake serve`: the one file of the command line that may import the server. It is loaded by that command alone."""

from __future__ import annotations

import sys

from datlake_sdk.errors import DatlakeError


def run_server(home: str, host: str, port: int) -> int:
    """The exit code of serving the lake in `home`: 0 after a graceful stop, 1 with a reason on stderr."""
    try:
        from datlake_server.http.serve import serve
    except ImportError as error:
        print(
            f'datlake: the server is not installed ({error}); type: pip install "datlake-sdk[server]"', file=sys.stderr
        )
        return 1
    try:
        serve(home, host, port)
    except DatlakeError as error:
        print(f"datlake: {error}", file=sys.stderr)
        return 1
    return 0
