"""Which run the code that asks is part of.

The current run lives in a context variable. Tasks, `asyncio.to_thread` and whatever copies the context inherit it; a
plain thread or a pool's worker starts without one, and gets it from `job.bind(function)`. Nobody ever opens a run by
asking.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datlake_sdk.job import JobContext

CURRENT: ContextVar[JobContext | None] = ContextVar("datlake_run", default=None)


def current_job() -> JobContext | None:
    """The innermost open job of this context, null outside of all."""
    job = CURRENT.get()
    return None if job is None else job.innermost_open()
