"""Any name is written and read back by every call that takes one, and touches nothing outside the lake."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, DatlakeError, InvalidRequest, JobContext
from datlake_sdk.wire.ids import new_id

HOSTILE = [
    "a/b",
    "a%2Fb",
    "a%252Fb",
    "..",
    ".",
    "../x",
    "../../../../tmp/x",
    "/etc/passwd",
    "/",
    "//",
    "a//b",
    "a/../b",
    "-",
    " ",
    " a ",
    "é {} #?",
    "é" * 256,
    "x" * 256,
    "\U0001d518" * 256,
    "a?b=c&d",
    "a#b",
    "a+b",
    "a;b",
    "a:b@c",
    "%",
    "%00",
    "%zz",
    "latest",
    "snapshots",
    "runs",
    "register-snapshot",
    "complete",
    "null",
    "0",
    "CON",
    "a\\b",
    "~",
    "$HOME",
    "'; DROP TABLE runs; --",
    '"',
    "*",
    "_%",
    "\u202eabc",
    "\u2028",
    "e\u0301",
    "\ufeff",
    "\U0010ffff",
    "<script>alert(1)</script>",
    "{run_id}",
    "datlake://x/y",
]


def tree(folder: Path) -> set[str]:
    return {str(Path(where, name)) for where, folders, files in os.walk(folder) for name in (*folders, *files)}


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[None]:
    """Nothing appears around the lake, nor where names that climb would lead."""
    places = [Path.cwd(), Path("/tmp/x"), Path("/etc/datlake")]  # noqa: S108 -- it must not come into being
    before = [sorted(place.iterdir()) if place.is_dir() else [] for place in places]
    own = tree(tmp_path)
    yield
    assert [sorted(place.iterdir()) if place.is_dir() else [] for place in places] == before
    ours = (str(tmp_path / "lake"), str(tmp_path / "outbox"))
    outside = {path for path in tree(tmp_path) - own if not path.startswith(ours)}
    assert outside <= {str(tmp_path / "given"), str(tmp_path / "got")}


@pytest.mark.parametrize("name", HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
@pytest.mark.usefixtures("surroundings")
def test_a_name_is_found_again_by_every_call_that_takes_one(client: DatlakeClient, tmp_path: Path, name: str) -> None:
    """A table, a job, a namespace, a bucket and an object, all called alike."""
    scope = f"{client.settings.namespace}{name}"[-256:]
    with JobContext(client, name, namespace=scope, ship_logs=True, artifact_bucket=name) as job:
        snapshot = job.register_snapshot(name, "s3://b/1", "csv", expected_version=0)
        assert job.get_table_latest_uri(name) == "s3://b/1"
        job.add_input(name)
        job.attach_json(name, {"name": name})
        job.log_event("told", {"name": name})
    assert job.warnings == []

    run = client.get_run(job.run_id, job_name=name, namespace=scope)
    assert (run.state, run.job_name, run.namespace) == ("completed", name, scope)
    assert run == client.get_run(job.run_id, namespace=scope)
    assert [run.run_id for run in client.list_runs(name, namespace=scope)] == [job.run_id]
    assert client.get_job(name, namespace=scope).job_name == name
    assert [found.job_name for found in client.list_jobs(limit=1, namespace=scope)] == [name]
    assert client.update_job(name, {"owner": name}, namespace=scope).owner == name
    assert client.describe_run(name, job.run_id, metadata={name: name}, namespace=scope).metadata[name] == name
    assert (
        client.add_outputs(name, job.run_id, [name] if "://" not in name else [], namespace=scope).run_id == job.run_id
    )
    assert client.complete_run(name, job.run_id, ended_at=run.ended_at, namespace=scope).state == "completed"
    assert [event.data for event in client.events(job.run_id, namespace=scope)] == [{"name": name}]

    table = client.get_table(name, namespace=scope)
    assert (table.table_name, table.namespace) == (name, scope)
    assert [found.table_name for found in client.list_tables(limit=1, namespace=scope)] == [name]
    assert client.update_table(name, {"description": name}, namespace=scope).description == name
    assert client.latest_snapshot(name, namespace=scope).snapshot_id == snapshot["snapshot_id"]
    assert client.get_table_snapshot(name, 1, namespace=scope).table_name == name
    assert client.get_table_snapshot(name, snapshot["snapshot_id"], namespace=scope).table_name == name
    assert [item.version for item in client.list_snapshots(name, limit=1, namespace=scope)] == [1]
    assert name in {node.name for node in client.lineage(name, namespace=scope).nodes}
    assert name in {node.name for node in client.lineage(name, kind="job", namespace=scope).nodes}
    assert scope in {found.namespace for found in client.list_namespaces(limit=1000)}

    kinds = {artifact.type: artifact for artifact in run.artifacts}
    assert b"".join(client.read_object(kinds["json"].uri, namespace=scope))
    assert b"".join(client.read_object(kinds["log"].uri, namespace=scope))
    (tmp_path / "given").write_text(name)
    if not name.strip("/"):
        with pytest.raises(InvalidRequest):
            client.upload_object(name, name, tmp_path / "given", namespace=scope)
        return
    uri = client.upload_object(name, name, tmp_path / "given", namespace=scope)
    client.download_object(uri, tmp_path / "got", namespace=scope)
    assert (tmp_path / "got").read_text() == name
    assert name in [found.object for found in client.list_objects(name, prefix=name, limit=1, namespace=scope)]


BAD = ["", "a\x00b", "a\nb", "a\n", "\x7f", "\x85", "x" * 2049, "\ud800"]


@pytest.mark.parametrize("name", BAD, ids=[str(number) for number in range(len(BAD))])
@pytest.mark.usefixtures("surroundings")
def test_what_cannot_be_a_name_is_refused_by_every_call_that_takes_one(
    client: DatlakeClient, tmp_path: Path, name: str
) -> None:
    """The same class from an embedded lake as from a server, so that code moves from one to the other."""
    (tmp_path / "given").write_text("x")
    run_id = new_id()
    calls: list[Callable[[], object]] = [
        lambda: client.start_run(name),
        lambda: client.complete_run(name, run_id),
        lambda: client.describe_run(name, run_id),
        lambda: client.add_inputs(name, run_id, []),
        lambda: client.add_inputs("j", run_id, [name]),
        lambda: client.register_snapshot(name, "s3://b/x", "csv"),
        lambda: client.register_snapshot("t", name if len(name) < 2000 else name * 9, "csv"),
        lambda: client.register_snapshot("t", "s3://b/x", name),
        lambda: client.log_event(name),
        lambda: client.get_job(name),
        lambda: client.get_run(name),
        lambda: client.get_run(run_id, job_name=name),
        lambda: client.list_runs(name),
        lambda: client.get_table(name),
        lambda: client.latest_snapshot(name),
        lambda: client.get_table_snapshot(name, 1),
        lambda: client.get_table_snapshot("t", name),
        lambda: client.list_snapshots(name),
        lambda: client.get_snapshot(name),
        lambda: client.lineage(name),
        lambda: client.update_table(name, {}),
        lambda: client.update_job(name, {}),
        lambda: client.events(name),
        lambda: client.diff_runs(name, run_id),
        lambda: client.list_objects(name),
        lambda: client.upload_object(name, "o", tmp_path / "given"),
        lambda: client.upload_object("b", name * 5, tmp_path / "given"),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(DatlakeError) as caught:
            call()
        assert isinstance(caught.value, InvalidRequest), (number, caught.value)
    if name:
        with pytest.raises(InvalidRequest):
            client.list_jobs(namespace=name)
    assert not client.list_jobs().items
    assert not client.list_tables().items


def test_bounds_are_the_same_everywhere(client: DatlakeClient) -> None:
    """Numbers, times and ids that are out of bounds are the caller's mistake."""
    calls: list[Callable[[], object]] = [
        lambda: client.list_jobs(limit=0),
        lambda: client.list_jobs(limit=1001),
        lambda: client.list_jobs(cursor="x" * 5000),
        lambda: client.start_run("j", run_id="7"),
        lambda: client.start_run("j", run_id="a\r\nX-Evil: 1"),
        lambda: client.start_run("j", started_at="yesterday"),
        lambda: client.start_run("j", started_at="2024-01-01T00:00:00"),
        lambda: client.start_run("j", heartbeat_interval_s=-1),
        lambda: client.register_snapshot("t", "s3://b/x", "csv", row_count=-1),
        lambda: client.register_snapshot("t", "s3://b/x", "csv", row_count=2**63),
        lambda: client.register_snapshot("t", "s3://b/x", "csv", expected_version=-1),
        lambda: client.register_snapshot("t", "s3://b/x", "csv", snapshot_id="x\ny"),
        lambda: client.log_event("e", event_id="\u0663"),
        lambda: client.list_runs(state="done"),  # type: ignore[arg-type]
        lambda: client.lineage("t", direction="sideways"),  # type: ignore[arg-type]
        lambda: client.lineage("t", version=0),
        lambda: client.get_config(request_id="a\r\nX-Evil: 1"),
        lambda: client.get_config(request_id="x" * 129),
        lambda: client.get_config(request_id="é"),
        lambda: client.get_config(api_key="a\nb"),
        lambda: client.get_config(api_key="é"),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(DatlakeError) as caught:
            call()
        assert isinstance(caught.value, InvalidRequest), (number, caught.value)
    assert not client.list_jobs().items


@pytest.mark.parametrize("depth", [60, 300, 5000])
def test_metadata_that_is_too_deep_or_odd_never_stops_a_job(client: DatlakeClient, depth: int) -> None:
    """It is somebody's dictionary; the job has work to do."""
    deep: dict[str, object] = {}
    inner = deep
    for _ in range(depth):
        inner["x"] = inner = {}
    with JobContext(client, "j", {"deep": deep, "é\x00": float("inf"), "big": 2**70}) as job:
        job.register_snapshot("t", "s3://b/x", "csv", {"a": "int"}, metadata={"deep": deep})
    run = client.get_run(job.run_id)
    assert (run.state, job.warnings) == ("completed", [])
    assert "deep" in run.metadata
