"""What happens in a lake reaches every OpenLineage target, whatever dies on the way, and costs nobody anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec
import pytest

from datlake_sdk import DatlakeClient, JobContext
from datlake_sdk.wire.models import Forwarding, Run
from datlake_sdk.wire.operations import GetConfig
from datlake_server.forwarding.targets import Target
from datlake_server.lake import Lake
from datlake_server.store.sqlite import now_us
from tests.faults.servers import Served
from tests.openlineage_out.consumer import Consumer, Reply, Request, events_in, name_of, run_event
from tests.places import eventually, free_port, serve, stop

WITHIN_S = 20


def forwarding(url: str) -> dict[str, Forwarding]:
    """How the targets of a server stand, by what follows the last slash of their names."""
    with DatlakeClient(url) as client:
        return {one.target.rpartition("/")[2]: one for one in client.get_config().forwarding}


def track(client: DatlakeClient, number: int) -> None:
    """A run that reads and writes, with a run inside it."""
    with JobContext(client, "weather", {"number": number}) as job:
        job.add_input("stations", "s3://raw/2026.csv")
        table = f"daily-{number}"  # versions count what a lake has accepted, so they are no part of what is told
        job.register_snapshot(table, f"s3://lake/{table}", "parquet", {"city": "text"}, row_count=number)
        with JobContext(client, "report") as report:
            report.add_input(table)


def shown(run: Run) -> dict[str, object]:
    """The run, but for when its lake heard of it."""
    told: dict[str, object] = msgspec.to_builtins(msgspec.structs.replace(run, last_seen_at=None, endings=[]))
    return told


def runs_of(url: str) -> dict[str, dict[str, object]]:
    """All runs of a lake by their ids."""
    with DatlakeClient(url) as client:
        return {run.run_id: shown(run) for run in client.list_runs()}


def tell(url: str, *events: object) -> None:
    """A producer sends events to a lake."""
    with DatlakeClient(url) as client:
        client.record_lineage_batch([dict(event) for event in events if isinstance(event, dict)])


def test_a_second_lake_has_the_same_runs_though_both_servers_are_killed(tmp_path: Path) -> None:
    """At least once, from a place of the target's own in the lake; and a repeat changes nothing."""
    with Served(tmp_path / "b") as mirror, Served(tmp_path / "a", DATLAKE_FORWARD_OPENLINEAGE=mirror.url) as lake:
        with lake.client() as client:
            track(client, 1)
            tell(lake.url, run_event(1), run_event(1, "COMPLETE"))
            mirror.kill()
            track(client, 2)
        lake.kill()
        mirror.start()
        lake.start()
        eventually(lambda: runs_of(mirror.url) == runs_of(lake.url), WITHIN_S)
        assert len(runs_of(mirror.url)) == 5
        assert forwarding(lake.url)["lineage"].refused == 0


def test_lakes_that_forward_to_each_other_come_to_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lake made itself is known when it comes back: else the two would tell each other the same for ever."""
    port = free_port()
    with Served(tmp_path / "a", DATLAKE_FORWARD_OPENLINEAGE=f"http://127.0.0.1:{port}") as left:
        monkeypatch.setenv("DATLAKE_FORWARD_OPENLINEAGE", left.url)
        process, right = serve(tmp_path / "b", port)
        try:
            with left.client() as one, DatlakeClient(right) as two:
                track(one, 1)
                track(two, 2)
                tell(left.url, run_event(1), run_event(1, "COMPLETE"))
                one.update_table("daily-1", {"owner": "weather team"})
                eventually(lambda: runs_of(left.url) == runs_of(right), WITHIN_S)
                eventually(lambda: is_at_rest(left.url, right), WITHIN_S)
                assert len(runs_of(right)) == 5
                assert two.get_table("daily-1").owner == "weather team"
            assert {forwarding(url)["lineage"].refused for url in (left.url, right)} == {0}
        finally:
            stop(process)


def is_at_rest(*urls: str) -> bool:
    """True where nothing was sent for longer than a change takes to be noticed."""
    before = [forwarding(url)["lineage"].sent for url in urls]
    time.sleep(1.2)
    return before == [forwarding(url)["lineage"].sent for url in urls]


def test_a_target_that_is_away_delays_no_other_and_no_user(tmp_path: Path) -> None:
    """Each target has its own place and its own thread; the lake waits for none of them."""
    kept = tmp_path / "lineage.ndjson"
    targets = f"file:{kept},http://127.0.0.1:9/away"
    with Served(tmp_path / "lake", DATLAKE_FORWARD_OPENLINEAGE=targets) as lake, lake.client() as client:
        track(client, 1)
        tell(lake.url, run_event(1))
        eventually(lambda: kept.exists() and kept.read_text().count("\n") >= 5, WITHIN_S)
        eventually(lambda: forwarding(lake.url)["away"].trouble is not None, WITHIN_S)
        away, written = forwarding(lake.url)["away"], forwarding(lake.url)["lineage.ndjson"]
        assert (away.sent, written.waiting, written.trouble) == (0, 0, None)
        assert away.waiting == written.sent
        assert away.lag_s > 0
        assert away.failing_since is not None
        assert "forward_openlineage" in client.get_config().capabilities
        events = [json.loads(line) for line in kept.read_text().splitlines()]
        assert {"weather", "report", "job-1"} == {name_of(event) for event in events}
        assert kept.stat().st_mode & 0o777 == 0o600


class Told(NamedTuple):
    """A lake that was told five events, and the targets that it told of them."""

    home: Path
    standing: dict[str, Forwarding]
    refusing: Consumer
    judging: Consumer
    taking: Consumer


ODD = run_event(5, "OTHER", unknown={"deep": [1, 2.5, None, "ü"]}, producer="urn:other")


def refuse(request: Request) -> Reply:
    """Takes no batches, and nothing of one job."""
    if request.path.endswith("/batch"):
        return Reply(404)
    return Reply(400, b"no such job here") if b"job-2" in request.body else Reply()


def judge(request: Request) -> Reply:
    """Takes batches, but of one job nothing ever, and of another nothing now."""
    names = [name_of(event) for event in events_in(request)]
    failed = [
        {"index": names.index(name), "reason": reason, "retriable": reason == "not now"}
        for name, reason in (("job-2", "never"), ("job-3", "not now"))
        if request.path.endswith("/batch") and name in names
    ]
    return Reply(200, json.dumps({"status": "partial_success", "failed_events": failed}).encode())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Five events, told to targets of three kinds."""
    home = tmp_path_factory.mktemp("told")
    with Consumer(refuse) as refusing, Consumer(judge) as judging, Consumer() as taking:
        targets = f"{refusing.url}/refusing#key=LINEAGE_KEY,{judging.url}/judging,{taking.url}"
        with Served(home, DATLAKE_FORWARD_OPENLINEAGE=targets, LINEAGE_KEY="opensesame") as lake:
            tell(lake.url, *(run_event(number) for number in range(1, 5)), ODD, ODD)
            eventually(lambda: all(one.waiting == 0 for one in forwarding(lake.url).values()), WITHIN_S)
            standing = forwarding(lake.url)
        yield Told(home, standing, refusing, judging, taking)


def test_an_event_that_is_refused_is_counted_and_the_next_ones_follow(told: Told) -> None:
    """One event that a target will never take must not stand in the way of all that come after it."""
    assert [name_of(event) for event in told.refusing.events] == ["job-1", "job-3", "job-4", "job-5"]
    standing = told.standing["refusing"]
    assert (standing.sent, standing.refused, standing.trouble) == (4, 1, None)


def test_what_was_refused_is_kept_and_no_key_is(told: Told) -> None:
    """Somebody has to see what was refused and why; a key belongs in the environment alone."""
    kept = b"".join(path.read_bytes() for path in told.home.iterdir() if path.is_file())
    assert b"no such job here" in kept
    assert b"opensesame" not in kept
    assert {request.headers["Authorization"] for request in told.refusing.requests} == {"Bearer opensesame"}


def test_a_batch_is_judged_event_by_event(told: Told) -> None:
    """The specification's answer to a batch names what failed: that is refused, or sent once more alone."""
    assert [request.path for request in told.judging.requests] == ["/judging/batch", "/judging"]
    assert [name_of(event) for event in told.judging.events[5:]] == ["job-3"]
    assert (told.standing["judging"].sent, told.standing["judging"].refused) == (4, 1)
    assert told.judging.requests[0].headers["Content-Encoding"] == "gzip"


def test_events_go_out_as_they_came_and_once(told: Told) -> None:
    """What a producer says and we do not know is somebody else's to understand."""
    assert told.taking.events == [*(run_event(number) for number in range(1, 5)), ODD]


def test_what_embedded_jobs_write_beside_the_server_is_forwarded(tmp_path: Path) -> None:
    """A job on the server's host may use the folder itself; what it tells is told to all."""
    with Consumer() as consumer, Served(tmp_path / "lake", DATLAKE_FORWARD_OPENLINEAGE=consumer.url):
        with DatlakeClient(tmp_path / "lake") as client:
            with JobContext(client, "early") as job:
                eventually(lambda: "START" in consumer.kinds("early"), WITHIN_S)
                job.register_snapshot("t", "s3://lake/t", "parquet")
            client.register_snapshot("found", "s3://lake/found", "csv")
            client.add_inputs("early", job.run_id, ["late"])
        eventually(lambda: "COMPLETE" in consumer.kinds("early"), WITHIN_S)
        eventually(lambda: any('"late"' in json.dumps(event) for event in consumer.events), WITHIN_S)
        eventually(lambda: any(isinstance(event.get("dataset"), dict) for event in consumer.events), WITHIN_S)


def test_a_new_target_gets_what_happens_from_now_on_or_everything(tmp_path: Path) -> None:
    """A consumer that is added later may want the past, or be spared it."""
    past, future = tmp_path / "past.ndjson", tmp_path / "future.ndjson"
    with DatlakeClient(tmp_path / "lake") as client:
        track(client, 1)
    with opened(tmp_path / "lake") as lake:
        with lake.forwarding([Target.parse(f"file:{future}")], {}):
            pass
        targets = [Target.parse(f"file:{path}") for path in (past, future)]
        with lake.forwarding(targets, {}, all_history=True), DatlakeClient(tmp_path / "lake") as client:
            eventually(lambda: not any(one.is_catching_up for one in lake.dispatch(GetConfig()).forwarding), WITHIN_S)
            with JobContext(client, "now"):
                pass
            eventually(lambda: all(told_of(path, "now") for path in (past, future)), WITHIN_S)
    assert told_of(past, "weather")
    assert not told_of(future, "weather")


def told_of(path: Path, job: str) -> bool:
    """True where the file has an event of the job."""
    return path.exists() and any(name_of(json.loads(line)) == job for line in path.read_text().splitlines())


def test_a_lake_without_targets_has_nothing_that_listens(tmp_path: Path) -> None:
    """An embedded run pays nothing for a forwarder that is not there: no trigger fires, and nothing piles up."""
    week_us, clock = 7 * 86_400_000_000, [1_000_000_000_000_000]
    with opened(tmp_path / "lake", lambda: clock[0]) as lake:
        assert triggers(tmp_path / "lake") == 0
        with lake.forwarding([Target.parse(f"file:{tmp_path}/out.ndjson")], {}):
            assert triggers(tmp_path / "lake") > 0
        clock[0] += week_us - 1
        with lake.forwarding([], {}):
            assert triggers(tmp_path / "lake") > 0, "a server that is once started without its settings loses its place"
        clock[0] += 2
        with lake.forwarding([], {}):
            assert triggers(tmp_path / "lake") == 0
        assert lake.dispatch(GetConfig()).forwarding == []


@contextmanager
def opened(home: Path, clock: Callable[[], int] = now_us) -> Iterator[Lake]:
    """The lake in `home`, as a server has it."""
    lake = Lake.open(str(home), clock=clock, serves=True)
    try:
        yield lake
    finally:
        lake.close()


def triggers(home: Path) -> int:
    """How many triggers of a lake note what is to be forwarded."""
    asked = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'forward%'"
    with closing(apsw.Connection(str(home / "lake.db"))) as connection:
        return int(str(connection.execute(asked).fetchall()[0][0]))
