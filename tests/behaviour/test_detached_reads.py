"""Reads go on while the lake is away, as far as the job allows; and the run says how it read."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs

from datlake_sdk import (
    DatlakeClient,
    InvalidRequest,
    JobContext,
    NotFound,
    TransientNetworkError,
)
from datlake_sdk._connection import outbox_of
from datlake_sdk._outbox.known import LastKnown
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import Run, RunData, Snapshot
from datlake_sdk.wire.times import utc_now
from tests.faults.proxy import CLEAR, Fault, FaultProxy

GONE = Fault(refuses=True)
HOLE = Fault(holds=True)


class Lake:
    """A server, reached over a way that can be cut."""

    def __init__(self, way: FaultProxy, direct: str, namespace: str) -> None:
        self.way = way
        self._direct = direct
        self.namespace = namespace

    def client(self, *, timeout: float = 2, on_unavailable: Literal["defer", "raise"] = "defer") -> DatlakeClient:
        """A client that goes by the way that can be cut."""
        return DatlakeClient(self.way.url, namespace=self.namespace, timeout=timeout, on_unavailable=on_unavailable)

    def register(self, number: int, table: str = "t") -> None:
        """Another host registers `number`, beside the way that is cut."""
        with DatlakeClient(self._direct, namespace=self.namespace) as other:
            other.register_snapshot(table, f"s3://b/{table}/{number}", "csv")

    def run(self, run_id: str) -> Run:
        """The run as the lake shows it."""
        with DatlakeClient(self._direct, namespace=self.namespace) as other:
            return other.get_run(run_id)


@pytest.fixture
def lake(served: tuple[str, Path]) -> Iterator[Lake]:
    url, _ = served
    with FaultProxy(int(url.rpartition(":")[2])) as way:
        yield Lake(way, url, f"story-{uuid.uuid4()}")


def known_of(client: DatlakeClient, age_s: float) -> LastKnown:
    """What the host knows, told by somebody whose clock is that much behind."""
    return LastKnown(outbox_of(client).known._folder, clock=lambda: time.time() - age_s)


def read(client: DatlakeClient, **how: object) -> tuple[str, JobContext]:
    with JobContext(client, "reader") as job:
        return job.get_table_latest_uri("t", **how), job  # type: ignore[arg-type]


def unopened(client: DatlakeClient) -> JobContext:
    """A job that reads before its run begins, so that nothing is delivered beside it."""
    return JobContext(client, "reader")


def leave_waiting(lake: Lake) -> None:
    """A job that is over registered a snapshot while the lake was away; now it is back."""
    lake.way.switch(GONE)
    with lake.client() as client, JobContext(client, "writer") as writer:
        writer.register_snapshot("t", "s3://b/t/mine", "csv")
    lake.way.switch(CLEAR)


def input_of(lake: Lake, job: JobContext) -> RunData:
    (only,) = lake.run(job.run_id).inputs
    return only


@pytest.mark.parametrize("fault", [GONE, HOLE], ids=["refused", "black hole"])
def test_the_last_known_snapshot_stands_in_for_a_lake_that_is_away(lake: Lake, fault: Fault) -> None:
    """A nightly report on yesterday's table is better than none, where the job says so."""
    lake.register(1)
    with lake.client(timeout=0.5) as client:
        assert read(client)[0] == "s3://b/t/1"
        lake.way.switch(fault)
        uri, job = read(client, max_staleness=3600)
        assert uri == "s3://b/t/1"
        assert [text for text in job.warnings if "t is read as it was known here" in text]


def test_the_run_says_that_it_read_something_old_and_how_old(lake: Lake) -> None:
    """Who looks at the result later must see it."""
    lake.register(1)
    with lake.client() as client:
        read(client)
        known_of(client, 100).remember_latest(client.latest_snapshot("t"))
        with JobContext(client, "reader") as job:
            lake.way.switch(GONE)
            job.get_table_latest_uri("t", max_staleness=timedelta(minutes=2))
            lake.way.switch(CLEAR)
        outbox_of(client).flush(10)
    read_as = input_of(lake, job)
    assert (read_as.uri, read_as.stale, read_as.deferred) == ("s3://b/t/1", True, False)
    assert read_as.age_s is not None
    assert 100 <= read_as.age_s < 130


def test_what_is_too_old_does_not_stand_in(lake: Lake) -> None:
    """The job has said what it can bear; the error says what there would have been."""
    lake.register(1)
    with lake.client() as client:
        known_of(client, 100).remember_latest(client.latest_snapshot("t"))
        lake.way.switch(GONE)
        with JobContext(client, "reader") as job:
            with pytest.raises(TransientNetworkError) as too_old:
                job.get_table_latest_uri("t", max_staleness=60)
            with pytest.raises(TransientNetworkError) as not_asked:
                job.get_table_latest_uri("t")
    assert re.search(r"is 1 min \d+ s old, and max_staleness allows 1 min 00 s", too_old.value.__notes__[0])
    assert "max_staleness= lets a job use" in not_asked.value.__notes__[0]


def test_an_answer_from_the_future_is_of_no_known_age(lake: Lake) -> None:
    """The host's clock was set back: what was learned before may be a day old."""
    lake.register(1)
    with lake.client() as client:
        known_of(client, -86_400).remember_latest(client.latest_snapshot("t"))
        lake.way.switch(GONE)
        with JobContext(client, "reader") as job, pytest.raises(TransientNetworkError):
            job.get_table_latest_uri("t", max_staleness=3600)


def test_a_lake_that_is_there_is_asked(lake: Lake) -> None:
    """`max_staleness` is for outages only."""
    with lake.client() as client:
        for number in (1, 2):
            lake.register(number)
            uri, job = read(client, max_staleness=3600)
            assert uri == f"s3://b/t/{number}"
            assert input_of(lake, job).stale is False


def test_a_lake_that_has_no_such_table_any_more_is_believed(lake: Lake) -> None:
    """It has answered: nothing stands in for that."""
    lake.register(1)
    with lake.client() as client:
        known_of(client, 0).remember_latest(_named(client.latest_snapshot("t"), "gone"))
        with JobContext(client, "reader") as job, pytest.raises(NotFound):
            job.get_table_latest_uri("gone", max_staleness=3600)


def test_a_fresh_answer_is_used_without_asking(lake: Lake) -> None:
    """A loop that reads the same table a thousand times need not ask a thousand times; the run says so."""
    lake.register(1)
    with lake.client() as client:
        read(client)
        lake.register(2)
        asked = lake.way.counts.requests
        with JobContext(client, "reader") as job:
            for _ in range(10):
                assert job.get_table_latest_uri("t", fresh_for=60) == "s3://b/t/1"
            assert lake.way.counts.requests <= asked + 15  # the ten inputs, and the run's own
            assert job.get_table_latest_uri("t", fresh_for=0) == "s3://b/t/2"
    by_uri = {data.uri: data for data in lake.run(job.run_id).inputs}
    assert by_uri["s3://b/t/1"].stale
    assert not by_uri["s3://b/t/2"].stale


def test_an_old_answer_is_not_fresh(lake: Lake) -> None:
    lake.register(1)
    with lake.client() as client:
        known_of(client, 100).remember_latest(client.latest_snapshot("t"))
        lake.register(2)
        assert read(client, fresh_for=60)[0] == "s3://b/t/2"


def test_what_this_host_registered_is_read_here_before_the_lake_knows_it(lake: Lake) -> None:
    """A chain of jobs through an outage works on its own data, without being told to."""
    lake.register(1)
    lake.way.switch(GONE)
    with lake.client() as client, JobContext(client, "writer") as writer:
        kept = writer.register_snapshot("t", "s3://b/t/mine", "csv")
    with lake.client() as client:
        with JobContext(client, "reader") as job:
            snapshot = job.get_table_latest("t")
        assert (snapshot.uri, snapshot.version) == ("s3://b/t/mine", 0)
        assert snapshot.snapshot_id == kept["snapshot_id"]
        lake.way.switch(CLEAR)
        outbox_of(client).breaker.succeeded()
        outbox_of(client).flush(20, 20)
        read_as = input_of(lake, job)
        assert (read_as.snapshot_id, read_as.version, read_as.deferred) == (snapshot.snapshot_id, 2, True)
        assert not read_as.stale
        assert read(client)[0] == "s3://b/t/mine"
        assert outbox_of(client).known.deferred(lake.namespace, "t") is None


@pytest.mark.parametrize("is_new", [True, False], ids=["new table", "known table"])
def test_what_waits_is_read_also_where_the_lake_is_back_and_does_not_know_it_yet(lake: Lake, is_new: bool) -> None:
    """Else the second job of a chain would read old data, or none, because it came before the delivery."""
    if not is_new:
        lake.register(1)
    leave_waiting(lake)
    with lake.client() as client:
        assert unopened(client).get_table_latest_uri("t") == "s3://b/t/mine"


def test_a_newer_snapshot_of_another_host_wins_over_what_waits(lake: Lake) -> None:
    """As it will once both are there: the latest is the one that was made last."""
    lake.way.switch(GONE)
    with lake.client() as client, JobContext(client, "writer") as writer:
        writer.register_snapshot("t", "s3://b/t/mine", "csv")
        lake.register(2)
        lake.way.switch(CLEAR)
        assert writer.get_table_latest_uri("t") == "s3://b/t/2"


def test_what_no_longer_waits_and_never_arrived_is_not_read(lake: Lake) -> None:
    """It was refused or dropped: no reader may work on what the lake will never have."""
    lake.register(1)
    with lake.client() as client:
        snapshot = client.latest_snapshot("t")
        known_of(client, 0).remember_deferred(_named(snapshot, "t", new_id()))
        Path(outbox_of(client).folder, "dead.seg").touch()
        assert read(client)[0] == "s3://b/t/1"
        lake.way.switch(GONE)
        with JobContext(client, "reader") as job, pytest.raises(TransientNetworkError):
            job.get_table_latest_uri("t")


def test_with_raise_only_what_the_call_allows_stands_in(lake: Lake) -> None:
    """Who wants every trouble raised is not given undelivered data."""
    lake.register(1)
    leave_waiting(lake)
    with lake.client(on_unavailable="raise") as strict:
        assert unopened(strict).get_table_latest_uri("t") == "s3://b/t/1"
        lake.way.switch(GONE)
        with pytest.raises(TransientNetworkError):
            unopened(strict).get_table_latest_uri("t")


@pytest.mark.parametrize("by", ["version", "id"])
def test_a_pinned_snapshot_needs_no_lake_the_second_time(lake: Lake, by: str) -> None:
    """It cannot have changed: nothing about it is stale."""
    lake.register(1)
    lake.register(2)
    with lake.client() as client:
        pin = 1 if by == "version" else client.get_table_snapshot("t", 1).snapshot_id
        assert read(client, version=pin)[0] == "s3://b/t/1"
        lake.way.switch(GONE)
        with JobContext(client, "reader") as job:
            assert job.get_table_latest_uri("t", version=pin) == "s3://b/t/1"
            with pytest.raises(TransientNetworkError):
                job.get_table_latest_uri("t", version=2)
        lake.way.switch(CLEAR)
        outbox_of(client).breaker.succeeded()
        outbox_of(client).flush(10)
        assert not input_of(lake, job).stale


def test_the_last_known_is_found_by_its_version_too(lake: Lake) -> None:
    """Pinned or not, it is the same snapshot."""
    lake.register(1)
    with lake.client() as client:
        snapshot = unopened(client).get_table_latest("t")
        lake.way.switch(GONE)
        assert unopened(client).get_table_latest("t", version=1) == snapshot


def test_an_id_is_not_looked_up_twice(lake: Lake) -> None:
    """It means the same for ever."""
    lake.register(1)
    with lake.client() as client:
        snapshot = client.latest_snapshot("t")
        here = structs.replace(snapshot, uri="s3://b/t/as-known-here")
        outbox_of(client).known.remember_snapshot(snapshot.snapshot_id, here)
        assert unopened(client).get_table_latest("t", version=snapshot.snapshot_id) == here


def test_a_version_is_looked_up_where_the_lake_is_there(lake: Lake) -> None:
    """A lake that was emptied or restored under the same address gives its numbers out again."""
    lake.register(1)
    with lake.client() as client:
        of_old = _named(client.latest_snapshot("t"), "t", new_id())
        outbox_of(client).known.remember_snapshot("1", of_old)
        with JobContext(client, "reader") as job:
            assert job.get_table_latest("t", version=1).snapshot_id != of_old.snapshot_id


def test_what_was_registered_here_is_found_by_its_id_before_the_lake_knows_it(lake: Lake) -> None:
    lake.way.switch(GONE)
    with lake.client() as client, JobContext(client, "writer") as writer:
        kept = writer.register_snapshot("t", "s3://b/t/mine", "csv")
        assert writer.get_table_latest_uri("t", version=kept["snapshot_id"]) == "s3://b/t/mine"
        with pytest.raises(TransientNetworkError):
            writer.get_table_latest_uri("t", version=0)


def test_with_an_open_breaker_nobody_waits_for_what_is_known(lake: Lake) -> None:
    """A black hole costs a timeout once, not once a read."""
    lake.register(1)
    with lake.client() as client:
        read(client)
        for _ in range(5):
            outbox_of(client).breaker.failed()
        asked = lake.way.counts.requests
        with JobContext(client, "reader") as job:
            assert job.get_table_latest_uri("t", max_staleness=60) == "s3://b/t/1"
            assert lake.way.counts.requests == asked
            # What is not known is asked for all the same, and finds out that the lake is back.
            assert job.get_table_latest_uri("t") == "s3://b/t/1"
        assert not outbox_of(client).breaker.is_open


def test_a_failing_read_tells_the_host(lake: Lake) -> None:
    """The next process need not find out by waiting."""
    with lake.client() as client, JobContext(client, "reader") as job:
        lake.way.switch(GONE)
        for _ in range(4):
            outbox_of(client).breaker.failed()
        with pytest.raises(TransientNetworkError):
            job.get_table_latest_uri("t")
        assert outbox_of(client).breaker.is_open


def test_an_embedded_lake_is_always_asked(tmp_path: Path) -> None:
    """It is as near as what is known of it; only what it has not got yet is read from beside it."""
    with DatlakeClient(tmp_path / "lake") as client:
        with JobContext(client, "writer") as job:
            job.register_snapshot("t", "s3://b/t/1", "csv")
            assert job.get_table_latest_uri("t", fresh_for=3600, max_staleness=3600) == "s3://b/t/1"
            job.register_snapshot("t", "s3://b/t/2", "csv")
            assert job.get_table_latest_uri("t", fresh_for=3600) == "s3://b/t/2"
        assert outbox_of(client).known.answered("default", "t") is None
        known_of(client, 0).remember_latest(_named(client.latest_snapshot("t"), "not there"))
        with pytest.raises(NotFound):
            unopened(client).get_table_latest_uri("not there", fresh_for=3600)


@pytest.mark.parametrize(
    "age", [-1, float("nan"), timedelta(seconds=-1), "60", True, [1], 10**400], ids=lambda age: repr(age)[:12]
)
@pytest.mark.parametrize("name", ["max_staleness", "fresh_for"])
def test_an_age_is_seconds_or_a_timedelta(tmp_path: Path, name: str, age: object) -> None:
    """A mistake in it is told before anything is read."""
    job = JobContext(DatlakeClient(tmp_path / "lake"), "reader")
    with pytest.raises(InvalidRequest, match=name) as refused:
        job.get_table_latest_uri("t", **{name: age})  # type: ignore[arg-type]
    assert refused.value.code == "bad_duration"


def _named(snapshot: Snapshot, table_name: str, snapshot_id: str | None = None) -> Snapshot:
    return structs.replace(
        snapshot, table_name=table_name, snapshot_id=snapshot_id or snapshot.snapshot_id, created_at=utc_now()
    )
