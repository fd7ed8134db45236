"""`datlake run -- PROGRAM`: the program does what it would have done alone, and the lake knows of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datlake_sdk.client import DatlakeClient
from datlake_sdk.wire.models import Run
from tests.cli.typed import COMMAND, Datlake

MIB = 1024 * 1024
# Its largest resident size, whatever it has read and written by then. Not ru_maxrss: that begins with the size of the
# process it was forked from, the test runner's.
PEAK = (
    "import sys; status = open('/proc/self/status').read(); "
    "print(int(status.partition('VmHWM:')[2].split()[0]) // 1024, file=sys.stderr)"
)


def only_run(client: DatlakeClient, job_name: str | None = None) -> Run:
    """The one run there is, whole."""
    (run,) = client.list_runs(job_name).items
    return client.get_run(run.run_id)


def test_a_failing_program_is_a_failed_run_with_its_log_and_its_exit_code(
    datlake: Datlake, client: DatlakeClient
) -> None:
    """The promise in one line: `datlake run --job nightly -i weather_daily -- sh -c 'echo hi; exit 3'`."""
    told = datlake("run", "--job", "nightly", "-i", "weather_daily", "--", "sh", "-c", "echo hi; exit 3")
    assert (told.code, told.out, told.err) == (3, "hi\n", "")
    run = only_run(client, "nightly")
    assert run.state == "failed"
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("ExitCode", "exit code 3")
    assert [read.table_name for read in run.inputs] == ["weather_daily"]
    assert datlake("log", run.run_id).out == "hi\n"


def test_a_program_that_succeeds_registers_what_it_wrote(datlake: Datlake, client: DatlakeClient) -> None:
    """Outputs are snapshots: a path becomes a URI that means the same everywhere on the machine, with its size."""
    told = datlake(
        *("run", "-i", "raw", "-o", "daily=out.csv.gz", "-o", "lake=s3://lake/x.parquet", "--metadata", "ticket=D-12"),
        *("--", "sh", "-c", "echo day > out.csv.gz"),
    )
    assert (told.code, told.err) == (0, "")
    run = only_run(client)
    assert (run.job_name, run.state, run.metadata["ticket"]) == ("sh", "completed", "D-12")
    written = {data.table_name: (data.version, data.uri, data.format, data.size_bytes) for data in run.outputs}
    assert written == {
        "daily": (1, (datlake.folder / "out.csv.gz").as_uri(), "csv", 4),
        "lake": (1, "s3://lake/x.parquet", "parquet", None),
    }
    assert "raw" in datlake("lineage", "daily").out


def test_a_program_that_fails_registers_nothing(embedded: Datlake) -> None:
    """Half a file is no version of a table."""
    assert embedded("run", "-o", "daily=out.csv", "--", "sh", "-c", "echo half > out.csv; exit 1").code == 1
    assert embedded("tables", "--json").items == []


def test_an_output_that_is_not_there_is_told_and_not_registered(embedded: Datlake) -> None:
    """A snapshot of nothing would be a guess; the exit code stays the program's."""
    told = embedded("run", "-o", "daily=nothing.csv", "--", "true")
    assert told.code == 0
    assert "'daily' was not registered" in told.err
    assert embedded("tables", "--json").items == []


def test_bytes_pass_through_unchanged_on_both_streams(embedded: Datlake) -> None:
    """A job may write a picture to stdout; the log holds what came, in the order it came."""
    noise = bytes(range(256)) * 16
    program = "import os; n = bytes(range(256)) * 16; os.write(1, n); os.write(2, n[::-1]); os.write(1, b'end')"
    done = embedded.raw("run", "--job", "noise", "--", sys.executable, "-c", program)
    assert (done.stdout, done.stderr) == (noise + b"end", noise[::-1])
    run_id = str(embedded("runs", "--json").items[0]["run_id"])
    log = embedded.raw("log", run_id).stdout
    assert sorted(log) == sorted(noise + b"end" + noise[::-1])


def test_output_appears_while_the_program_runs(embedded: Datlake) -> None:
    """Somebody watches: a line must not wait for the end."""
    process = embedded.begin("run", "--", "sh", "-c", "echo begun; read line < wait; echo $line")
    os.mkfifo(embedded.folder / "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    (embedded.folder / "wait").write_text("go on\n")
    out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == (b"go on\n", b"", 0)


def test_closed_streams_are_no_reason_to_fail(embedded: Datlake) -> None:
    """Daemons have none. The next file that is opened must not become our stdout: that might be the lake."""
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND]
    done = subprocess.run([*command, "run", "--", "echo", "hi"], env=embedded.environment(), timeout=30, check=False)
    assert done.returncode == 0
    assert embedded("log", str(embedded("runs", "--json").items[0]["run_id"])).out == "hi\n"
    assert subprocess.run([*command, "runs"], env=embedded.environment(), timeout=30, check=False).returncode == 0


def test_stdin_is_the_programs(embedded: Datlake) -> None:
    """`datlake run` stands in pipelines."""
    done = subprocess.run(
        [*COMMAND, "run", "--", "cat"],
        input=b"one\ntwo\n",
        env=embedded.environment(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"one\ntwo\n")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its largest size")
def test_much_output_takes_no_memory(embedded: Datlake) -> None:
    """A log goes through, it does not pile up."""
    big = f"import os\nfor _ in range(50): os.write(1, b'x' * {MIB})"
    script = (
        "import sys; from datlake_sdk.cli.main import main\n"
        f"code = main(['run', '--job', 'big', '--', sys.executable, '-c', {big!r}])\n{PEAK}; sys.exit(code)"
    )
    with (embedded.folder / "out").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=embedded.environment(),
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (embedded.folder / "out").stat().st_size == 50 * MIB
    assert int(done.stderr.split()[-1]) < 100
    (artifact,) = (
        DatlakeClient(embedded.place.address).get_run(str(embedded("runs", "--json").items[0]["run_id"])).artifacts
    )
    assert artifact.size_bytes == 50 * MIB


def test_a_program_that_cannot_be_started_ends_as_shells_have_it(embedded: Datlake) -> None:
    """127 for one that is not there, 126 for one that cannot be executed; either is a failed run."""
    missing = embedded("run", "--", "no-such-program")
    assert missing.code == 127
    assert missing.err.startswith("datlake: no-such-program: ")
    (embedded.folder / "plain.txt").write_text("no program")
    assert embedded("run", "--", "./plain.txt").code == 126
    assert [run["state"] for run in embedded("runs", "--json").items] == ["failed", "failed"]


def test_a_jobs_run_inside_is_a_child_on_the_same_lake(datlake: Datlake, client: DatlakeClient) -> None:
    """The run and the destination are handed on, also when they were named on the command line alone."""
    program = "from datlake_sdk import JobContext\nwith JobContext('inner'): pass"
    words = ("--url", datlake.place.address, "--namespace", datlake.place.namespace)
    clean = datlake._replace(place=datlake.place._replace(address="http://127.0.0.1:9", namespace="elsewhere"))
    assert clean("run", *words, "--job", "outer", "--", sys.executable, "-c", program).code == 0
    assert only_run(client, "inner").parent_run_id == only_run(client, "outer").run_id


def test_secrets_on_the_command_line_are_not_recorded(embedded: Datlake) -> None:
    """The command is kept with the run, its passwords are not."""
    assert embedded("run", "--", "true", "--password", "hunter2", "--token=xyzzy-9", "plain").code == 0
    run_id = str(embedded("runs", "--json").items[0]["run_id"])
    told = embedded("run", "show", run_id, "--json").out
    assert "hunter2" not in told
    assert "xyzzy-9" not in told
    assert "plain" in told


def test_a_lake_that_is_away_changes_nothing_for_the_program(embedded: Datlake) -> None:
    """The program comes first: its output and its exit code are what they would have been."""
    told = embedded("run", "--", "sh", "-c", "echo hi; exit 7", DATLAKE_API_URL="http://127.0.0.1:9")
    assert (told.code, told.out) == (7, "hi\n")
    assert "cannot be reached" in told.err


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "--"),
        ("run", "true"),
        ("run", "-o", "no-place", "--", "true"),
        ("run", "--metadata", "no-value", "--", "true"),
        ("run", "-i", "", "--", "true"),
    ],
)
def test_a_command_line_that_cannot_be_used_runs_nothing(embedded: Datlake, words: tuple[str, ...]) -> None:
    """A mistake is told before anything has happened."""
    told = embedded(*words)
    assert (told.code, told.out) == (2, "")
    assert len(told.err.splitlines()) == 1
    assert not Path(embedded.place.address).exists()


def test_what_follows_the_dashes_is_the_programs_whatever_it_looks_like(embedded: Datlake) -> None:
    """Its options, its own `--` and a program named `show` included."""
    assert embedded("run", "--", "echo", "--json", "--", "-i", "x").out == "--json -- -i x\n"
    assert embedded("run", "--", "show", "x").code == 127
