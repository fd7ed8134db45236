"""A pipe that ends the process which writes into it, by the signal that made it write. Marks of death are made of it.

`faulthandler` writes a line when a signal comes, and would then walk the stack. That crashes: of processes busy with
callbacks, 1 to 8 in a hundred died by SIGSEGV instead of the signal. So the pipe tells its owner of the line by the
very same signal (`F_SETSIG`), which finds faulthandler at work, is passed on to the default, and ends the process.

A child that is forked below Python, without a word to Python, shares the pipe: should a signal end the child alone, its
parent gets it as well. Children of `os.fork` and `multiprocessing` have pipes of their own.
"""

from __future__ import annotations

import os
from typing import Final

# A pipe goes by its name once it is ready; before that, by this one.
UNNAMED: Final = ".new"


class SignalPipe:
    """Sends this process the signal once anything is written into it; its time says whether anything was."""

    def __init__(self, descriptor: int, number: int) -> None:
        import fcntl

        self.descriptor = descriptor
        self._inode = inode(descriptor)
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, number)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)

    @classmethod
    def without_name(cls, number: int) -> SignalPipe:
        """Raises `OSError` where the system has no such pipes."""
        ends = os.pipe()
        try:
            return cls._opened(f"/proc/self/fd/{ends[0]}", number)
        finally:
            os.close(ends[0])
            os.close(ends[1])

    @classmethod
    def named(cls, path: str, number: int) -> SignalPipe:
        """The pipe is under its name once its time is set back. Raises `OSError` where no pipe can be had there."""
        unnamed = path + UNNAMED
        os.mkfifo(unnamed, 0o600)
        pipe = None
        try:
            pipe = cls._opened(unnamed, number)
            pipe.forget()
            os.rename(unnamed, path)
        except BaseException:
            os.unlink(unnamed)
            if pipe is not None:
                pipe.close()
            raise
        return pipe

    @classmethod
    def _opened(cls, path: str, number: int) -> SignalPipe:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            return cls(descriptor, number)
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def is_intact(self) -> bool:
        """Whether the descriptor is still this pipe's."""
        return inode(self.descriptor) == self._inode

    def forget(self) -> None:
        """Nothing was ever written."""
        if self.is_intact:
            os.utime(self.descriptor, (0, 0))

    def close(self) -> None:
        """The descriptor is given back."""
        if self.is_intact:
            os.close(self.descriptor)


def inode(descriptor: int) -> tuple[int, int] | None:
    """Which file the descriptor leads to; null where it leads nowhere."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
