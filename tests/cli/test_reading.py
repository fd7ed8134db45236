"""Lists, pages, URIs and logs: what people and scripts read from a lake."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from datlake_sdk.client import DatlakeClient
from datlake_sdk.job import JobContext
from tests.cli.typed import COMMAND, Datlake

HOSTILE = ["a/b", "a%2Fb", "..", ".", "é {} #?", "--help", "-x", "run"]


def wrote(client: DatlakeClient, table: str = "sales", job_name: str = "sales_job") -> str:
    """The run that registered a snapshot of the table."""
    with JobContext(client, job_name, {"ticket": "DATA-12"}) as job:
        job.add_input("sales_raw")
        job.register_snapshot(table, f"s3://lake/{job.run_id}", "parquet", {"amount": "int64"}, row_count=1204)
    return job.run_id


def test_an_empty_lake_says_what_to_do_next(datlake: Datlake) -> None:
    """The first thing a newcomer types must not answer with nothing."""
    for command in ("jobs", "runs", "tables"):
        told = datlake(command)
        assert (told.code, told.out) == (0, "")
        assert "datlake demo" in told.err
        assert datlake(command, "--json").items == []


def test_lists_show_what_ran_and_what_was_written(datlake: Datlake, client: DatlakeClient) -> None:
    """Each list is one aligned table with a header that says the time zone."""
    run_id = wrote(client)
    runs = datlake("runs").out.splitlines()
    assert runs[0].split()[:3] == ["RUN", "STATE", "STARTED"]
    assert "(UTC)" in runs[0]
    assert runs[1].split()[:2] == [run_id, "completed"]
    assert datlake("jobs").out.splitlines()[1].split()[:3] == ["sales_job", "1", "completed"]
    assert [line.split()[0] for line in datlake("tables").out.splitlines()[1:]] == ["sales", "sales_raw"]


def test_json_is_what_the_api_answers(datlake: Datlake, client: DatlakeClient) -> None:
    """Scripts that know the API know the command line."""
    run_id = wrote(client)
    assert datlake("runs", "--json").items[0]["run_id"] == run_id
    assert datlake("jobs", "--json").items[0]["job_name"] == "sales_job"
    assert datlake("tables", "--json").items[0]["table_name"] == "sales"
    assert datlake("run", "show", run_id, "--json").json["metadata"] == {"ticket": "DATA-12"}
    table = datlake("table", "sales", "--json").json
    assert table["snapshot_count"] == 1
    assert isinstance(table["snapshots"], dict)
    assert datlake("uri", "sales", "--json").json["uri"] == f"s3://lake/{run_id}"
    assert datlake("lineage", "sales", "--json").json["truncated"] is False
    assert datlake("log", run_id, "--json").items == []


def test_a_run_is_shown_with_its_data_and_its_code(datlake: Datlake, client: DatlakeClient) -> None:
    """The question next month is which run wrote this, from what, with which code."""
    told = datlake("run", "show", wrote(client)).out
    for part in (
        "sales_job",
        "completed",
        "INPUTS",
        "sales_raw",
        "OUTPUTS",
        "1 204",
        "s3://lake/",
        "DATA-12",
        "python",
    ):
        assert part in told


def test_the_beginning_of_a_run_id_is_enough_where_it_is_the_only_one(datlake: Datlake, client: DatlakeClient) -> None:
    """Nobody types 36 characters."""
    run_id = wrote(client)
    assert run_id in datlake("run", "show", run_id[:-4]).out
    wrote(client)
    ambiguous = datlake("run", "show", run_id[:6])
    assert ambiguous.code == 3
    assert "give more of the id" in ambiguous.err


def test_a_whole_run_id_is_found_in_any_namespace(datlake: Datlake, client: DatlakeClient) -> None:
    """A card or a message names the run alone; where it is, is for us to find out."""
    run_id = wrote(client)
    assert run_id in datlake("run", "show", run_id, DATLAKE_NAMESPACE="elsewhere").out
    assert datlake("run", "show", run_id, "--namespace", "elsewhere").code == 3


def test_runs_are_narrowed_by_job_state_and_time(datlake: Datlake, client: DatlakeClient) -> None:
    """A lake holds thousands; people look for one that failed last night."""
    wrote(client)
    with pytest.raises(ValueError, match="broken"), JobContext(client, "other"):
        raise ValueError("broken")
    assert [run["job_name"] for run in datlake("runs", "other", "--json").items] == ["other"]
    assert [run["job_name"] for run in datlake("runs", "--state", "failed", "--json").items] == ["other"]
    assert len(datlake("runs", "--since", "1h", "--json").items) == 2
    assert datlake("runs", "--since", "2999-01-01", "--json").items == []
    assert datlake("runs", "--since", "yesterday").code == 2
    assert datlake("runs", "no_such_job").code == 3
    first = datlake("runs", "--limit", "1")
    assert len(first.out.splitlines()) == 2
    assert "--limit" in first.err


def test_an_older_uri_is_found_by_version_and_by_time(datlake: Datlake, client: DatlakeClient) -> None:
    """Reproducing last week's report needs last week's file."""
    first, second = wrote(client), wrote(client)
    assert datlake("uri", "sales").out == f"s3://lake/{second}\n"
    assert datlake("uri", "sales", "--version", "1").out == f"s3://lake/{first}\n"
    assert datlake("uri", "sales", "--version", "v1").out == f"s3://lake/{first}\n"
    started = str(datlake("table", "sales", "--json").json["created_at"])
    assert datlake("uri", "sales", "--as-of", "1d").code == 3
    assert datlake("uri", "sales", "--as-of", started, "--version", "1").code == 2


def test_a_table_of_any_name_is_found_by_that_name(datlake: Datlake, client: DatlakeClient) -> None:
    """Names come from other systems; after `--` even one that looks like an option is a name."""
    for name in HOSTILE:
        run_id = wrote(client, name, "../x")
        assert datlake("uri", "--", name).out == f"s3://lake/{run_id}\n"
        assert datlake("lineage", "--", name).out.splitlines()[0] == f"{name} v1"
    assert datlake("table", HOSTILE[0]).out.split()[1] == HOSTILE[0]
    assert len(datlake("runs", "../x", "--json").items) == len(HOSTILE)


def test_a_name_cannot_move_the_cursor(datlake: Datlake, client: DatlakeClient) -> None:
    """Some invisible characters are allowed in names; a terminal must show them, not obey them."""
    run_id = wrote(client, "right\u202eleft")
    for told in (datlake("tables"), datlake("run", "show", run_id), datlake("lineage", "right\u202eleft")):
        assert "right\\u202eleft" in told.out
        assert "\u202e" not in told.out


def test_what_does_not_exist_ends_with_3_and_one_line(datlake: Datlake) -> None:
    """A script tells a missing table from a lake that is away."""
    for words in (("table", "nope"), ("uri", "nope"), ("lineage", "nope"), ("run", "show", "nope"), ("log", "nope")):
        told = datlake(*words)
        assert (told.code, told.out) == (3, "")
        assert told.err.startswith("datlake: there is no ")
        assert len(told.err.splitlines()) == 1


def test_a_run_without_a_log_says_how_to_keep_one(datlake: Datlake, client: DatlakeClient) -> None:
    """Logs are kept only where somebody asked for it."""
    told = datlake("log", wrote(client))
    assert told.code == 3
    assert "ship_logs" in told.err


def test_a_server_that_is_away_ends_with_4_and_one_line(embedded: Datlake) -> None:
    """The next step stands in the message, and no traceback."""
    told = embedded("runs", "--url", "http://127.0.0.1:9")
    assert (told.code, told.out) == (4, "")
    assert told.err.startswith("datlake: cannot reach http://127.0.0.1:9")
    assert len(told.err.splitlines()) == 1


def test_options_of_the_lake_stand_before_or_after_the_command(embedded: Datlake, tmp_path: Path) -> None:
    """People add them where they stop typing."""
    other = str(tmp_path / "other")
    with DatlakeClient(other, namespace="n") as client:
        wrote(client)
    for words in (
        ("--home", other, "--namespace", "n", "runs", "--json"),
        ("runs", "--json", f"--home={other}", "--namespace=n"),
        ("--home", other, "runs", "--namespace", "n", "--json"),
    ):
        assert len(embedded(*words).items) == 1
    # A folder named on the command line wins over a server in the environment.
    assert len(
        embedded("runs", "--home", other, "--namespace", "n", "--json", DATLAKE_API_URL="http://127.0.0.1:9").items
    )


def test_a_reader_that_has_seen_enough_is_no_error(embedded: Datlake, tmp_path: Path) -> None:
    """`datlake runs | head -1` is what people type."""
    with DatlakeClient(embedded.place.address) as client:
        for _ in range(3):
            wrote(client)
    process = subprocess.Popen(
        [*COMMAND, "runs"], env=embedded.environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()  # before the first line is written
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=20) == 0


def test_output_on_a_pipe_has_no_escapes(datlake: Datlake, client: DatlakeClient) -> None:
    """What is piped into a file or a mail is plain text."""
    run_id = wrote(client)
    for words in (("runs",), ("run", "show", run_id), ("lineage", "sales"), ("doctor",)):
        assert "\x1b" not in datlake(*words, TERM="xterm-256color", FORCE_COLOR="1").out


def test_an_ascii_terminal_gets_the_tree_without_an_error(datlake: Datlake, client: DatlakeClient) -> None:
    """Old consoles and cron have no UTF-8; a tree is no reason to fail."""
    wrote(client)
    told = datlake("lineage", "sales", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert told.code == 0
    assert "sales_job" in told.out
