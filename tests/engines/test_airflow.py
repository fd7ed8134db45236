"""Airflow, by its OpenLineage provider: a DAG of Bash and Python tells a served lake what it did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.engines import kept
from tests.engines.engine import Engine, Lake, served, steps

DAGS = Path(__file__).parent / "dags"
JOBS = "shop_airflow"
DAG = "shop_sales"
SENT = "sent.jsonl"
TASKS = [f"{DAG}.{task}" for task in ("fetch", "clean", "report")]
DISTRIBUTIONS = ("apache-airflow", "apache-airflow-providers-openlineage", "openlineage-python")


class Nominal(msgspec.Struct):
    """The part of the facet that is looked at."""

    nominalStartTime: str  # noqa: N815 -- OpenLineage's name


class Shop(NamedTuple):
    """The lake after the DAG has run: for two days well, for a third one not; and for the first one again."""

    lake: Lake
    folder: Path

    @property
    def sent(self) -> list[bytes]:
        """What Airflow sent, as it wrote it down itself."""
        return [_canonical(line) for line in (self.folder / SENT).read_bytes().splitlines()]


@pytest.fixture(scope="module")
def shop(airflow: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Tasks run in the process of `airflow dags test`: no scheduler, no other server than ours."""
    folder = tmp_path_factory.mktemp("airflow")
    with served(tmp_path_factory.mktemp("lake")) as lake:
        _run_everything(airflow, folder, _settings(folder, lake.url))
        yield Shop(lake, folder)
        did = "`airflow dags test` of two days, of the first one again, and of one whose last task fails."
        kept.keep("Airflow", did, lake.counts(), airflow.versions(*DISTRIBUTIONS))


def _run_everything(airflow: Engine, folder: Path, env: dict[str, str]) -> None:
    airflow.run("airflow", "db", "migrate", cwd=folder, env=env)
    for day in ("2026-03-01", "2026-03-02", "2026-03-01"):
        airflow.run("airflow", "dags", "test", DAG, day, cwd=folder, env=env)
    broken = ["dags", "test", DAG, "2026-03-03", "--conf", '{"broken": true}']
    airflow.run("airflow", *broken, cwd=folder, env=env, status=1)


def _settings(folder: Path, url: str) -> dict[str, str]:
    to_file = {"type": "file", "log_file_path": str(folder / SENT), "append": True}
    transport = {
        "type": "composite",
        "continue_on_failure": False,
        "transports": [{"type": "http", "url": url}, to_file],
    }
    return {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": JOBS,
        "AIRFLOW__OPENLINEAGE__TRANSPORT": msgspec.json.encode(transport).decode(),
        "SHOP_FOLDER": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _canonical(event: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(event), order="sorted")


def test_every_event_that_airflow_sent_comes_back_as_it_was(shop: Shop) -> None:
    """Airflow writes down what it sends, too: what the lake gives back is that, no event and no facet more or less."""
    given_back = [msgspec.json.encode(event, order="sorted") for event in shop.lake.events()]
    assert shop.sent
    assert sorted(given_back) == sorted(shop.sent)


def test_the_dag_and_its_tasks_are_jobs_with_a_run_for_each_day(shop: Shop) -> None:
    """Airflow makes a run's id of the day: the day that ran twice is one run, which ended when it first did."""
    well, broken = ["completed"] * 3, ["completed", "completed", "failed"]
    assert shop.lake.states(JOBS) == {DAG: broken, TASKS[0]: well, TASKS[1]: well, TASKS[2]: broken}
    assert len(shop.lake.runs(JOBS, DAG)[0].endings) == 2


def test_task_runs_are_children_of_the_dags_run(shop: Shop) -> None:
    """Who looks at a task's run finds the day it was part of."""
    days = [run.run_id for run in shop.lake.runs(JOBS, DAG)]
    for task in TASKS:
        assert [run.parent_run_id for run in shop.lake.runs(JOBS, task)] == days, task


def test_runs_know_the_day_they_are_of(shop: Shop) -> None:
    """When a run took place and which day it is about are two things; Airflow tells both."""
    told = [run.facets["nominalTime"] for run in shop.lake.runs(JOBS, TASKS[0])]
    days = [msgspec.convert(nominal, Nominal).nominalStartTime for nominal in told]
    assert days == [f"2026-03-0{day}T00:00:00+00:00" for day in (1, 2, 3)]


def test_lineage_leads_from_the_report_to_what_was_fetched(shop: Shop) -> None:
    """Inlets and outlets are the graph; so is what a task said while it ran and at no other time."""
    report = str(shop.folder / "sales_report.csv")
    graph = shop.lake.client.lineage(report, namespace="file", direction="upstream", depth=8)
    fetch, clean, reporting = TASKS
    assert steps(graph, f"{shop.folder}/") == {
        (fetch, "orders_raw.csv"),
        ("orders_raw.csv", clean),
        ("shop.public.customers", clean),
        (clean, "orders_clean.csv"),
        ("orders_clean.csv", reporting),
        (reporting, "sales_report.csv"),
    }


def test_a_task_that_fails_is_a_failed_run_with_its_message(shop: Shop) -> None:
    """The exception is the user's own, with its traceback; the DAG's run fails with it."""
    task, day = shop.lake.runs(JOBS, TASKS[2])[-1], shop.lake.runs(JOBS, DAG)[-1]
    assert task.error is not None
    assert task.error.message == "the sales do not add up"
    assert "ValueError" in (task.error.traceback or "")
    assert day.state == "failed"


def test_a_job_has_the_labels_owners_and_words_of_its_dag(shop: Shop) -> None:
    """What people wrote into the DAG for others to find is found."""
    job = shop.lake.client.get_job(DAG, namespace=JOBS)
    assert [tag.key for tag in job.tags] == ["shop"]
    assert "sales-team" in str(job.facets["ownership"])
    assert "What the shop sold." in str(job.facets["documentation"])
