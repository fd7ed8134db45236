"""Jobs and clients in an event loop: the same runs, and the loop is never held."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from datlake_sdk import (
    AsyncDatlakeClient,
    Conflict,
    DatlakeClient,
    JobContext,
    NotFound,
    TransientNetworkError,
    current_job,
    tracked,
)
from tests.places import Place

T = TypeVar("T")


def run(story: Coroutine[object, object, T]) -> T:
    """What the story answers, with slow callbacks and forgotten awaits told by asyncio's debug mode."""
    return asyncio.run(asyncio.wait_for(story, 30), debug=True)


def test_an_async_job_is_recorded_like_any_other(client: DatlakeClient) -> None:
    client.register_snapshot("raw", "s3://b/raw", "csv")

    async def story() -> str:
        async with JobContext(client, "j", {"a": 1}, ship_logs=True) as job:
            assert current_job() is job.sync
            assert await job.get_table_latest_uri("raw") == "s3://b/raw"
            assert (await job.get_table_latest("raw", version=1)).version == 1
            done = await job.register_snapshot("out", "s3://b/out", "csv", expected_version=0)
            assert done["version"] == 1
            with pytest.raises(Conflict):
                await job.register_snapshot("out", "s3://b/out2", "csv", expected_version=0)
            await job.add_input("s3://b/x")
            await job.add_output("s3://b/y")
            job.log_event("told")
            job.progress(1)
            job.log_metrics({"a": 1.0})
            job.attach_json("report", {"a": 1})
            logging.getLogger("async").warning("heard")
        assert current_job() is None
        return job.run_id

    done = client.get_run(run(story()))
    assert (done.state, len(done.inputs), len(done.outputs), len(done.artifacts)) == ("completed", 2, 2, 2)
    assert [event.event_type for event in client.events(done.run_id)] == ["told", "progress", "metrics"]


def test_an_exception_leaves_an_async_job_unchanged(client: DatlakeClient) -> None:
    boom = ValueError("x")

    async def story() -> None:
        async with JobContext(client, "j"):
            raise boom

    with pytest.raises(ValueError, match="x") as caught:
        run(story())
    assert caught.value is boom
    assert next(iter(client.list_runs("j"))).state == "failed"


def test_a_cancelled_job_is_aborted_and_the_cancellation_goes_on(client: DatlakeClient) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with JobContext(client, "j", ship_logs=True):
            entered.set()
            await asyncio.sleep(60)

    async def story() -> None:
        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    before = list(logging.getLogger().handlers)
    run(story())
    found = next(iter(client.list_runs("j")))
    assert found.state == "aborted"
    assert found.error is not None
    assert "CancelledError" in found.error.type
    assert logging.getLogger().handlers == before


def test_a_job_cancelled_while_it_starts_leaves_nothing_behind(client: DatlakeClient) -> None:
    """`__aexit__` is not called then: the handler goes, and the run does not seem to run for ever."""

    async def work() -> None:
        async with JobContext(client, "j", ship_logs=True, log_level="DEBUG", capture_output=True):
            pytest.fail("it was cancelled before it began")

    async def story() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    run(story())
    assert (list(root.handlers), root.level) == before
    time.sleep(0.3)  # a start that was under way may still arrive
    assert {found.state for found in client.list_runs()} <= {"aborted"}


def test_complete_can_be_awaited(client: DatlakeClient) -> None:
    async def story() -> None:
        async with JobContext(client, "j") as job:
            ended = await job.complete(success=False, extra={"rows": 1})
            assert ended is not None
            assert (ended.state, ended.metadata) == ("failed", {"rows": 1})

    run(story())
    assert len(next(iter(client.list_runs("j"))).endings) == 1


def test_async_jobs_nest_and_stay_apart(client: DatlakeClient) -> None:
    async def work(name: str) -> tuple[str, str | None]:
        async with JobContext(client, name) as outer:
            await asyncio.sleep(0.01)
            async with JobContext(client, f"{name}-inner") as inner:
                await asyncio.sleep(0.01)
                assert current_job() is inner.sync
        return outer.run_id, inner.parent_run_id

    async def story() -> list[tuple[str, str | None]]:
        return await asyncio.gather(*[work(f"j{number}") for number in range(4)])

    assert all(outer == parent for outer, parent in run(story()))


def test_a_tracked_coroutine_is_a_run_each_time(client: DatlakeClient) -> None:
    @tracked("adder", inputs=["s3://b/in"], outputs=["s3://b/out"], client=client)
    async def add(left: int, right: int) -> int:
        await asyncio.sleep(0)
        assert current_job() is not None
        return left + right

    @tracked("broken", client=client)
    async def broken() -> None:
        raise KeyError("x")

    assert asyncio.iscoroutinefunction(add)

    async def story() -> None:
        assert list(await asyncio.gather(add(1, 2), add(3, 4))) == [3, 7]
        with pytest.raises(KeyError):
            await broken()

    run(story())
    assert [(done.state, len(done.inputs), len(done.outputs)) for done in client.list_runs("adder")] == [
        ("completed", 1, 1)
    ] * 2
    assert next(iter(client.list_runs("broken"))).state == "failed"


def test_the_async_client_answers_and_raises_like_the_other(place: Place, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("bytes")

    async def story() -> None:
        async with AsyncDatlakeClient(place.address, namespace=place.namespace) as client:
            for number in range(5):
                await client.register_snapshot(f"t{number}", "s3://b/x", "csv")
            page = await client.list_tables(limit=2)
            assert [table.table_name for table in page.items] == ["t0", "t1"]
            assert [table.table_name async for table in page] == [f"t{number}" for number in range(5)]
            following = await page.next_page()
            assert following is not None
            assert [table.table_name for table in following.items] == ["t2", "t3"]
            with pytest.raises(NotFound) as caught:
                await client.get_table("none", request_id="my-7")
            assert caught.value.request_id == "my-7"
            uri = await client.upload_object("b", "o", source)
            assert await client.download_object(uri, target) == str(target)
            assert b"".join([piece async for piece in client.read_object(uri)]) == b"bytes"
            started = await asyncio.gather(*[client.start_run("j") for _ in range(20)])
            assert len({one.run_id for one in started}) == 20
            assert (await client.lineage("t1")).nodes

    run(story())
    assert target.read_text() == "bytes"


def test_the_loop_goes_on_while_a_call_waits() -> None:
    """A server that accepts and says nothing must not stop the other tasks."""

    async def story(port: int) -> int:
        client = AsyncDatlakeClient(f"http://127.0.0.1:{port}")
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(TransientNetworkError):
            await client.list_jobs(timeout=0.5)
        ticking.cancel()
        await client.close()
        return ticks

    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert run(story(silent.getsockname()[1])) > 10
