"""The file that keeps what a program prints until it is shipped as the run's log. Never raises: the job comes first."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

# The same bound as for the log of a Python job: beyond it, it is a mistake in a loop, and its head says which one.
MAX_BYTES: Final = 256 * 1024 * 1024


class Spool:
    """A private temporary file (0600); `path` is null where none can be made. Gone when the block ends."""

    def __init__(self) -> None:
        """Makes the file."""
        from tempfile import mkstemp

        self.path: str | None = None
        self._file: int | None = None
        self._size = 0
        self._left_out = 0
        self._trouble: str | None = None
        try:
            self._file, self.path = mkstemp(prefix="datlake-run-", suffix=".log")
        except OSError as error:
            print(f"datlake: no log is kept: no temporary file can be made ({error.strerror})", file=sys.stderr)

    def write(self, data: bytes) -> None:
        """Appends the bytes, or counts them once the file is full or cannot be written."""
        if self._file is None or self._left_out or self._size + len(data) > MAX_BYTES:
            self._left_out += len(data)
            return
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._file, view)
                view = view[written:]
                self._size += written
        except OSError as error:
            self._trouble = error.strerror or str(error)
            self._left_out += len(view)

    def close(self) -> None:
        """Says at the file's end, and on stderr, what is not in it."""
        file, self._file = self._file, None
        if file is None:
            return
        if self._left_out:
            why = self._trouble or f"a log holds at most {MAX_BYTES} bytes"
            note = f"datlake: {self._left_out} more bytes were printed and are not in this log: {why}"
            print(note, file=sys.stderr)
            with suppress(OSError):
                os.write(file, f"\n{note}\n".encode())
        os.close(file)

    def __enter__(self) -> Self:
        """The spool."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The file is gone."""
        self.close()
        if self.path is not None:
            with suppress(OSError):
                os.unlink(self.path)
