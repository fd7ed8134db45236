"""Which destination settings name, and the folder on this host that belongs to it."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from datlake_sdk.transport.resolve import is_server
from datlake_sdk.wire.ids import quoted

if TYPE_CHECKING:
    from datlake_sdk.settings import Settings

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_NAME_CHARS: Final = 16


def destination_of(settings: Settings) -> str:
    """The lake as one text, however it was written: a server's address, or the `file://` URI of an embedded home.

    Symbolic links are followed, so that a lake with two names has one outbox. Raises `ConfigError` as connecting would.
    """
    if settings.api_url is not None and is_server(settings.api_url):
        return _server(settings.api_url)
    home = os.path.realpath(settings.api_url or settings.home)
    return "file://" + "/".join(quoted(part) for part in home.split(os.sep))


def folder_of(settings: Settings, destination: str | None = None) -> str:
    """The folder that holds what this host keeps for the destination, the lake in use where none is named.

    It may not exist yet.
    """
    told = destination or destination_of(settings)
    name = sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME_CHARS]
    return os.path.join(settings.outbox_dir, name)


def make_private(folder: str) -> None:
    """The folder exists, and those above it; what had to be made is for its owner alone. Raises `OSError`."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        above = os.path.dirname(folder)
        if above == folder:
            raise
        make_private(above)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def _server(url: str) -> str:
    from datlake_sdk.transport.address import ServerAddress

    address = ServerAddress.parse(url)
    return address.origin.removesuffix(_DEFAULT_PORTS[address.scheme]) + address.path


SEGMENT_ENDING: Final = ".seg"
PRESENCE_ENDING: Final = ".presence"


def writers_in(folder: str) -> list[str]:
    """The writers that have files in the folder, the oldest first: their ids are made of the time."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    endings = (SEGMENT_ENDING, PRESENCE_ENDING)
    return sorted({name.partition(".")[0] for name in names if name.endswith(endings) and not name.startswith("dead")})


def others_in(folder: str, own_writer: str | None) -> bool:
    """True where another writer has files in the folder, be it alive or not."""
    return any(writer != own_writer for writer in writers_in(folder))
