"""A lake outlives the versions of Datlake that write to it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from datlake_sdk import DatlakeClient, JobContext, ServerError


def _age(home: Path, statements: str) -> None:
    connection = apsw.Connection(str(home / "lake.db"))
    connection.execute(statements)
    connection.close()


def test_an_older_version_goes_on_with_a_newer_lake_that_allows_it(tmp_path: Path) -> None:
    """Migrations only add, so that two versions on one host need not be upgraded in the same minute."""
    with DatlakeClient(tmp_path) as client:
        client.start_run("before")
    _age(tmp_path, "PRAGMA user_version = 99; ALTER TABLE jobs ADD COLUMN invented_later TEXT")
    with DatlakeClient(tmp_path) as client:
        assert client.start_run("after").state == "running"
        assert {job.job_name for job in client.list_jobs()} == {"before", "after"}


def test_a_lake_that_has_become_too_new_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with DatlakeClient(tmp_path) as client:
        client.start_run("before")
    _age(tmp_path, "PRAGMA user_version = 99; UPDATE facts SET value = 98 WHERE name = 'min_reader'")
    with DatlakeClient(tmp_path) as client, pytest.raises(ServerError, match="upgrade datlake-sdk") as refused:
        client.list_jobs()
    assert refused.value.code == "lake_too_new"
    with JobContext(DatlakeClient(tmp_path), "job") as job:
        pass  # the job itself goes on
    assert "upgrade datlake-sdk" in job.warnings[0]


def test_a_lake_is_private_to_its_owner(tmp_path: Path) -> None:
    """Logs and metadata may hold what other users of the host must not read."""
    home = tmp_path / "lake"
    with DatlakeClient(home) as client:
        client.start_run("job")
    assert home.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in home.rglob("*") if path.stat().st_mode & 0o077] == []
