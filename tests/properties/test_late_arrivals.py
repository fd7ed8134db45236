"""What arrives late changes what it ought to, and nothing else: the cases behind the rules, one by one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datlake_sdk.wire.models import DataRef, Graph, Run
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    CompleteRun,
    GetRun,
    LatestSnapshot,
    Lineage,
    ListNamespaces,
    ListSnapshots,
    Op,
    RegisterSnapshot,
    StartRun,
)
from datlake_server.lake import Lake

RUN = "0193a5c0-0000-7000-8000-0000000000e1"
OTHER = "0193a5c0-0000-7000-8000-0000000000e2"
FIRST, SECOND, THIRD = (f"0193a5c0-0000-7000-8000-0000000000f{number}" for number in range(3))

Tell = Callable[..., list[Lake]]


def at(minute: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


def made(table: str, snapshot_id: str, minute: int, uri: str = "", **more: object) -> RegisterSnapshot:
    content = {"table_name": table, "uri": uri or f"s3://b/{snapshot_id}", "format": "csv", "snapshot_id": snapshot_id}
    return RegisterSnapshot(**content, created_at=at(minute), **more)  # type: ignore[arg-type] # fields by name


def reads(minute: int, *items: DataRef, run_id: str = RUN) -> AddInputs:
    return AddInputs(job_name="j", run_id=run_id, items=list(items), added_at=at(minute))


def writes(minute: int, *items: DataRef, run_id: str = RUN) -> AddOutputs:
    return AddOutputs(job_name="j", run_id=run_id, items=list(items), added_at=at(minute))


def ended(minute: int, **metadata: object) -> CompleteRun:
    return CompleteRun(job_name="j", run_id=RUN, success=True, metadata=metadata, ended_at=at(minute))


@pytest.fixture
def tell(tmp_path: Path, empty_lake: Path) -> Iterator[Tell]:
    """Lakes that were told the same, each in another order."""
    lakes: list[Lake] = []

    def told(*operations: Op[object]) -> list[Lake]:
        for number, order in enumerate(itertools.permutations(operations)):
            home = shutil.copytree(empty_lake, tmp_path / f"lake{number}")
            lakes.append(Lake.open(str(home)))
            for operation in order:
                lakes[-1].dispatch(operation)
        return lakes

    yield told
    for lake in lakes:
        lake.close()


def run_of(lake: Lake, run_id: str = RUN) -> Run:
    return lake.dispatch(GetRun(run_id=run_id))


def names(graph: Graph) -> set[tuple[str, str]]:
    known = {node.id: node.name for node in graph.nodes}
    return {(known[edge.source], known[edge.target]) for edge in graph.edges}


def test_an_input_by_name_is_the_newest_of_its_moment_whenever_that_one_arrives(tell: Tell) -> None:
    """The lake was away while the table was written: the run has read what there was, not what had arrived."""
    for lake in tell(made("t", FIRST, 1), made("t", SECOND, 3), made("t", THIRD, 5), reads(4, DataRef(table_name="t"))):
        assert [data.snapshot_id for data in run_of(lake).inputs] == [SECOND]
        fed = lake.dispatch(Lineage(snapshot_id=SECOND, kind="snapshot", direction="downstream"))
        assert [node.run_id for node in fed.nodes if node.kind == "run"] == [RUN]


def test_of_two_snapshots_of_one_moment_the_greater_id_is_read_as_it_is_the_latest(tell: Tell) -> None:
    """Clocks are coarse; what readers get and what is recorded as read must be the same."""
    for lake in tell(made("t", FIRST, 1), made("t", SECOND, 1), reads(1, DataRef(table_name="t"))):
        assert lake.dispatch(LatestSnapshot(table_name="t")).snapshot_id == SECOND
        assert [data.snapshot_id for data in run_of(lake).inputs] == [SECOND]


def test_what_was_read_by_name_and_by_version_keeps_the_moment_of_each(tell: Tell) -> None:
    """Once the name means another version, the version was read when that was told, and not before."""
    by_version = DataRef(table_name="t", snapshot_id=FIRST)
    for lake in tell(
        made("t", FIRST, 1), made("t", SECOND, 2), reads(3, DataRef(table_name="t")), reads(5, by_version)
    ):
        assert [data.snapshot_id for data in run_of(lake).inputs] == [SECOND, FIRST]
        before = lake.dispatch(Lineage(snapshot_id=FIRST, kind="snapshot", as_of=at(4)))
        assert not before.edges


def test_a_snapshot_that_was_known_in_two_ways_was_read_in_the_fresher(tell: Tell) -> None:
    """A name does not say how its snapshot was known, and takes nothing of it back."""
    old, fresher = (DataRef(table_name="t", snapshot_id=FIRST, stale=True, age_s=age_s) for age_s in (3.0, 1.5))
    for lake in tell(made("t", FIRST, 1), reads(2, old), reads(3, fresher), reads(4, DataRef(table_name="t"))):
        assert [(data.stale, data.age_s) for data in run_of(lake).inputs] == [(True, 1.5)]


def test_a_uri_becomes_the_snapshot_that_had_it_and_leaves_no_table_behind(tell: Tell) -> None:
    """As long as nothing is known of a file it is a node of its own; afterwards it never was."""
    for lake in tell(
        reads(4, DataRef(uri="s3://b/x")), writes(4, DataRef(table_name="out")), made("t", FIRST, 1, "s3://b/x")
    ):
        assert [(data.table_name, data.snapshot_id) for data in run_of(lake).inputs] == [("t", FIRST)]
        assert names(lake.dispatch(Lineage(name="out", direction="upstream"))) == {("t", "j"), ("j", "out")}
        assert [space.namespace for space in lake.dispatch(ListNamespaces()).items] == ["default"]


def test_a_uri_that_was_read_before_it_was_registered_stays_what_it_was(tell: Tell) -> None:
    """Who registers a landing folder today has not written what was read from it a year ago."""
    for lake in tell(reads(1, DataRef(uri="s3://b/x")), made("t", FIRST, 4, "s3://b/x")):
        assert [(data.namespace, data.table_name) for data in run_of(lake).inputs] == [("s3://b", "x")]


def test_an_output_by_its_uri_is_what_the_run_registered_there(tell: Tell) -> None:
    """One write is one output, with the inputs that were stated for it, whatever else was written to that place."""
    stated = made("t", FIRST, 3, "s3://b/x", job_name="j", run_id=RUN, inputs=[DataRef(table_name="a")])
    newer = made("t", SECOND, 4, "s3://b/x")
    for lake in tell(writes(5, DataRef(uri="s3://b/x")), stated, newer, reads(1, DataRef(table_name="b"))):
        assert [data.snapshot_id for data in run_of(lake).outputs] == [FIRST]
        assert names(lake.dispatch(Lineage(name="t", direction="upstream"))) == {("a", "j"), ("j", "t")}


def test_a_table_that_is_made_from_itself_is_made_from_its_version_before(tell: Tell) -> None:
    """`register_snapshot("state", …, inputs=["state"])`: nothing is made from itself."""
    folded = made("state", SECOND, 3, job_name="j", run_id=RUN, inputs=[DataRef(table_name="state")])
    for lake in tell(made("state", FIRST, 1), folded, made("state", THIRD, 5)):
        assert [data.snapshot_id for data in run_of(lake).inputs] == [FIRST]


def test_what_an_older_client_lists_is_what_the_run_registered(tell: Tell) -> None:
    """One write is one version, also where the run's end overtook it, and whatever the end calls the table."""
    end = ended(5, outputs=[{"name": "daily", "uri": "s3://b/1"}, {"name": "label", "uri": "s3://b/1"}])
    registered = made("daily", FIRST, 3, "s3://b/1", job_name="j", run_id=RUN)
    for lake in tell(StartRun(job_name="j", run_id=RUN, started_at=at(0)), end, registered):
        [version] = lake.dispatch(ListSnapshots(table_name="daily")).items
        assert (version.snapshot_id, version.version) == (FIRST, 1)
        assert [data.snapshot_id for data in run_of(lake).outputs] == [FIRST]
        assert [space.table_count for space in lake.dispatch(ListNamespaces()).items] == [1]


def test_of_two_ends_that_list_the_same_output_the_earlier_says_what_it_is(tell: Tell) -> None:
    """At the same moment the lesser content does: any rule will do, as long as it asks for no order."""
    said = [{"name": "daily", "uri": "s3://b/1", "format": name} for name in ("parquet", "csv", "arrow")]
    for lake in tell(ended(5, outputs=said[:1]), ended(5, outputs=said[1:2]), ended(6, outputs=said[2:])):
        [version] = lake.dispatch(ListSnapshots(table_name="daily")).items
        assert (version.format, version.created_at) == ("csv", at(5))


def test_a_snapshot_that_is_told_twice_was_created_when_it_was_first(tell: Tell) -> None:
    """Who repeats a registration has another clock by then; the latest and who read it go by the first."""
    for lake in tell(made("t", FIRST, 5), made("t", FIRST, 1), made("t", SECOND, 3), reads(2, DataRef(table_name="t"))):
        assert lake.dispatch(LatestSnapshot(table_name="t")).snapshot_id == SECOND
        assert [data.snapshot_id for data in run_of(lake).inputs] == [FIRST]


def test_an_edge_tells_the_same_whichever_of_its_runs_came_last(tell: Tell) -> None:
    """First seen, last seen, how often and by whom: of all that was told, not of what was told last."""
    source, target = DataRef(table_name="a"), DataRef(table_name="b")
    for lake in tell(
        reads(5, source), writes(2, target), reads(3, source, run_id=OTHER), reads(1, source, run_id=OTHER)
    ):
        [edge] = lake.dispatch(Lineage(name="a", depth=1)).edges
        assert (edge.first_seen, edge.last_seen, edge.count, edge.last_run_id) == (at(1), at(5), 2, RUN)
        before = lake.dispatch(Lineage(name="a", as_of=at(4)))
        assert names(before) == {("a", "j")}


@pytest.mark.parametrize("is_backward", [False, True], ids=["inputs first", "outputs first"])
def test_a_run_with_very_many_pairs_is_one_step_whatever_came_first(tmp_path: Path, *, is_backward: bool) -> None:
    """Past the bound the run stands between them, also between those that were paired before it was reached."""
    lake = Lake.open(str(tmp_path / "lake"))
    told: list[Op[object]] = [reads(1, *(DataRef(uri=f"s3://in/{number}") for number in range(101)))]
    told += [writes(2, *(DataRef(uri=f"s3://out/{number}") for number in some)) for some in (range(60), range(60, 100))]
    for operation in reversed(told) if is_backward else told:
        lake.dispatch(operation)
    up = lake.dispatch(Lineage(namespace="s3://out", name="7", direction="upstream", depth=2))
    assert {node.kind for node in up.nodes} == {"table", "job", "run"}
    assert len(up.nodes) == 3
    # One that states its inputs is paired with no others, so that those that are left keep to the bound.
    lake.dispatch(made("t", FIRST, 1, "s3://out/1", job_name="j", run_id=RUN, inputs=[]))
    up = lake.dispatch(Lineage(namespace="s3://out", name="77", direction="upstream", depth=2, max_nodes=1000))
    assert {node.kind for node in up.nodes} == {"table", "job"}
    assert len(up.nodes) == 103
    lake.close()
