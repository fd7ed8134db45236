"""Jobs that were started without `with` and have not completed: when the process ends they end as aborted."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datlake_sdk.job import JobContext

# Held strongly: a job whose thread or function is over is still to be ended, though nobody else knows it any more.
_open: set[JobContext] = set()
_is_registered = False


def abort_at_exit(job: JobContext) -> None:
    """`job` is aborted at the end of the process if it has not completed by then."""
    global _is_registered  # noqa: PLW0603 -- once a process, with the first such job and not at import
    if not _is_registered:
        import atexit

        _is_registered = True
        atexit.register(_abort_all)
    _open.add(job)


def completed(job: JobContext) -> None:
    """`job` need not be ended any more."""
    _open.discard(job)


def _abort_all() -> None:
    import os

    from datlake_sdk.errors import DatlakeError

    for job in list(_open):
        if job.pid == os.getpid():  # a forked child does not end its parent's runs
            with suppress(DatlakeError):  # `on_unavailable` is `raise`, and nobody is left to raise it to
                job.abort("ended without complete()")
