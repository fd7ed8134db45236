"""Whatever somebody remembers of a name finds the thing, and whatever they type is only that."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from datlake_sdk.client import DatlakeClient
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import SearchHit
from datlake_sdk.wire.operations import RegisterSnapshot, Search, StartRun, UpdateTable
from datlake_server.lake import Lake
from datlake_server.store.statements import migrations
from tests.places import Place

RUN = "0193a5c0-0000-7000-8000-00000000f00d"
AT = "2026-05-04T09:00:00Z"
PRODUCER = "https://example.org/producer"

Found = list[tuple[str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a shop's tables and jobs."""
    home = tmp_path_factory.mktemp("search")
    lake = Lake.open(str(home))
    for name, columns in TABLES.items():
        register(lake, name, columns)
    for job_name in ("daily_sales_etl", "sales_curated_publish", "train-churn.model"):
        lake.dispatch(StartRun(job_name=job_name, run_id=RUN if job_name == "daily_sales_etl" else new_id()))
    lake.dispatch(UpdateTable(table_name="orders", description="What the shop has sold, by Ünal's team"))
    register(lake, "sales_curated", {"id": "int"}, namespace="finance")
    lake.close()
    return home


TABLES: dict[str, dict[str, object]] = {
    "sales_curated": {"customer_id": "int", "amount": "double"},
    "sales_raw": {"customer_id": "int", "ts": "timestamp"},
    "raw_sales": {"id": "int"},
    "orders": {"order_id": "int", "address": [("street", "string"), ("city", "string")]},
    "DailyWeather": {"hour": "timestamp"},
    "ship": {},
    "customers": {"customer_id": "int", "Größe": "int"},
}


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    """That lake, for one test alone."""
    shutil.copytree(made, tmp_path / "lake")
    return Lake.open(str(tmp_path / "lake"))


def register(lake: Lake, table_name: str, columns: dict[str, object], namespace: str = "default") -> None:
    """The table has one more version with these columns."""
    op = RegisterSnapshot(table_name=table_name, uri="s3://b/t", format="parquet", schema=columns, namespace=namespace)
    lake.dispatch(replace(op, snapshot_id=new_id(), created_at=datetime.now(UTC)))


def found(lake: Lake, q: str, **more: object) -> Found:
    """(kind, name) of what a search finds; of columns the field as well."""
    page = lake.dispatch(Search(q=q, **more))  # type: ignore[arg-type]  # options of the operation, as a test names them
    return [(hit.kind, f"{hit.name}.{hit.field}" if hit.field else hit.name) for hit in page.items]


def everything(lake: Lake, q: str, **more: object) -> list[SearchHit]:
    """What all pages of a search hold, one after the other."""
    hits: list[SearchHit] = []
    cursor = None
    for _ in range(200):
        page = lake.dispatch(Search(q=q, limit=70, cursor=cursor, **more))  # type: ignore[arg-type]  # as above
        hits += page.items
        cursor = page.next_cursor
        if cursor is None:
            return hits
    pytest.fail("the search does not end")


def test_the_exact_name_comes_first_then_what_begins_so_then_what_has_the_word(lake: Lake) -> None:
    """Who types a whole name wants that; who types half of one wants to see how it goes on."""
    register(lake, "sales", {"n": "int"})
    assert found(lake, "sales", kind="table") == [
        ("table", "sales"),
        ("table", "sales_curated"),
        ("table", "sales_curated"),
        ("table", "sales_raw"),
        ("table", "raw_sales"),
    ]
    assert found(lake, "SALES_CU") == [
        ("table", "sales_curated"),
        ("table", "sales_curated"),
        ("job", "sales_curated_publish"),
    ]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("curated sales publish", "sales_curated_publish"),
        ("publish", "sales_curated_publish"),
        ("model/churn", "train-churn.model"),
        ("weather", "DailyWeather"),
        ("aily", "DailyWeather"),
        ("unal", "orders"),
        ("sold shop", "orders"),
    ],
)
def test_words_are_found_in_any_order_within_names_and_in_what_is_said(lake: Lake, typed: str, name: str) -> None:
    """People remember a part, and not how it was joined to the rest."""
    assert name in [found_name for _, found_name in found(lake, typed)]


@pytest.mark.parametrize("typed", ["custmoers", "cutsomers", "customrs", "customerss", "custamers", "ustomers", "shpi"])
def test_a_slip_of_the_finger_still_finds_the_name(lake: Lake, typed: str) -> None:
    """Only where little else is found: a typo is no reason to hide what was meant, nor to bury it."""
    assert found(lake, typed)[0] == ("table", "ship" if typed == "shpi" else "customers")
    assert ("table", "customers") not in found(lake, "sales", limit=1000)


def test_columns_are_found_with_the_tables_that_have_them(lake: Lake) -> None:
    """`where is customer_id` is the question before every join; nested columns and other alphabets count."""
    tables = ["customers", "sales_curated", "sales_raw"]
    assert sorted(found(lake, "customer_id")) == [("column", f"{name}.customer_id") for name in tables]
    assert found(lake, "city") == [("column", "orders.city")]
    assert found(lake, "größe") == found(lake, "Große") == [("column", "customers.Größe")]
    assert found(lake, "amount", kind="table") == []


def test_a_column_that_comes_later_is_found_too(lake: Lake) -> None:
    """Schemas change; the table is listed once however many versions have the column."""
    assert found(lake, "discount") == []
    for _ in range(2):
        register(lake, "orders", {"order_id": "int", "discount": "double"})
    assert found(lake, "discount") == [("column", "orders.discount")]


def test_only_the_kind_and_namespace_that_are_asked_for_are_found(lake: Lake) -> None:
    """A team searches its own; a picker of tables offers tables."""
    assert found(lake, "sales", kind="job") == [("job", "sales_curated_publish"), ("job", "daily_sales_etl")]
    assert found(lake, "sales", namespace="finance") == [("table", "sales_curated")]
    assert found(lake, "id", namespace="finance") == [("column", "sales_curated.id")]
    assert found(lake, "finance", kind="table") == [("table", "sales_curated")]
    assert found(lake, "sales", namespace="nowhere") == []


def test_a_run_is_found_by_the_beginning_of_its_id(lake: Lake) -> None:
    """What a log line or a colleague's message gives is part of an id."""
    page = lake.dispatch(Search(q=RUN[:13].upper()))
    assert page.items == [SearchHit(kind="run", namespace="default", name="daily_sales_etl", run_id=RUN)]
    assert found(lake, RUN, kind="run") == [("run", "daily_sales_etl")]
    assert found(lake, RUN, kind="table") == []


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_follow_each_other_without_gap_or_repeat(lake: Lake, limit: int) -> None:
    """Whatever the size of a page, together they are the whole; a cursor ends within a column's tables as well."""
    for q in ("sales", "customer", "s", "custmoer"):
        whole = lake.dispatch(Search(q=q, limit=1000))
        assert whole.next_cursor is None
        items: list[SearchHit] = []
        cursor = None
        for _ in range(len(whole.items) + 2):
            page = lake.dispatch(Search(q=q, limit=limit, cursor=cursor))
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert (items, cursor) == (whole.items, None)


def test_a_long_list_goes_on_past_what_is_read_at_once(lake: Lake) -> None:
    """Hundreds of tables share a beginning, a word and a column; none is missing and none comes twice."""
    names = [f"part_{number:03}" for number in range(300)]
    for number, name in enumerate(names):
        register(lake, name, {"shared": "int"})
        lake.dispatch(StartRun(job_name=f"job of {name}", run_id=f"00abcdef-0000-4000-8000-{number:012}"))
    assert [hit.name for hit in everything(lake, "part", kind="table")] == names
    assert [hit.name for hit in everything(lake, "shared")] == names
    assert [hit.name for hit in everything(lake, "00abcdef")] == [f"job of {name}" for name in names]


def test_a_search_for_what_others_have_ends(lake: Lake) -> None:
    """A page stops looking after a while; the next one goes on, and the last one says that it is the last."""
    register(lake, "wide", {f"reading_{number}": "int" for number in range(2_100)})
    assert lake.dispatch(Search(q="reading", namespace="finance")).next_cursor is not None
    assert everything(lake, "reading", namespace="finance") == []
    assert len(everything(lake, "reading")) == 2_100


HOSTILE = [
    *(
        '"',
        "'",
        "-",
        "***",
        "^sales",
        "sales*",
        "%",
        "_",
        "\\",
        " ",
        "\x00",
        "sales\x00raw",
        "\u0301",
        "\U0010ffff",
        "ß",
        "😀",
    ),
    *(
        '"sales" OR *',
        "sales AND",
        "NOT",
        "NEAR(sales raw, 2)",
        "{name} : sales",
        "name:sales",
        "'; DROP TABLE tables; --",
    ),
    *("हिन्दी", "日本語", "a" * 1024, "'" * 1024, "a " * 512, "(" * 500, "sales " * 170, "abcdefgh " * 113),
]


@pytest.mark.parametrize("typed", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_typed_is_never_understood_as_a_language(client: DatlakeClient, typed: str) -> None:
    """Quotes, stars and words like AND are part of names; none breaks the search, none means anything."""
    assert isinstance(client.search(typed, namespace="nobody's").items, list)
    assert client.search(typed, namespace="nobody's").items == []


def test_a_name_of_strange_letters_is_found_by_itself(client: DatlakeClient, place: Place) -> None:
    """Producers send what they like."""
    names = ['say "hi" AND *', "हिन्दी डेटा", "日本語テーブル", "São/Paulo#1", "a😀b", "%_%", "x{y}:z^"]
    for name in names:
        client.register_snapshot(name, "s3://b/x", "csv", {"n": "int"})
    for name in names:
        assert client.search(name, namespace=place.namespace).items[0].name == name


def test_what_producers_tell_is_found(client: DatlakeClient, place: Place) -> None:
    """Labels, other names, descriptions, schemas without a version and the ids that schedulers give."""
    suffix = place.namespace[-6:].replace("-", "x")
    store = f"s3://bucket-{suffix}"
    facet = {"_producer": PRODUCER, "_schemaURL": PRODUCER}
    event = {
        "eventType": "START",
        "eventTime": AT,
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "job": {"namespace": place.namespace, "name": "load"},
        "run": {
            "runId": f"manual__{suffix}",
            "facets": {"tags": {**facet, "tags": [{"key": "cost-centre", "value": f"z{suffix}"}]}},
        },
        "inputs": [
            {
                "namespace": store,
                "name": "landing",
                "facets": {
                    "schema": {**facet, "fields": [{"name": "passport_number", "type": "string"}]},
                    "documentation": {**facet, "description": "where ferries report"},
                    "symlinks": {
                        **facet,
                        "identifiers": [{"namespace": place.namespace, "name": "ships", "type": "TABLE"}],
                    },
                    "tags": {**facet, "tags": [{"key": "pii", "value": "yes", "field": "passport_number"}]},
                },
            }
        ],
    }
    client.record_lineage(event)
    run_id = client.get_run(f"manual__{suffix}").run_id

    landing = SearchHit(kind="table", namespace=store, name="landing", description="where ferries report")
    assert client.search("landing", namespace=store).items == [landing]
    assert client.search("ferries report", namespace=store).items == [landing]
    assert client.search("ships", namespace=place.namespace).items == [landing]
    assert client.search("passport", kind="column", namespace=store).items == [
        SearchHit(kind="column", namespace=store, name="landing", field="passport_number")
    ]
    assert client.search("pii", namespace=store).items == [
        SearchHit(kind="tag", namespace=store, name="landing", field="passport_number", tag="pii", description="yes")
    ]
    assert client.search(f"z{suffix}", kind="tag").items == [
        SearchHit(
            kind="tag",
            namespace=place.namespace,
            name="load",
            run_id=run_id,
            tag="cost-centre",
            description=f"z{suffix}",
        )
    ]
    assert client.search(f"manual__{suffix}").items == [
        SearchHit(kind="run", namespace=place.namespace, name="load", run_id=run_id, description=f"manual__{suffix}")
    ]


def test_a_table_that_is_found_by_two_names_is_listed_once(lake: Lake) -> None:
    """Also where each is on a page of its own."""
    lake.dispatch(UpdateTable(table_name="orders", location="s3://b/orders_of_all_years"))
    lake.dispatch(UpdateTable(table_name="orders", location="s3://b/orders_of_this_year"))
    lake.dispatch(UpdateTable(table_name="customers", location="s3://b/orders_by_whom"))
    for q in ("orders", "orders_", "b"):
        pages = lake.dispatch(Search(q=q, limit=1, kind="table"))
        names = [hit.name for hit in pages.items]
        while pages.next_cursor is not None:
            pages = lake.dispatch(Search(q=q, limit=1, kind="table", cursor=pages.next_cursor))
            names += [hit.name for hit in pages.items]
        assert sorted(names) == ["customers", "orders"]
    assert found(lake, "orders_of_all") == []


def test_a_description_that_is_changed_is_found_as_it_is_now(lake: Lake) -> None:
    """What nobody says any more must not lead there."""
    lake.dispatch(UpdateTable(table_name="orders", description="ledger of receipts"))
    assert found(lake, "sold shop") == []
    assert found(lake, "receipts") == [("table", "orders")]
    lake.dispatch(UpdateTable(table_name="orders", description=None))
    assert found(lake, "receipts") == []


def test_a_cursor_of_another_list_is_refused(lake: Lake) -> None:
    """With the reason, and what to do."""
    with pytest.raises(InvalidRequest, match="leave it out"):
        lake.dispatch(Search(q="sales", cursor="00"))


OLD = """
PRAGMA user_version = 4;
INSERT INTO jobs (job_id, namespace, name, created_at, description) VALUES (1, 'default', 'old_job', 0, 'night shift');
INSERT INTO tables (table_id, namespace, name, created_at, latest_id, snapshot_count)
VALUES (1, 'default', 'old_table', 0, 's', 1), (2, '', 'a run with too many pairs', 0, NULL, 0);
INSERT INTO snapshots (snapshot_id, table_id, version, uri, format, schema, fields, created_at, accepted_at, metadata,
                       column_lineage, fingerprint)
VALUES ('s', 1, 1, 's3://b/t', 'csv', 'null', '[{"name": "old_column", "type": "int"}]', 5, 5, '{}', 'null', '');
"""


def test_a_lake_that_was_there_before_is_found_as_well(tmp_path: Path) -> None:
    """What an older Datlake recorded needs no second telling."""
    connection = apsw.Connection(str(tmp_path / "lake.db"))
    for number, script in migrations():
        if number < 5:
            connection.execute(script).fetchall()
    connection.execute(OLD).fetchall()
    connection.close()
    lake = Lake.open(str(tmp_path))
    assert found(lake, "old") == [("column", "old_table.old_column"), ("job", "old_job"), ("table", "old_table")]
    assert found(lake, "night") == [("job", "old_job")]
    assert found(lake, "run with") == []
    lake.close()
