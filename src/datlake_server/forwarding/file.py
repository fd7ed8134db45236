"""A file as a target: one event a line, appended and synced. It may be moved away or cut at any time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from datlake_server.forwarding.sending import Sent, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_server.services.forwarding import Outgoing

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class FileSender:
    """Appends to the file at `path`, which is made for its owner alone."""

    def __init__(self, path: str) -> None:
        """Opens nothing yet."""
        self._path = path

    def send(self, events: Sequence[Outgoing]) -> Sent:
        """All of the events are in the file and on the disk, or none is known to be."""
        data = b"".join(event.body.encode() + b"\n" for event in events if event.body is not None)
        try:
            self._append(data)
        except OSError as error:
            return Sent(0, trouble=Trouble(f"{self._path} cannot be written to: {error.strerror}"))
        return Sent(len(events))

    def close(self) -> None:
        """Nothing is open."""

    def _append(self, data: bytes) -> None:
        file = os.open(self._path, _FLAGS, 0o600)
        try:
            if not _ends_a_line(file):  # a write that a death or a full disk cut short
                data = b"\n" + data
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        finally:
            os.close(file)


def _ends_a_line(file: int) -> bool:
    size = os.fstat(file).st_size
    return not size or os.pread(file, 1, size - 1) == b"\n"
