"""`datlake serve`: which folder to serve, and where. The server itself is started by `cli/server.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.cli.connection import settings_of
from datlake_sdk.cli.exits import UsageError

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Arguments


def serve(arguments: Arguments) -> int:
    """Serves the lake in `--home`, or the embedded lake of the settings, until it is asked to stop."""
    from datlake_sdk.cli.server import Forward, run_server
    from datlake_sdk.transport.resolve import is_server

    if arguments.url is not None:
        message = "--url is where clients go; `datlake serve` takes the lake's folder: --home DIR"
        raise UsageError(message)
    settings = settings_of(arguments).settings
    # DATLAKE_API_URL usually names the very server that is being started.
    folder = settings.home if is_server(settings.api_url) else settings.api_url or settings.home
    forward = Forward(list(arguments.forward_openlineage), all_history=arguments.forward_since == "all")
    return run_server(folder, arguments.host, arguments.port, forward=forward)
