"""What a store says when it cannot do what it was asked. Called by the store alone; knows no database."""

from __future__ import annotations

import os
from typing import Final

from datlake_sdk.errors import ServerError

BUSY: Final = "busy"
DAMAGED: Final = "lake_damaged"


def busy(path: str) -> ServerError:
    """Others hold the lake."""
    message = f"the lake {path} is busy: others held its lock for as long as this call could wait; try again"
    return ServerError(message, code=BUSY, status=503)


def interrupted(path: str) -> ServerError:
    """The thread that committed for others was interrupted."""
    message = f"the commit to the lake {path} was interrupted before it ended; nothing of it stayed; try again"
    return ServerError(message, code="interrupted", status=503)


def disk_full(path: str) -> ServerError:
    """No space is left."""
    return ServerError(f"the disk under {path} is full; free some space and try again", code="disk_full", status=507)


def damaged(path: str, why: object) -> ServerError:
    """The file is no database any more, or not all of one."""
    message = f"the lake {path} is damaged ({why}); restore a backup (`datlake restore FILE --force`), or move it away"
    # 503: what jobs send meanwhile is kept by them and sent again, once the lake is restored.
    return ServerError(message, code=DAMAGED, status=503, retryable=False)


def overloaded(path: str) -> ServerError:
    """More work waits for a commit than anybody has the patience for."""
    message = f"too many operations wait for the lake {path}; nothing of this one was done; try again later"
    return ServerError(message, code="overloaded", status=503)


def seized(path: str) -> ServerError:
    """Somebody puts another lake in this one's place."""
    message = f"the lake {path} is being restored from a backup; try again when that is done"
    return ServerError(message, code=BUSY, status=503)


def unwritable(path: str, why: BaseException) -> ServerError:
    """The folder or the disk refuses."""
    message = f"the lake {path} cannot be written ({why}); check the folder's owner and the disk"
    return ServerError(message, code="lake_unwritable", status=500, retryable=False)


def too_new(path: str, have: int, known: int) -> ServerError:
    """A newer Datlake changed the lake's shape beyond what this one reads."""
    message = (
        f"the lake {path} was written by a newer Datlake (its shape is {have}, this version reads up to {known}); "
        "upgrade datlake-sdk"
    )
    return ServerError(message, code="lake_too_new", status=503, retryable=False)


def failed(path: str, why: BaseException) -> ServerError:
    """Anything else."""
    return ServerError(f"the lake {path} failed: {type(why).__name__}: {why}", code="store_failed", status=500)


def forked_in_use(path: str) -> ServerError:
    """This process was forked in the middle of its parent's work."""
    message = (
        f"the lake {path} cannot be used by process {os.getpid()}: it was forked while its parent's work on the lake "
        "did not end; start it anew, or with multiprocessing's `spawn`, or write from the parent"
    )
    return ServerError(message, code="forked_in_use", status=500, retryable=False)
