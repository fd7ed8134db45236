"""`datlake import` and `export openlineage`: events into a lake from any file, and out of it for another."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

from datlake_sdk.client import DatlakeClient
from tests.cli.told_events import pipeline, told, written
from tests.cli.typed import COMMAND, Datlake
from tests.places import Place


def test_events_of_files_become_runs_and_tables(datlake: Datlake, client: DatlakeClient, tmp_path: Path) -> None:
    """Years of events lie in files; a lake begins with them, not with tomorrow's."""
    events = pipeline(datlake.place.namespace)
    done = datlake("import", "openlineage", written(tmp_path / "1", events[:3]), written(tmp_path / "2", events[3:]))
    assert (done.code, done.out, done.err) == (0, "6 events taken from 2 files.\n", "")
    assert {run.job_name: run.state for run in client.list_runs()} == {
        "load": "completed",
        "clean": "completed",
        "report": "failed",
    }
    again = datlake("import", "openlineage", str(tmp_path / "1"), str(tmp_path / "2"), "--json")
    assert again.json == {"received": 6, "successful": 6, "failed": 0, "failures": []}
    assert len(client.list_runs().items) == 3


def test_what_is_refused_is_told_by_its_place_and_the_rest_is_taken(datlake: Datlake, tmp_path: Path) -> None:
    """One bad event among a million is found, and mended, by its line."""
    good = pipeline(datlake.place.namespace)
    nameless = {**good[0], "job": {"namespace": "n"}}
    file = Path(written(tmp_path / "events", [good[0], nameless, good[1]]))
    file.write_text(file.read_text() + '{"cut": ')
    done = datlake("import", "openlineage", str(file))
    assert (done.code, done.out) == (1, "2 events taken from 1 file, 2 refused.\n")
    lines = sorted(done.err.splitlines())
    assert [line.split(": ")[1:3] for line in lines] == [[str(file), "line 2"], [str(file), "line 4"]]
    assert "`$.job" in lines[0]
    assert "this is no JSON" in lines[1]
    failures = datlake("import", "openlineage", str(file), "--json").json["failures"]
    assert isinstance(failures, list)
    assert [each["where"] for each in failures] == ["line 4", "line 2"]


def test_strict_refuses_what_the_specification_does_not_allow(datlake: Datlake, tmp_path: Path) -> None:
    """Whoever writes a producer wants to hear of every fault; whoever collects wants the data."""
    loose = {
        key: value for key, value in told(datlake.place.namespace, "load", "START", 0).items() if key != "producer"
    }
    file = written(tmp_path / "events", [loose])
    strict = datlake("import", "openlineage", "--strict", file)
    assert strict.code == 1
    assert "producer" in strict.err
    assert datlake("import", "openlineage", file).code == 0


def test_events_come_through_a_pipe_gzipped_or_not(embedded: Datlake) -> None:
    """`zcat *.gz | datlake import openlineage -` is how people move archives."""
    data = json.dumps(pipeline("default")).encode()
    for sent in (data, gzip.compress(data)):
        done = subprocess.run(
            [*COMMAND, "import", "openlineage", "-"],
            input=sent,
            env=embedded.environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"6 events taken from 1 file.\n", b"")


def test_a_file_that_is_not_there_is_told_before_any_is_taken(embedded: Datlake, tmp_path: Path) -> None:
    """Of twenty files the last one mistyped must not leave nineteen taken and a question."""
    done = embedded("import", "openlineage", written(tmp_path / "1", pipeline("default")), str(tmp_path / "2"))
    assert (done.code, done.out) == (1, "")
    assert done.err == f"datlake: No such file or directory: {tmp_path / '2'}\n"
    assert not embedded.place.home.exists()


def test_an_import_that_breaks_off_says_how_to_go_on(embedded: Datlake, tmp_path: Path) -> None:
    """It is typed again; nothing has to be sorted out before."""
    file = written(tmp_path / "1", pipeline("default"))
    done = embedded("import", "openlineage", file, "--url", "http://127.0.0.1:9")
    assert done.code == 4
    assert len(done.err.splitlines()) == 1


def test_what_one_lake_exports_another_takes_and_is_the_same(embedded: Datlake, tmp_path: Path) -> None:
    """A way out is what makes a way in safe to take."""
    assert embedded("import", "openlineage", written(tmp_path / "in", pipeline("default"))).code == 0
    out = tmp_path / "out.ndjson"
    done = embedded("export", "openlineage", "-o", str(out))
    assert done.code == 0
    assert done.out.startswith("6 events in ")
    other = Datlake(Place(str(tmp_path / "other"), tmp_path / "other", "default"), tmp_path)
    assert other("import", "openlineage", str(out)).out == "6 events taken from 1 file.\n"
    assert other("export", "openlineage").out == out.read_text()
    lineage = [each("lineage", "clean").out for each in (embedded, other)]
    assert lineage[0] == lineage[1]
    assert "job clean" in lineage[0]


def test_one_run_and_all_runs_since_a_time_can_be_exported(embedded: Datlake, tmp_path: Path) -> None:
    """A ticket wants the events of one run; a nightly copy those since yesterday."""
    assert embedded("import", "openlineage", written(tmp_path / "in", pipeline("default"))).code == 0
    run_id = str(pipeline("default")[2]["run"]["runId"])  # type: ignore[index]  # an event that is a dict throughout
    one = [json.loads(line) for line in embedded("export", "openlineage", "--run", run_id[:13]).out.splitlines()]
    assert [event["eventType"] for event in one] == ["START", "COMPLETE"]
    assert {event["run"]["runId"] for event in one} == {run_id}
    assert embedded("export", "openlineage", "--since", "2027-01-01").out == ""
    assert embedded("export", "openlineage", "--since", "2027-01-01", "--run", run_id).code == 2


def test_a_file_is_there_whole_or_not_at_all(embedded: Datlake, tmp_path: Path) -> None:
    """What a nightly copy left is trusted by whoever finds it."""
    assert embedded("import", "openlineage", written(tmp_path / "in", pipeline("default"))).code == 0
    folder = tmp_path / "out"
    folder.mkdir()
    packed = folder / "events.json.gz"
    packed.write_bytes(b"the one before")
    assert embedded("export", "openlineage", "-o", str(packed), "--run", "nope").code == 3
    assert packed.read_bytes() == b"the one before"
    assert embedded("export", "openlineage", "-o", str(packed)).code == 0
    assert len(gzip.decompress(packed.read_bytes()).splitlines()) == 6
    assert list(folder.iterdir()) == [packed]
    assert embedded("export", "openlineage", "-o", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()
