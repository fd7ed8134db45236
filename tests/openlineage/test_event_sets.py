"""Event sets and samples of others, replayed: one state in any order, the links they are known for, nothing lost."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import pytest
from msgspec import Raw, json

from datlake_sdk.lineage.ids import run_id_of
from datlake_sdk.wire.operations import (
    ExportOpenLineage,
    GetRun,
    Lineage,
    RecordLineage,
    RecordLineageBatch,
    RunOpenLineage,
)
from datlake_server.lake import Lake
from tests.openlineage import material
from tests.openlineage.material import Json
from tests.properties.openlineage_shown import Shown, by_lake

pytestmark = material.needs_material

SETS = material.event_sets() if material.IS_HERE else {}
SAMPLES = material.samples() if material.IS_HERE else {}
# A job that reads and writes: what it read, and what it wrote.
Link = tuple[str, str]


def raw(event: Json) -> Raw:
    return Raw(json.encode(event))


def told_to(home: Path, events: Sequence[Json], most: int = 1) -> Path:
    """The lake in `home`, told of the events in their order, so many at once at most."""
    lake, draw = Lake.open(str(home)), random.Random(len(events))  # noqa: S311 -- the same each time
    while events:
        count = draw.randint(1, most)
        part, events = events[:count], events[count:]
        if count == 1:
            lake.dispatch(RecordLineage(event=raw(part[0])))
        else:
            assert lake.dispatch(RecordLineageBatch(events=[raw(one) for one in part])).status == "success"
    lake.close()
    return home


def shown_after(events: Sequence[Json], most: int = 1) -> Shown:
    """What a lake shows that was told of them."""
    with tempfile.TemporaryDirectory(prefix="datlake-") as home:
        return by_lake(told_to(Path(home), events, most))


def shuffled(events: Iterable[Json], seed: int) -> list[Json]:
    mixed = list(events)
    random.Random(seed).shuffle(mixed)  # noqa: S311 -- the same each time
    return mixed


@pytest.mark.parametrize("name", SETS)
def test_an_event_set_ends_in_one_state_in_any_order_and_however_often(name: str) -> None:
    """In order, backwards, shuffled, twice, one by one and in batches."""
    events = SETS[name]
    once = shown_after(events)
    assert once.rows["events"]
    assert shown_after(events, most=50) == once
    assert shown_after(events[::-1]) == once
    assert shown_after([*events, *events], most=7) == once
    for seed in range(3):
        assert shown_after(shuffled([*events, *events[::2]], seed), most=5) == once


def test_the_spark_job_is_exactly_one_link(tmp_path: Path) -> None:
    """As another consumer derives it; that one spells the warehouse's tables in a way of its own."""
    lake = Lake.open(str(told_to(tmp_path, shuffled(SETS["spark_simple"], 1))))
    wanted = json.decode((material.FOLDER / "events/spark_simple/expected_links.json").read_bytes(), type=list[Json])
    assert links(lake, "hdfs://dataproc-producer-test-m", "/user/hive/warehouse/t2") == {
        (_path(one["source"]), _path(one["target"])) for one in wanted
    }
    # Its symlink is the same table, not another link.
    assert links(lake, "hive://dataproc-producer-test-m:9083", "default.t2") == {
        ("user/hive/warehouse/t1", "user/hive/warehouse/t2")
    }
    lake.close()


def links(lake: Lake, namespace: str, name: str) -> set[Link]:
    """What feeds what by way of a job, in the whole graph around the table."""
    graph = lake.dispatch(Lineage(name=name, namespace=namespace, depth=20, max_nodes=5000))
    names = {node.id: node.name.lstrip("/") for node in graph.nodes}
    kinds = {node.id: node.kind for node in graph.nodes}
    return {
        (names[read.source], names[wrote.target])
        for read in graph.edges
        for wrote in graph.edges
        if kinds[read.target] == "job" and read.target == wrote.source
    }


def _path(end: object) -> str:
    text = str(cast("dict[str, object]", end)["fully_qualified_name"])
    return "user" + text.partition(".user")[2]


def test_the_food_delivery_is_the_product_of_what_each_job_reads_and_writes(tmp_path: Path) -> None:
    """Thirteen jobs that hang together."""
    events = SETS["food_delivery"]
    reads: dict[str, set[str]] = {}
    writes: dict[str, set[str]] = {}
    for event in events:
        job = str(cast("dict[str, object]", event["job"])["name"])
        for key, of_jobs in (("inputs", reads), ("outputs", writes)):
            of_jobs.setdefault(job, set()).update(
                str(one["name"]).lstrip("/") for one in cast("list[Json]", event.get(key) or [])
            )
    wanted = {(source, target) for job in writes for source in reads[job] for target in writes[job]}
    lake = Lake.open(str(told_to(tmp_path, shuffled(events, 2))))
    roots = {
        str(one["name"]): str(one["namespace"]) for e in events for one in cast("list[Json]", e.get("outputs") or [])
    }
    found: set[Link] = set()
    for name, namespace in roots.items():
        found |= links(lake, namespace, name)
    lake.close()
    assert found == wanted
    assert len(writes) == 13


def test_the_event_with_a_text_for_a_run_id_is_found_by_it(tmp_path: Path) -> None:
    event = SETS["simple_run_event"][0]
    text = str(cast("dict[str, object]", event["run"])["runId"])
    lake = Lake.open(str(told_to(tmp_path, [event])))
    namespace = str(cast("dict[str, object]", event["job"])["namespace"])
    run = lake.dispatch(GetRun(run_id=text, namespace=namespace))
    assert (run.run_id, run.external_id) == (run_id_of(text), None if run_id_of(text) == text.lower() else text)
    lake.close()


@pytest.mark.parametrize("name", SETS)
def test_an_event_set_comes_back_and_makes_the_same_lake(name: str, tmp_path: Path) -> None:
    """What was taken in goes out equal in meaning, and another lake that takes it is the same."""
    events = SETS[name]
    lake = Lake.open(str(told_to(tmp_path / "one", events)))
    exported = list(export(lake))
    lake.close()
    assert sorted(map(canonical, exported)) == sorted({canonical(event) for event in events})
    told_to(tmp_path / "other", shuffled(exported, 3), most=9)
    assert by_lake(tmp_path / "other") == by_lake(tmp_path / "one")


def export(lake: Lake) -> Iterable[Json]:
    """All that the lake exports."""
    page = lake.dispatch(ExportOpenLineage(limit=5))
    yield from page.items
    while page.next_cursor is not None:
        page = lake.dispatch(ExportOpenLineage(limit=5, cursor=page.next_cursor))
        yield from page.items


def canonical(event: Json) -> bytes:
    return json.encode(event, order="sorted")


@pytest.mark.parametrize("stem", SAMPLES)
def test_every_facet_sample_survives_a_round_trip(stem: str, tmp_path: Path) -> None:
    """In its run's events, and through an export into a lake that takes it."""
    name, facet = SAMPLES[stem]
    event = material.event_with(material.place_of(stem), {name: facet})
    lake = Lake.open(str(told_to(tmp_path / "one", [event])))
    [kept] = lake.dispatch(RunOpenLineage(run_id=material.RUN_ID, namespace="jobs")).items
    exported = list(export(lake))
    lake.close()
    assert canonical(kept) == canonical(event)
    told_to(tmp_path / "other", exported)
    assert by_lake(tmp_path / "other") == by_lake(tmp_path / "one")
    assert any(canonical(one) == canonical(event) for one in exported)
