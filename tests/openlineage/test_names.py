"""Whatever producers call their data is taken: the event as it came, and the data under a name that can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Raw, json

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.operations import ExportOpenLineage, GetTable, Lineage, RecordLineage
from datlake_server.lake import Lake
from tests.openlineage.material import PRODUCER, Json

BUCKET = "s3://shelf"
STORE = "vertica://store.example:5433"
QUERY = "(\n\tSELECT plum, COUNT(*)\n\tFROM fruit.picked\n\tGROUP BY plum\n) basket"
SHOWN = "( SELECT plum, COUNT(*) FROM fruit.picked GROUP BY plum ) basket"
LONG = "({}) basket".format(", ".join(f"a_column_{number}" for number in range(300)))


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake that holds nothing."""
    opened = Lake.open(str(tmp_path / "lake"))
    yield opened
    opened.close()


def data(namespace: str, name: str, **facets: Json) -> Json:
    """A dataset of an event."""
    return {"namespace": namespace, "name": name, "facets": facets}


def event(number: int, inputs: list[Json], outputs: list[Json]) -> Json:
    """A run of its own that has read and written."""
    return {
        "eventType": "COMPLETE",
        "eventTime": f"2026-02-0{number}T08:00:00Z",
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": f"0190c6a0-0000-7000-8000-00000000000{number}"},
        "job": {"namespace": "farm", "name": f"job-{number}"},
        "inputs": inputs,
        "outputs": outputs,
    }


def tell(lake: Lake, told: Json) -> None:
    lake.dispatch(RecordLineage(event=Raw(json.encode(told))))


def feeds(lake: Lake, name: str) -> set[str]:
    """What lies upstream of the table `name` of the bucket, one step of a job away."""
    graph = lake.dispatch(Lineage(name=name, namespace=BUCKET, direction="upstream", depth=2))
    return {node.name for node in graph.nodes if node.kind == "table"} - {name}


def test_a_dataset_without_a_name_is_the_root_of_its_namespace(lake: Lake) -> None:
    """Producers have told a bucket without a key so, and call it `/` since."""
    tell(lake, event(1, [data(STORE, "fruit")], [data(BUCKET, "")]))
    tell(lake, event(2, [data(BUCKET, "/")], [data(BUCKET, "jam")]))
    assert lake.dispatch(GetTable(table_name="/", namespace=BUCKET)).table_name == "/"
    assert feeds(lake, "jam") == {"/"}
    assert feeds(lake, "/") == {"fruit"}


@pytest.mark.parametrize("name", [QUERY, LONG], ids=["of several lines", "too long"])
def test_a_query_as_the_name_of_what_it_reads_is_a_table(lake: Lake, name: str) -> None:
    """Spark has named what it read by JDBC after the whole query, and column lineage names it again."""
    column = {"namespace": STORE, "name": name, "field": "plum"}
    fed: Json = {"_producer": PRODUCER, "_schemaURL": PRODUCER, "fields": {"plum": {"inputFields": [column]}}}
    tell(lake, event(1, [data(STORE, name)], [data(BUCKET, "jam", columnLineage=fed)]))
    tell(lake, event(2, [data(STORE, name)], [data(BUCKET, "jelly")]))
    (shown,) = feeds(lake, "jam")
    assert feeds(lake, "jelly") == {shown}
    assert lake.dispatch(GetTable(table_name=shown, namespace=STORE)).table_name == shown
    assert len(shown) <= 2048
    assert shown == SHOWN or (shown[:1000] == LONG[:1000] and len(LONG) > 2048)


def test_other_names_are_read_as_names_are(lake: Lake) -> None:
    """A symlink to a root, or to what a query reads, is one to the table that others tell of."""
    links: Json = {"identifiers": [{**data(BUCKET, ""), "type": "TABLE"}, {**data(STORE, QUERY), "type": "TABLE"}]}
    tell(lake, event(1, [data(STORE, QUERY)], [data(BUCKET, "jam")]))
    tell(lake, event(2, [data("farm", "heap", symlinks=links)], [data(BUCKET, "jelly")]))
    tell(lake, event(3, [data(BUCKET, "")], [data(BUCKET, "must")]))
    assert feeds(lake, "jam") == feeds(lake, "jelly") == feeds(lake, "must")


def test_long_names_that_begin_alike_stay_apart(lake: Lake) -> None:
    """Queries over the same columns differ at their end."""
    tell(lake, event(1, [data(STORE, f"{LONG}{LONG} of monday")], [data(BUCKET, "jam")]))
    tell(lake, event(2, [data(STORE, f"{LONG}{LONG} of tuesday")], [data(BUCKET, "jelly")]))
    assert not feeds(lake, "jam") & feeds(lake, "jelly")


def test_the_event_comes_back_as_it_was_told(lake: Lake) -> None:
    """What its data is called here is no business of who takes the event next."""
    told = event(1, [data(STORE, QUERY), data(STORE, LONG)], [data(BUCKET, "")])
    tell(lake, told)
    assert lake.dispatch(ExportOpenLineage()).items == [told]


def test_a_job_without_a_name_is_refused(lake: Lake) -> None:
    """There is nothing that it could be shown as."""
    told = event(1, [], []) | {"job": {"namespace": "farm", "name": ""}}
    with pytest.raises(InvalidRequest, match=r"\$\.job\.name"):
        tell(lake, told)
