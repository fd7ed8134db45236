"""Who used a snapshot, by whatever road, and what led to it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest, JobContext, NotFound
from datlake_sdk.wire.ids import derived_id
from datlake_sdk.wire.models import Artifact, DataRef, Related, Snapshot
from tests.graphs import Facets, Teller
from tests.places import Place


@pytest.fixture
def tell(client: DatlakeClient, place: Place) -> Teller:
    """Tells the lake of this story."""
    return Teller(client, place.namespace)


class Chain(NamedTuple):
    """Raw → clean → tidy → report → daily; look reads tidy and writes nothing; a second tidy comes of nothing."""

    client: DatlakeClient
    raw: Snapshot
    daily: Snapshot
    runs: dict[str, JobContext]


def step(client: DatlakeClient, job: str, reads: list[str], writes: list[str]) -> JobContext:
    """A run that reads and registers tables."""
    with JobContext(client, job) as run:
        for name in reads:
            run.get_table_latest_uri(name)
        for name in writes:
            run.register_snapshot(name, f"s3://b/{name}/{run.run_id}", "csv")
    return run


@pytest.fixture
def chain(client: DatlakeClient) -> Chain:
    """As above."""
    raw = client.register_snapshot("raw", "s3://b/raw", "csv")
    runs = {
        "clean": step(client, "clean", ["raw"], ["tidy"]),
        "report": step(client, "report", ["tidy"], ["daily"]),
        "look": step(client, "look", ["tidy"], []),
    }
    step(client, "mend", [], ["tidy"])
    return Chain(client, raw, client.latest_snapshot("daily"), runs)


def told(items: list[Related]) -> list[tuple[int, str, str]]:
    """Distance, kind and name."""
    return [(one.distance, one.kind, one.name) for one in items]


def test_impact_tells_every_run_and_snapshot_that_used_it(chain: Chain) -> None:
    """A number was wrong: who has already used it? The nearest first, those of one distance as they came."""
    found = list(chain.client.impact(chain.raw))
    assert told(found) == [
        (1, "run", "clean"),
        (2, "snapshot", "tidy"),
        (3, "run", "report"),
        (3, "run", "look"),
        (4, "snapshot", "daily"),
    ]
    assert [one.run_id for one in found if one.kind == "run"] == [
        chain.runs[name].run_id for name in ("clean", "report", "look")
    ]
    assert {one.state for one in found if one.kind == "run"} == {"completed"}
    assert found[-1] == Related(
        kind="snapshot",
        distance=4,
        namespace=chain.daily.namespace,
        name="daily",
        at=chain.daily.created_at,
        run_id=chain.runs["report"].run_id,
        snapshot_id=chain.daily.snapshot_id,
        version=1,
        uri=chain.daily.uri,
    )
    assert list(chain.client.impact(chain.daily)) == []


def test_trace_tells_every_run_and_snapshot_that_led_to_it(chain: Chain) -> None:
    """What fed it: other versions and those who only looked have no part in it."""
    assert told(list(chain.client.trace(chain.daily))) == [
        (1, "run", "report"),
        (2, "snapshot", "tidy"),
        (3, "run", "clean"),
        (4, "snapshot", "raw"),
    ]
    assert list(chain.client.trace(chain.raw)) == []


def test_a_page_goes_on_where_the_last_one_ended(chain: Chain) -> None:
    """Also in the midst of one distance."""
    client = chain.client
    whole = list(client.impact(chain.raw))
    for limit in (1, 2, 3, 4, 5, 6):
        first = client.impact(chain.raw, limit=limit)
        assert list(first) == whole
    page = client.impact(chain.raw, limit=3)
    assert (len(page.items), page.next_cursor is None) == (3, False)
    assert client.impact(chain.raw, limit=5).next_cursor is None
    with pytest.raises(InvalidRequest) as refused:
        client.impact(chain.raw, cursor="00")
    assert refused.value.code == "bad_cursor"


def test_a_run_tells_its_commit_and_its_log(client: DatlakeClient, place: Place) -> None:
    """Where to look next: the code as it was, and what the run said."""
    run_id = derived_id(place.namespace, "commit")
    client.start_run("clean", run_id=run_id, environment={"git_commit": "c0ffee", "git_dirty": False})
    made = client.register_snapshot("tidy", "s3://b/tidy", "csv", job_name="clean", run_id=run_id)
    log = Artifact(type="log", uri="datlake://artifacts/run.log")
    client.complete_run("clean", run_id, artifacts=[Artifact(type="json", uri="datlake://artifacts/a"), log])
    [run] = list(client.trace(made))
    assert (run.commit, run.log_uri, run.state) == ("c0ffee", log.uri, "completed")
    client.describe_run("clean", run_id, environment={"git_commit": None})
    [run] = list(client.trace(made))
    assert run.commit is None


def test_the_code_of_a_run_is_what_its_own_events_say(tell: Teller) -> None:
    """A job moves on; yesterday's number came of yesterday's code."""
    for number, version in enumerate(("aaa", "bbb", None)):
        code: dict[str, object] = {"type": "git", "url": "https://example.org/repo"}
        facets: Facets = {"sourceCodeLocation": code | ({"version": version} if version else {"_deleted": True})}
        tell.run("clean", ["raw"], [f"made{number}"], number=number, minute=number, job_facets=facets)
    commits = [
        [one.commit for one in tell.client.trace(tell.client.latest_snapshot(f"made{number}")) if one.kind == "run"]
        for number in range(3)
    ]
    assert commits == [["aaa"], ["bbb"], [None]]


def test_data_without_a_version_is_on_the_road_and_is_no_answer(client: DatlakeClient, place: Place) -> None:
    """A file that nobody registered still carries the wrong number on."""
    raw = client.register_snapshot("raw", "s3://b/raw", "csv")
    file = f"s3://{place.namespace}/file"
    with JobContext(client, "write") as job:
        job.get_table_latest_uri("raw")
        job.add_output(file)
    with JobContext(client, "read") as job:
        job.add_input(file)
        job.register_snapshot("made", "s3://b/made", "csv")
    assert told(list(client.impact(raw))) == [(1, "run", "write"), (3, "run", "read"), (4, "snapshot", "made")]


def test_a_snapshot_that_is_not_registered_yet_is_known_by_its_id(client: DatlakeClient, place: Place) -> None:
    """Its writer's outbox may still hold it, while others have read it."""
    run_id, waiting = derived_id(place.namespace, "reader"), derived_id(place.namespace, "waiting")
    client.start_run("reader", run_id=run_id)
    client.add_inputs("reader", run_id, [DataRef(table_name="late", snapshot_id=waiting)])
    made = client.register_snapshot("made", "s3://b/made", "csv", job_name="reader", run_id=run_id)
    [run, late] = list(client.trace(made))
    assert (run.name, run.state) == ("reader", "running")
    assert late == Related(kind="snapshot", distance=2, namespace=place.namespace, name="late", snapshot_id=waiting)


def test_a_circle_ends(client: DatlakeClient) -> None:
    """What a run read and wrote again is told once, and the snapshot asked for not at all."""
    first = client.register_snapshot("state", "s3://b/state/0", "csv")
    with JobContext(client, "fold") as job:
        job.get_table_latest_uri("state")
        client.add_outputs("fold", job.run_id, [DataRef(table_name="state", snapshot_id=first.snapshot_id)])
    assert told(list(client.impact(first))) == [(1, "run", "fold")]


def test_a_snapshot_is_found_by_what_its_store_calls_it(tell: Teller) -> None:
    """The number in an Iceberg history is what people have at hand."""
    version: dict[str, Facets] = {"sales": {"version": {"datasetVersion": f"{tell.namespace}-7"}}}
    tell.run("load", ["raw"], ["sales"], facets=version)
    assert told(list(tell.client.trace(f"{tell.namespace}-7"))) == [(1, "run", "load")]


def test_a_snapshot_that_nobody_knows_is_not_found(chain: Chain) -> None:
    """Neither one that another namespace has."""
    for ask in (chain.client.impact, chain.client.trace):
        with pytest.raises(NotFound) as missing:
            ask(derived_id("nothing"))
        assert missing.value.code == "snapshot_not_found"
        with pytest.raises(NotFound):
            ask(chain.raw, namespace="elsewhere")
