"""dbt, by `dbt-ol`: a project of seeds, staging views and marts tells a served lake what it did."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engines import kept
from tests.engines.engine import Engine, Lake, Steps, served, steps

PROJECT = Path(__file__).parent / "dbt_shop"
JOBS = "shop_dbt"
WHOLE = "dbt-run-shop"
DISTRIBUTIONS = ("dbt-core", "dbt-duckdb", "duckdb", "openlineage-dbt", "openlineage-python")


class Mode(NamedTuple):
    """When dbt-ol tells, by which option, and how it then names the jobs of models."""

    title: str
    options: list[str]
    prefix: str


MODES = [
    Mode("told at the end", [], "shop.main.shop."),
    Mode("told while it runs", ["--consume-structured-logs"], "model.shop."),
]


class Shop(NamedTuple):
    """The lake after dbt has run there: seeds, all models twice, their tests, and a model that cannot work."""

    lake: Lake
    mode: Mode
    tables: str
    emitted: int

    def job(self, model: str) -> str:
        """The job of a model."""
        return self.mode.prefix + model

    def table(self, model: str) -> str:
        """The table of a model."""
        return f"shop.main.{model}"


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: mode.title)
def shop(request: pytest.FixtureRequest, dbt: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One lake for each way of telling; all that is printed of it is what the lake says."""
    mode: Mode = request.param
    folder = tmp_path_factory.mktemp("dbt") / "shop"
    shutil.copytree(PROJECT, folder)
    with served(tmp_path_factory.mktemp("lake")) as lake:
        told = _everything(dbt, mode, lake.url, folder)
        emitted = sum(int(count) for count in re.findall(r"Emitted (\d+) OpenLineage events", told))
        yield Shop(lake, mode, f"duckdb://{folder / 'shop.duckdb'}", emitted)
        did = "`dbt-ol seed`, `run` twice, `test`, and `run` of a model that fails."
        kept.keep(f"dbt, {mode.title}", did, lake.counts(), dbt.versions(*DISTRIBUTIONS))


def _everything(dbt: Engine, mode: Mode, url: str, folder: Path) -> str:
    env = {
        "OPENLINEAGE_URL": url,
        "OPENLINEAGE_NAMESPACE": JOBS,
        "SHOP_FILE": str(folder / "shop.duckdb"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "0",
    }
    told = [dbt.run("dbt-ol", what, *mode.options, cwd=folder, env=env) for what in ("seed", "run", "run", "test")]
    broken = ["run", "--select", "broken_sales", "--vars", "{with_broken: true}"]
    return "".join([*told, dbt.run("dbt-ol", *broken, *mode.options, cwd=folder, env=env, status=1)])


def test_every_event_that_dbt_sent_is_kept(shop: Shop) -> None:
    """What dbt-ol sends it counts; an event that the lake refused or lost would be missing here."""
    assert shop.emitted > 0
    assert shop.lake.counts()["events"] == shop.emitted


def test_each_model_has_a_completed_run_for_each_time_dbt_ran(shop: Shop) -> None:
    """A model is a job, and dbt ran all of them twice."""
    states = shop.lake.states(JOBS)
    for model in ("stg_customers", "stg_orders", "customer_orders", "daily_sales"):
        assert states[shop.job(model)] == ["completed", "completed"], model


def test_the_runs_of_models_are_children_of_the_run_of_dbt(shop: Shop) -> None:
    """Who looks at a model's run finds the command it was part of; seed, run, run and test went well, then one not."""
    wholes = {run.run_id: run.state for run in shop.lake.runs(JOBS, WHOLE)}
    assert list(wholes.values()) == ["completed"] * 4 + ["failed"]
    parents = [run.parent_run_id for run in shop.lake.runs(JOBS, shop.job("customer_orders"))]
    assert parents == list(wholes)[1:3]


def test_lineage_leads_from_the_mart_to_the_seeds(shop: Shop) -> None:
    """Seed → staging → mart, as the project says it; a second run adds nothing."""
    graph = shop.lake.client.lineage(
        shop.table("customer_orders"), namespace=shop.tables, direction="upstream", depth=8
    )
    found = steps(graph, "shop.main.")
    seeds = {("seed.shop.raw_orders", "raw_orders"), ("seed.shop.raw_customers", "raw_customers")}
    assert found - seeds == _project(shop.job("").removeprefix("shop.main."))


def _project(job: str) -> Steps:
    fed = {"stg_customers": ["raw_customers"], "stg_orders": ["raw_orders"]}
    fed["customer_orders"] = ["stg_customers", "stg_orders"]
    reads = {(source, f"{job}{model}") for model, sources in fed.items() for source in sources}
    return reads | {(f"{job}{model}", model) for model in fed}


def test_tables_have_the_columns_and_words_that_dbt_told(shop: Shop) -> None:
    """A column is told without its type, unless dbt has asked the database; that is a schema all the same."""
    table = shop.lake.client.get_table(shop.table("stg_orders"), namespace=shop.tables)
    assert table.description == "Orders, one row each, in whole currency." or table.facets["documentation"]
    assert table.latest is not None
    assert [field.name for field in table.latest.fields] == ["order_id", "customer_id"]


def test_a_column_leads_to_the_seeds_column(shop: Shop) -> None:
    """What a customer spent is made of the cents of raw orders, as dbt-ol reads in the SQL."""
    if shop.mode.options:
        pytest.skip("dbt-ol tells no column lineage while it runs")
    spent = shop.lake.client.lineage(
        shop.table("customer_orders"),
        field="spent",
        level="column",
        namespace=shop.tables,
        direction="upstream",
        depth=8,
    )
    assert steps(spent, "shop.main.") == {
        ("raw_orders.cents", "stg_orders.amount"),
        ("stg_orders.amount", "customer_orders.spent"),
    }


def test_what_dbts_tests_found_stands_at_the_table(shop: Shop) -> None:
    """The outcome of tests belongs to what was tested, and to the run that did it."""
    states = {job: found for job, found in shop.lake.states(JOBS).items() if ".test" in job or job.startswith("test.")}
    tests = {job: found for job, found in states.items() if ".sql." not in job}
    assert tests
    assert {state for found in tests.values() for state in found} == {"completed"}
    table = shop.lake.client.get_table(shop.table("customer_orders"), namespace=shop.tables)
    assert "unique" in str(table.facets["dataQualityAssertions"])


def test_a_model_that_fails_is_a_failed_run_with_its_message(shop: Shop) -> None:
    """The message is the database's own; dbt-ol tells it only while it runs, at the end it tells none."""
    (run,) = shop.lake.runs(JOBS, shop.job("broken_sales"))
    assert run.state == "failed"
    if shop.mode.options:
        assert run.error is not None
        assert "Could not convert string 'Ada' to INT32" in run.error.message
