"""Engines of others with their own OpenLineage integrations. Only `make test-engines` collects this folder.

It names the folder of the engines' environments in `DATLAKE_ENGINES`; without it there is nothing to run, and nothing
is said: installing Airflow takes minutes that `make test` does not have.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engines import kept
from tests.engines.engine import Engine

ENVIRONMENTS = os.environ.get("DATLAKE_ENGINES")
collect_ignore_glob = [] if ENVIRONMENTS else ["test_*.py"]


@pytest.fixture(scope="module")
def dbt() -> Engine:
    """The dbt of users, with dbt-duckdb and openlineage-dbt."""
    return Engine(Path(ENVIRONMENTS or "", "dbt"))


@pytest.fixture(scope="module")
def airflow() -> Engine:
    """Airflow with its OpenLineage provider."""
    return Engine(Path(ENVIRONMENTS or "", "airflow"))


def pytest_sessionfinish(exitstatus: int) -> None:
    """What was seen is kept where nothing failed."""
    if exitstatus == 0 and kept.SEEN:
        kept.write()
