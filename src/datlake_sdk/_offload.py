"""Work on a thread of its own, awaited from an event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


async def offload(work: Callable[[], R]) -> R:
    """What `work` answers, from a daemon thread in this task's context. A cancelled caller leaves it to itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[R] = loop.create_future()
    context = copy_context()

    def run() -> None:
        try:
            value = context.run(work)
        except BaseException as error:  # noqa: BLE001 -- raised where the answer is awaited
            _settle(loop, answer, None, error)
        else:
            _settle(loop, answer, value, None)

    # The loop's own pool would be joined at exit, however long a call takes, and shared with the user's work.
    threading.Thread(target=run, name="datlake-async", daemon=True).start()
    return await answer


async def offload_to_the_end(work: Callable[[], R]) -> R:
    """What `work` answers, also if the task is cancelled meanwhile: a run's end is not left half-way."""
    task = asyncio.ensure_future(offload(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _settle(
    loop: asyncio.AbstractEventLoop, answer: asyncio.Future[R], value: R | None, error: BaseException | None
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("R", value))

    with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
        loop.call_soon_threadsafe(settle)
