"""Jobs that were started without `with` and have not completed: when the process ends they end as aborted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weakref import WeakSet

    from datlake_sdk.job import JobContext

_open: WeakSet[JobContext] | None = None


def abort_at_exit(job: JobContext) -> None:
    """`job` is aborted at the end of the process if it has not completed by then."""
    global _open  # noqa: PLW0603 -- one list a process, made with the first such job and not at import
    if _open is None:
        import atexit
        from weakref import WeakSet

        _open = WeakSet()
        atexit.register(_abort_all)
    _open.add(job)


def _abort_all() -> None:
    import os

    for job in list(_open or ()):
        if job.pid == os.getpid():  # a forked child does not end its parent's runs
            job.abort("ended without complete()")
