"""How a target is named, and how events are sent to one that is odd: the parts of forwarding that need no server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from msgspec import Raw, json

from datlake_sdk.errors import ConfigError
from datlake_sdk.wire.operations import GetConfig, GetRun, RecordLineage, RecordLineageBatch, StartRun
from datlake_server.forwarding.bell import Bell
from datlake_server.forwarding.courier import PASS_AFTER, Courier
from datlake_server.forwarding.file import FileSender
from datlake_server.forwarding.http import HttpSender
from datlake_server.forwarding.sending import Trouble
from datlake_server.forwarding.targets import Target, targets_from
from datlake_server.lake import Lake
from datlake_server.services import forwarding
from datlake_server.services.forwarding import Outgoing
from datlake_server.store.sqlite import SqliteStore, now_us
from tests.openlineage_out.consumer import Consumer, Reply, Request, name_of, run_event
from tests.places import eventually


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("http://lineage:5000", "http://lineage:5000/api/v1/lineage"),
        ("http://lineage:5000/", "http://lineage:5000/api/v1/lineage"),
        ("https://lineage.example.com/api/v1/", "https://lineage.example.com/api/v1/lineage"),
        ("https://lineage.example.com/events#key=KEY", "https://lineage.example.com/events"),
        ("file:/var/log/lineage.ndjson", "file:/var/log/lineage.ndjson"),
        ("file:///var/log/lineage%201.ndjson", "file:/var/log/lineage 1.ndjson"),
    ],
)
def test_a_target_is_an_address_or_a_file(text: str, name: str) -> None:
    """Where consumers usually take events is understood; an address with a path of its own is taken as it is."""
    assert Target.parse(text).name == name


@pytest.mark.parametrize(
    "text",
    [
        "https://user:opensesame@lineage.example.com",
        "https://lineage.example.com?api_key=opensesame",
        "https://lineage.example.com#opensesame",
        "lineage.example.com:5000",
        "ftp://lineage.example.com",
        "https://",
        "http://lineage:many",
        "file:lineage.ndjson",
        "file:/var/log/lineage.ndjson#key=KEY",
    ],
)
def test_what_is_no_target_is_refused_without_saying_it_again(text: str) -> None:
    """An address ends up in logs and in the lake, so no secret may stand in one; nor in the refusal."""
    with pytest.raises(ConfigError) as refused:
        Target.parse(text)
    assert "opensesame" not in str(refused.value)


def test_options_win_over_the_environment_and_each_target_counts_once() -> None:
    """Options are what somebody typed just now."""
    environment = {"DATLAKE_FORWARD_OPENLINEAGE": "http://a, http://b#key=KEY ,http://a/,", "KEY": "opensesame"}
    assert [target.name for target in targets_from([], environment)] == [
        "http://a/api/v1/lineage",
        "http://b/api/v1/lineage",
    ]
    assert [target.name for target in targets_from(["http://c"], environment)] == ["http://c/api/v1/lineage"]
    with pytest.raises(ConfigError, match="KEY"):
        targets_from([], environment | {"KEY": " "})


def outgoing(*numbers: int) -> list[Outgoing]:
    """Events on their way, a kilobyte each."""
    bodies = [json.encode(run_event(number, note="x" * 1000)).decode() for number in numbers]
    return [Outgoing(number, f"digest-{number}", body) for number, body in zip(numbers, bodies, strict=True)]


def test_a_target_that_does_not_understand_gzip_is_told_in_plain() -> None:
    """Consumers answer 400 or 415 to what they cannot unpack; the event is not at fault."""

    def plain_only(request: Request) -> Reply:
        return Reply(415 if "Content-Encoding" in request.headers else 201)

    with Consumer(plain_only) as consumer:
        sender = HttpSender(f"{consumer.url}/in", None)
        assert sender.send(outgoing(1)).count == 1
        assert sender.send(outgoing(2, 3)).count == 2
        sender.close()
        assert [name_of(event) for event in consumer.events] == ["job-1", "job-2", "job-3"]


def test_what_is_too_large_together_is_sent_apart() -> None:
    """413 speaks of the batch first, and of one event only where it is alone."""

    def small(request: Request) -> Reply:
        return Reply(413 if len(request.body) > 3_000 or b"job-3" in request.body else 201)

    with Consumer(small) as consumer:
        sender = HttpSender(f"{consumer.url}/in", None)
        sent = sender.send(outgoing(1, 2, 3, 4))
        sender.close()
        assert (sent.count, [refusal.event.seq for refusal in sent.refusals], sent.trouble) == (4, [3], None)
        assert [name_of(event) for event in consumer.events] == ["job-1", "job-2", "job-4"]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 408, 415, 429, 500, 502, 503])
def test_an_answer_that_speaks_of_no_event_loses_none(status: int) -> None:
    """A wrong key, a wrong address or a target in trouble: all waits until somebody or something mends it."""
    with Consumer(lambda _: Reply(status)) as consumer:
        sender = HttpSender(f"{consumer.url}/in", None)
        for events in (outgoing(1), outgoing(1, 2)):
            sent = sender.send(events)
            assert (sent.count, sent.refusals) == (0, [])
            assert sent.trouble is not None
            assert sent.trouble.status == status
        sender.close()


def test_a_line_that_a_death_cut_short_ends_before_the_next(tmp_path: Path) -> None:
    """Whoever reads the file finds each event on a line of its own, and the torn one once more."""
    path = tmp_path / "lineage.ndjson"
    path.write_bytes(b'{"torn": ')
    assert FileSender(str(path)).send(outgoing(1)).count == 1
    torn, whole = path.read_text().splitlines()
    assert torn == '{"torn": '
    assert name_of(json.decode(whole)) == "job-1"
    assert FileSender(str(tmp_path)).send(outgoing(1)).trouble is not None


def told_lake(home: Path, target: str, count: int) -> None:
    """A lake with so many events to be forwarded to the target."""
    lake = Lake.open(str(home), serves=True)
    try:
        store = SqliteStore(str(home / "lake.db"), now_us)
        store.write(lambda tx: forwarding.want(tx, [target], all_history=False), 5)
        store.close()
        events = [Raw(json.encode(run_event(number))) for number in range(1, count + 1)]
        lake.dispatch(RecordLineageBatch(events=events))
    finally:
        lake.close()


def test_an_event_at_which_a_target_fails_for_ever_is_passed(tmp_path: Path) -> None:
    """Consumers answer 500 to what they did not foresee; while they fail at everything, nothing is given up."""
    is_sick = [True]

    def failing(request: Request) -> Reply:
        if request.path.endswith("/batch"):
            return Reply(404)
        return Reply(500 if is_sick[0] or b"job-1" in request.body else 201)

    with Consumer(failing) as consumer:
        target = f"{consumer.url}/in"
        told_lake(tmp_path, target, 3)
        store = SqliteStore(str(tmp_path / "lake.db"), now_us)
        try:
            courier = Courier(store, Bell(), target, HttpSender(target, None))
            for _ in range(PASS_AFTER + 2):
                assert isinstance(courier.step(), Trouble)
            is_sick[0] = False
            assert courier.step() is True
            assert courier.step() is True
            assert courier.step() is False
        finally:
            store.close()
        assert [name_of(event) for event in consumer.events] == ["job-2", "job-3"]
    with closing(apsw.Connection(str(tmp_path / "lake.db"))) as connection:
        assert connection.execute("SELECT status FROM forward_refusals").fetchall() == [(500,)]


def test_a_target_that_is_away_for_too_long_gets_everything_again(tmp_path: Path) -> None:
    """What is kept for it is bounded, and nothing is lost by that: the export has it all."""
    with Consumer() as consumer:
        target = f"{consumer.url}/in"
        told_lake(tmp_path, target, 5)
        store = SqliteStore(str(tmp_path / "lake.db"), now_us)
        try:
            assert store.write(lambda tx: forwarding.purge(tx, kept=3), 5) == 1
            courier = Courier(store, Bell(), target, HttpSender(target, None))
            while courier.step() is True:
                pass
        finally:
            store.close()
        assert {name_of(event) for event in consumer.events} == {f"job-{number}" for number in range(1, 6)}
        lake = Lake.open(str(tmp_path))
        try:
            standing = {one.target: one for one in lake.dispatch(GetConfig()).forwarding}[target]
        finally:
            lake.close()
        assert (standing.waiting, standing.is_catching_up) == (0, False)


def test_what_comes_back_to_the_lake_that_made_it_is_no_news(tmp_path: Path) -> None:
    """By way of others it may come back much later: then it must be no sign of life of a run that has died since."""
    out = tmp_path / "out.ndjson"
    lake = Lake.open(str(tmp_path), serves=True)
    try:
        with lake.forwarding([Target.parse(f"file:{out}")], {}):
            run = lake.dispatch(StartRun(job_name="nightly"))
            eventually(lambda: out.exists() and out.read_text().count("\n") == 2, 10)
        for line in out.read_bytes().splitlines():
            assert lake.dispatch(RecordLineage(event=Raw(line))).is_repeat
        assert lake.dispatch(GetRun(run_id=run.run_id)).last_seen_at == run.last_seen_at
    finally:
        lake.close()
