"""Events, attachments and the log: what a job says while it runs can be read back afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest, JobContext, NotFound
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.operations import EventItem
from tests.places import Place

log = logging.getLogger("the.job")


def log_of(client: DatlakeClient, job: JobContext) -> str:
    """The shipped log of a run."""
    [uri] = [artifact.uri for artifact in client.get_run(job.run_id).artifacts if artifact.type == "log"]
    return b"".join(client.read_object(uri)).decode()


def test_events_are_there_when_the_run_has_ended(client: DatlakeClient) -> None:
    with JobContext(client, "j") as job:
        job.log_event("metrics", {"rows": 1})
        job.progress(3, 10, "third")
        job.log_metrics({"loss": 0.5}, step=7)
        job.log_event("plain")
    told = [(event.event_type, event.data) for event in client.events(job.run_id, limit=2)]
    assert told == [
        ("metrics", {"rows": 1}),
        ("progress", {"done": 3, "total": 10, "message": "third"}),
        ("metrics", {"loss": 0.5, "step": 7}),
        ("plain", {}),
    ]
    assert [event.data for event in client.events(job.run_id, event_type="progress")] == [told[1][1]]
    assert job.warnings == []


def test_a_burst_of_events_arrives_whole_and_in_order(client: DatlakeClient) -> None:
    with JobContext(client, "j") as job:
        for number in range(2500):
            job.log_event("tick", {"n": number})
    assert [event.data["n"] for event in client.events(job.run_id, limit=1000)] == list(range(2500))
    assert job.warnings == []


def test_events_that_are_odd_never_raise_and_are_kept_as_text(client: DatlakeClient) -> None:
    loop: list[object] = []
    loop.append(loop)
    with JobContext(client, "j") as job:
        job.log_event(
            "\x00 \n", {"nan": float("nan"), "big": 10**40, "bytes": b"\xff", "path": Path("/x"), "loop": loop}
        )
        job.log_event("x" * 1000, {1: "key", None: "none"})  # type: ignore[dict-item]
    assert len(client.events(job.run_id).items) == 2
    assert client.get_run(job.run_id).state == "completed"


def test_an_event_before_or_after_the_run_is_told_and_not_kept(client: DatlakeClient) -> None:
    job = JobContext(client, "j")
    job.log_event("early")
    with job:
        job.log_event("now")
    job.log_event("late")
    assert [event.event_type for event in client.events(job.run_id)] == ["now"]
    assert len(job.warnings) == 1


def test_the_same_event_again_is_the_same_event(client: DatlakeClient) -> None:
    event_id = new_id()
    first = client.log_event("e", {"a": 1}, event_id=event_id)
    assert client.log_event("e", {"a": 2}, event_id=event_id.upper()) == first


def test_a_heartbeat_is_a_sign_of_life_and_is_not_kept(client: DatlakeClient) -> None:
    run = client.start_run("j")
    client.log_event("heartbeat", run_id=run.run_id)
    after = client.get_run(run.run_id)
    assert after.last_seen_at is not None
    assert run.last_seen_at is not None
    assert after.last_seen_at > run.last_seen_at
    assert not client.events(run.run_id).items


def test_a_batch_says_what_became_of_each_event(client: DatlakeClient) -> None:
    run = client.start_run("j")
    items = [
        EventItem(event_type="good", run_id=run.run_id),
        EventItem(event_type="bad", run_id=run.run_id, job_name="another"),
        EventItem(event_type="good", run_id=run.run_id),
    ]
    results = client.log_events(items)
    assert results.accepted == 2
    assert [result.error is None for result in results.items] == [True, False, True]
    assert [event.event_type for event in client.events(run.run_id)] == ["good", "good"]
    with pytest.raises(InvalidRequest):
        client.log_events([items[0]] * 1001)


def test_attachments_are_uploaded_and_linked_at_the_end(client: DatlakeClient, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    with JobContext(client, "j") as job:
        report.write_text("early")
        job.attach(report)
        job.attach(report, name="named", type="table")
        job.attach_json("numbers", {"a": [1, 2]})
        job.attach_html("page", "<p>é</p>")
        report.write_text("final")
        assert not client.get_run(job.run_id).artifacts
    found = {artifact.name: artifact for artifact in client.get_run(job.run_id).artifacts}
    assert {name: artifact.type for name, artifact in found.items()} == {
        "report.csv": "csv",
        "named": "table",
        "numbers": "json",
        "page": "html",
    }
    assert b"".join(client.read_object(found["report.csv"].uri)) == b"final"
    assert found["report.csv"].sha256 == hashlib.sha256(b"final").hexdigest()
    assert found["report.csv"].size_bytes == 5
    assert json.loads(b"".join(client.read_object(found["numbers"].uri))) == {"a": [1, 2]}
    assert b"".join(client.read_object(found["page"].uri)).decode() == "<p>é</p>"
    assert report.read_text() == "final"


def test_an_attachment_that_cannot_be_uploaded_is_told_and_stops_nothing(client: DatlakeClient, tmp_path: Path) -> None:
    with JobContext(client, "j", ship_logs=True, log_path=tmp_path / "none.log") as job:
        job.attach(tmp_path / "missing")
        job.attach(tmp_path)
        job.attach_figure("figure", object())
        job.attach_json("kept", 1)
    run = client.get_run(job.run_id)
    assert run.state == "completed"
    assert [artifact.name for artifact in run.artifacts] == ["kept"]
    assert len(job.warnings) == 4


@pytest.mark.parametrize("name", ["", "a\nb", "\x00", "x" * 3000, "\U0001d518" * 300, "../x", "\ud800"])
def test_an_artifact_may_be_called_anything(client: DatlakeClient, name: str) -> None:
    """An odd name is mended; it never keeps the run from ending."""
    with JobContext(client, "\U0001d518" * 256) as job:
        job.attach_json(name, {"a": 1})
    run = client.get_run(job.run_id)
    assert (run.state, job.warnings) == ("completed", [])
    assert json.loads(b"".join(client.read_object(run.artifacts[0].uri))) == {"a": 1}


def test_a_run_ends_though_its_last_words_are_too_large(client: DatlakeClient) -> None:
    """A server takes a megabyte; a run that is over must not seem to go on for ever."""
    job = JobContext.start(client, "j", {"large": "x" * 3_000_000})
    job.complete(extra={"large": "x" * 3_000_000})
    assert client.get_run(job.run_id).state == "completed"


def test_no_temporary_file_stays(client: DatlakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spare = tmp_path / "tmp"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    with JobContext(client, "j", ship_logs=True) as job:
        job.attach_json("kept", 1)
        job.attach_html("page", "x")
    assert len(client.get_run(job.run_id).artifacts) == 3
    assert list(spare.iterdir()) == []


def test_the_process_log_is_shipped(client: DatlakeClient) -> None:
    with JobContext(client, "j", ship_logs=True) as job:
        log.warning("inside %d", 1)
        try:
            raise ValueError("why")  # noqa: TRY301 -- it is to be caught here
        except ValueError:
            log.exception("caught")
    log.warning("outside")
    text = log_of(client, job)
    assert "WARNING the.job: inside 1" in text
    assert "ValueError: why" in text
    assert "outside" not in text


def test_the_first_line_says_that_info_is_not_captured(place: Place) -> None:
    """With Python's defaults `info()` reaches nobody; who looks for it is told why."""
    done = place.run(
        "import logging\nfrom datlake_sdk import JobContext\n"
        "with JobContext('j', ship_logs=True): logging.info('quiet'); logging.warning('loud')\n"
        "with JobContext('j', ship_logs=True, log_level='INFO'): logging.info('heard')\n"
        "assert logging.getLogger().level == logging.WARNING\n"
    )
    assert done.returncode == 0, done.stderr
    with place.client() as client:
        texts = []
        for run in client.list_runs("j"):
            [artifact] = run.artifacts
            texts.append(b"".join(client.read_object(artifact.uri)).decode())
    heard, quiet = texts
    assert "log_level" in quiet.splitlines()[0]
    assert "loud" in quiet
    assert "quiet" not in quiet
    assert "heard" in heard
    assert "log_level" not in heard.splitlines()[0]


def test_printed_lines_are_shipped_where_that_is_asked_and_still_printed(client: DatlakeClient) -> None:
    printed = io.StringIO()
    before, sys.stdout = sys.stdout, printed
    try:
        with JobContext(client, "j", ship_logs=True, capture_output=True) as job:
            print("to stdout")
            print("to stderr", file=sys.stderr)
        with JobContext(client, "j", ship_logs=True) as quiet:
            print("not asked")
        assert sys.stdout is printed
    finally:
        sys.stdout = before
    text = log_of(client, job)
    assert "to stdout" in text
    assert "to stderr" in text
    assert "to stdout" in printed.getvalue()
    assert "not asked" not in log_of(client, quiet)


def test_a_named_file_is_the_log(client: DatlakeClient, tmp_path: Path) -> None:
    path = tmp_path / "own.log"
    with JobContext(client, "j", ship_logs=True, log_path=path) as job:
        path.write_text("my own words\n")
        log.warning("not in it")
    assert log_of(client, job) == "my own words\n"
    assert path.exists()


def test_a_log_may_be_attached_without_shipping(client: DatlakeClient, tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_text("engine\n")
    with JobContext(client, "j") as job:
        job.attach_log(path)
    assert log_of(client, job) == "engine\n"


def test_a_failed_job_ships_its_log_with_the_traceback(client: DatlakeClient) -> None:
    with pytest.raises(ZeroDivisionError), JobContext(client, "j", ship_logs=True) as job:  # noqa: PT012 -- the job
        log.warning("before")
        _ = 1 / 0
    text = log_of(client, job)
    assert "before" in text
    assert "ZeroDivisionError" in text
    assert client.get_run(job.run_id).state == "failed"


def test_records_belong_to_the_innermost_run_and_those_around_it(client: DatlakeClient) -> None:
    with JobContext(client, "outer", ship_logs=True) as outer:
        log.warning("one")
        with JobContext(client, "inner", ship_logs=True) as inner:
            log.warning("two")
        log.warning("three")
    assert [word in log_of(client, outer) for word in ("one", "two", "three")] == [True, True, True]
    assert [word in log_of(client, inner) for word in ("one", "two", "three")] == [False, True, False]


def test_runs_side_by_side_keep_their_records_apart(client: DatlakeClient) -> None:
    """Each thread has a run of its own; what a bound helper says belongs to the run it is bound to."""
    ready = threading.Barrier(2)

    def work(name: str) -> JobContext:
        with JobContext(client, name, ship_logs=True) as job:
            ready.wait(10)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(job.bind(lambda: log.warning("helper of %s", name))).result()
            log.warning("self of %s", name)
            ready.wait(10)
        return job

    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(work, ["left", "right"])
    assert [word in log_of(client, left) for word in ("helper of left", "self of left", "right")] == [True, True, False]
    assert "left" not in log_of(client, right).replace("left_", "")


def test_a_log_is_never_held_in_memory(place: Place) -> None:
    """A chatty job of a gigabyte must not grow by one."""
    done = place.run(
        "import logging, resource\nfrom datlake_sdk import JobContext\nlog = logging.getLogger('x')\n"
        "with JobContext('j', ship_logs=True) as job:\n"
        "    log.warning('warm'); first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    for _ in range(600): log.warning('y' * 50_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first)\n"
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 24_000, "kilobytes, for a log of 30 MB"
    with place.client() as client:
        [artifact] = next(iter(client.list_runs("j"))).artifacts
    assert (artifact.size_bytes or 0) > 30_000_000


def test_objects_go_up_and_down_unchanged(client: DatlakeClient, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    uri = client.upload_object("files", "deep/er/name.bin", source)
    assert uri == "datlake://files/deep/er/name.bin"
    target = tmp_path / "target.bin"
    assert client.download_object(uri, target) == str(target)
    assert target.read_bytes() == content
    assert b"".join(client.read_object("s3://files/deep/er/name.bin")) == content
    [stored] = client.list_objects("files", prefix="deep/")
    assert (stored.size_bytes, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    source.write_bytes(b"")
    assert client.put_object("files", "deep/er/name.bin", source).size_bytes == 0
    assert list(client.read_object(uri)) == []


def test_a_download_that_fails_leaves_nothing(client: DatlakeClient, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(NotFound):
        client.download_object("datlake://files/none", target)
    assert list(tmp_path.iterdir()) == [] or not target.exists()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    for bad in ("files/none", "http://x/y", "datlake://files", "datlake:///x", ""):
        with pytest.raises(InvalidRequest):
            client.download_object(bad, target)


def test_a_file_that_cannot_be_read_is_the_callers_mistake(client: DatlakeClient, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InvalidRequest) as caught:
            client.upload_object("files", "x", path)
        assert caught.value.code == "file_unreadable"
    assert not client.list_objects("files").items


def test_two_files_of_one_name_are_two_artifacts(client: DatlakeClient, tmp_path: Path) -> None:
    """`out.csv` of two folders overwrote each other without a word."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "out.csv").write_text(folder, encoding="utf-8")
    with JobContext(client, "j") as job:
        job.attach(tmp_path / "a" / "out.csv")
        job.attach(tmp_path / "b" / "out.csv")
    artifacts = client.get_run(job.run_id).artifacts
    kept = {artifact.name: b"".join(client.read_object(artifact.uri)) for artifact in artifacts}
    assert kept == {"out.csv": b"a", "out-2.csv": b"b"}
