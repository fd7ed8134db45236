"""A run that lasts tells where it runs before it ends, and gives signs of life where that was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable

from datlake_sdk import DatlakeClient, JobContext


def _until(holds: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """True as soon as it holds, false if it does not within the limit."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_a_run_that_is_killed_later_has_said_where_it_runs(client: DatlakeClient) -> None:
    """A job that never reaches its end must still answer which host and code it was."""
    with JobContext(client, "long") as job:
        assert _until(lambda: "host" in client.get_run(job.run_id).environment)


def test_a_run_gives_signs_of_life_that_are_no_events(client: DatlakeClient) -> None:
    with JobContext(client, "long", heartbeat_interval_s=0.1) as job:
        begun = client.get_run(job.run_id).last_seen_at

        def seen_later() -> bool:
            now = client.get_run(job.run_id).last_seen_at
            return begun is not None and now is not None and (now - begun).total_seconds() > 1.2

        assert _until(seen_later)
    assert not client.events(job.run_id).items
