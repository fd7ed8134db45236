"""A run in another process: what of a `JobContext` travels there, and what it is when it arrives.

Only the run's id and the way to its lake travel; a key never does. What arrives adds to the run and never ends it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.job import JobContext


class Ticket(Struct, frozen=True, kw_only=True):
    """What of a run travels."""

    job_name: str
    run_id: str
    api_url: str | None
    home: str
    outbox_dir: str
    namespace: str
    artifact_bucket: str
    timeout_s: float
    on_unavailable: Literal["defer", "raise"]
    disabled: bool


def reduced(job: JobContext, namespace: str) -> tuple[Callable[[Ticket], JobContext], tuple[Ticket]]:
    """What pickle keeps of `job`."""
    settings = job.client.settings
    ticket = Ticket(
        job_name=job.job_name,
        run_id=job.run_id,
        api_url=settings.api_url,
        home=settings.home,
        outbox_dir=settings.outbox_dir,
        namespace=namespace,
        artifact_bucket=settings.artifact_bucket,
        timeout_s=settings.timeout_s,
        on_unavailable=settings.on_unavailable,
        disabled=settings.disabled,
    )
    return arrived, (ticket,)


def arrived(ticket: Ticket) -> JobContext:
    """The run of `ticket` in this process: open for events, inputs and outputs; its end is its own process's."""
    from datlake_sdk.job import JobContext

    job = JobContext(_client(ticket), ticket.job_name, run_id=ticket.run_id, namespace=ticket.namespace)
    # Its own other half.
    job._run.attach()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return job


def _client(ticket: Ticket) -> DatlakeClient:
    """One client for all that arrives from the same place: a pool's worker gets thousands."""
    from msgspec import structs

    return _client_of(structs.replace(ticket, job_name="", run_id=""))


@cache
def _client_of(place: Ticket) -> DatlakeClient:
    from datlake_sdk.client import DatlakeClient

    return DatlakeClient(
        place.api_url,
        namespace=place.namespace,
        timeout=place.timeout_s,
        home=place.home,
        outbox_dir=place.outbox_dir,
        artifact_bucket=place.artifact_bucket,
        on_unavailable=place.on_unavailable,
        disabled=place.disabled,
    )
