"""`@tracked`: every call of a function, plain or async, is a run of a job."""

from __future__ import annotations

from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, TypeVar, cast

from datlake_sdk.job import JobContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import ParamSpec

    from datlake_sdk.client import DatlakeClient

    P = ParamSpec("P")
R = TypeVar("R")


def tracked(
    job_name: str,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    metadata: Mapping[str, object] | None = None,
    client: DatlakeClient | None = None,
    ship_logs: bool | None = None,
    log_level: int | str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that makes every call a run of `job_name`.

    `inputs` and `outputs` are tables or URIs; inputs are recorded when the call begins, outputs when it ends well. The
    function's answer, exceptions and signature stay what they are.
    """

    def open_job() -> JobContext:
        return JobContext(client, job_name, metadata, ship_logs=ship_logs, log_level=log_level)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if iscoroutinefunction(function):
            return cast("Callable[P, R]", _tracked_async(function, open_job, inputs, outputs))

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with open_job() as job:
                job.add_input(*inputs)
                answer = function(*args, **kwargs)
                job.add_output(*outputs)
                return answer

        return run

    return decorate


def _tracked_async(
    function: Callable[P, Awaitable[R]],
    open_job: Callable[[], JobContext],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> Callable[P, Awaitable[R]]:
    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        async with open_job() as job:
            await job.add_input(*inputs)
            answer = await function(*args, **kwargs)
            await job.add_output(*outputs)
            return answer

    return run
