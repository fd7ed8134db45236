"""What a tired person gets wrong inside a job is told, and the job goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, JobContext, NotFound

SLIPS: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("log_event", ("rows", 5)),
    ("log_event", ("rows", [1, 2])),
    ("log_event", (None, None)),
    ("log_metrics", (3,)),
    ("progress", ("half",)),
    ("add_input", (None,)),
    ("add_output", (42,)),
    ("attach", (None,)),
    ("attach_log", (None,)),
    ("attach_json", (None, object())),
    ("attach_html", ("page", 5)),
    ("attach_figure", ("figure", 5)),
)


@pytest.mark.parametrize(("method", "arguments"), SLIPS, ids=[f"{n}-{slip[0]}" for n, slip in enumerate(SLIPS)])
def test_what_is_told_of_a_run_never_raises(client: DatlakeClient, method: str, arguments: tuple[object, ...]) -> None:
    """A job of four hours must not die of `log_event("rows", 5)`."""
    with JobContext(client, "careless") as job:
        getattr(job, method)(*arguments)
    assert client.get_run(job.run_id).state == "completed"


def test_data_that_is_no_mapping_is_kept_as_a_value(client: DatlakeClient) -> None:
    with JobContext(client, "careless") as job:
        job.log_event("rows", 5)  # type: ignore[arg-type]  # what people do
    assert [event.data for event in client.events(job.run_id)] == [{"value": 5}]


def test_a_path_object_is_a_uri(client: DatlakeClient, tmp_path: Path) -> None:
    with JobContext(client, "paths") as job:
        made = job.register_snapshot("table", tmp_path / "a b.csv", "csv")
    assert made["uri"] == (tmp_path / "a b.csv").as_uri()
    assert client.register_snapshot("table", tmp_path / "c.csv", "csv").uri == (tmp_path / "c.csv").as_uri()


def test_a_moment_before_the_first_snapshot_says_when_that_was(client: DatlakeClient) -> None:
    first = client.register_snapshot("young", "s3://b/young", "csv")
    with pytest.raises(NotFound, match="its first is of " + first.created_at.isoformat()[:16]):
        client.latest_snapshot("young", as_of="2001-01-01T00:00:00Z")


def test_the_commit_is_that_of_the_program_wherever_it_is_started(tmp_path: Path) -> None:
    """Cron starts jobs in the home folder, which is no repository."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "job.py").write_text(
        "from datlake_sdk import JobContext\nwith JobContext('cron'): pass\n", encoding="utf-8"
    )
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "m"],
    ):
        subprocess.run(["git", *command], cwd=code, check=True)
    subprocess.run([sys.executable, str(code / "job.py")], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=code, check=True, capture_output=True, text=True).stdout
    [run] = DatlakeClient().list_runs("cron")
    assert (run.environment["git_commit"], run.environment["git_dirty"]) == (head.strip(), False)
