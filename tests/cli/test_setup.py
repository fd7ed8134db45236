"""`datlake --help`, `demo`, `doctor`, `config show`, `serve`: the first minutes, and when things are not well."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from datlake_sdk.cli import commands
from datlake_sdk.cli.exits import EXIT_CODES
from datlake_sdk.client import DatlakeClient
from tests.cli.typed import COMMAND, Datlake

# Whatever `datlake --help` and a list need not load.
HEAVY = ("urllib3", "asyncio", "logging", "subprocess", "rich", "starlette", "uvicorn", "polars", "http.client")


def loaded(datlake: Datlake, *words: str) -> set[str]:
    """The heavy modules that a command has loaded by its end."""
    source = (
        "import json, sys\nfrom datlake_sdk.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, *words], env=datlake.environment(), capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_lists_every_command_and_every_exit_code(embedded: Datlake) -> None:
    """It is the page that people have with them."""
    told = embedded("--help")
    assert told.code == 0
    for command in (
        "run",
        "demo",
        "serve",
        "backup",
        "restore",
        "config",
        "doctor",
        "jobs",
        "runs",
        "log",
        "tables",
        "table",
        "uri",
        "lineage",
    ):
        assert re.search(rf"^    {command} ", told.out, flags=re.MULTILINE)
        assert embedded(command, "--help").code == 0
    for code, meaning in EXIT_CODES.items():
        assert f"  {code}  {meaning}" in told.out


def test_every_command_has_its_code() -> None:
    """Commands name the function that carries them out as text, so that it is loaded late: no name may be wrong."""
    for words in (("run", "--", "x"), ("run", "show", "x"), ("config", "show"), ("demo",), ("doctor",), ("serve",)):
        check_handler(*words)
    for words in (("jobs",), ("runs",), ("log", "x"), ("tables",), ("table", "x"), ("uri", "x"), ("lineage", "x")):
        check_handler(*words)
    for words in (("backup", "x"), ("restore", "x")):
        check_handler(*words)


def check_handler(*words: str) -> None:
    """The function that the command names is there."""
    module, _, function = commands.parsed(words).handler.partition(":")
    assert callable(getattr(import_module(f"datlake_sdk.cli.{module}"), function))


def test_help_loads_next_to_nothing_and_a_list_no_network(embedded: Datlake) -> None:
    """`datlake --help` answers at once; each of these modules would be felt."""
    assert loaded(embedded, "--help") & {*HEAVY, "msgspec", "apsw"} == set()
    assert loaded(embedded, "runs") & set(HEAVY) == set()


def test_a_mistyped_command_is_told_in_one_line_with_the_one_that_was_meant(embedded: Datlake) -> None:
    """Exit code 2, and the next step."""
    told = embedded("lineag", "x")
    assert (told.code, told.out) == (2, "")
    assert told.err == "datlake: there is no command 'lineag' (did you mean `datlake lineage`?); see `datlake --help`\n"
    assert embedded().code == 2
    assert embedded("table").code == 2


def test_the_demo_leaves_lineage_to_look_at(datlake: Datlake) -> None:
    """The first minute: three jobs, their tree, and commands that work when they are typed."""
    told = datlake("demo", "--namespace", datlake.place.namespace)
    assert (told.code, told.err) == (0, "")
    for name in ("weather_ingest", "weather_curate", "weather_report", "weather_raw", "airports_raw", "weather_daily"):
        assert name in told.out
    typed = [line.split()[1:] for line in told.out.splitlines() if line.startswith("  datlake ")]
    assert len(typed) == 4
    for words in typed:
        assert datlake(*words).code == 0
    assert "weather_raw.celsius" in datlake(*typed[1]).out
    with datlake.place.client() as client:
        (report,) = client.list_runs("weather_report").items
        assert {artifact.type for artifact in client.get_run(report.run_id).artifacts} == {"log", "json"}


def test_the_demo_keeps_to_a_namespace_of_its_own(embedded: Datlake) -> None:
    """Nobody's tables are mixed with made-up weather."""
    assert embedded("demo", "--json").code == 0
    with DatlakeClient(embedded.place.address) as client:
        assert {each.namespace for each in client.list_namespaces()} == {"demo", "file"}


def test_doctor_finds_all_well(datlake: Datlake) -> None:
    """What is in place is said, so that somebody far away can read it."""
    told = datlake("doctor")
    assert told.code == 0, told.out
    assert "SQLite 3." in told.out
    assert datlake("doctor", "--json").json["ok"] is True


def test_doctor_says_what_is_wrong_and_ends_with_1(embedded: Datlake) -> None:
    """Settings that cannot be used and a server that is away are found, each with its reason."""
    away = embedded("doctor", DATLAKE_API_URL="http://127.0.0.1:9")
    assert away.code == 1
    assert "FAIL" in away.out
    assert "refused" in away.out
    unusable = embedded("doctor", DATLAKE_DEFAULT_TIMEOUT_MS="soon")
    assert unusable.code == 1
    assert "DATLAKE_DEFAULT_TIMEOUT_MS" in unusable.out


def test_config_show_tells_where_each_value_came_from_and_hides_the_key(embedded: Datlake) -> None:
    """Somebody asks why a job went to the wrong lake."""
    told = embedded("config", "show", "--namespace", "n", DATLAKE_API_KEY="dlk_secret", DATLAKE_API_URL="http://h:1")
    assert told.code == 0
    lines = {line.split()[0]: line for line in told.out.splitlines()}
    assert "environment DATLAKE_API_URL" in lines["api_url"]
    assert "argument" in lines["namespace"]
    assert "dlk_secret" not in told.out
    assert len(embedded("config", "show", "--json").items) == len(lines) - 1


def test_a_setting_that_cannot_be_used_ends_with_2(embedded: Datlake) -> None:
    """It is the caller's to mend, as an argument is."""
    told = embedded("runs", DATLAKE_DEFAULT_TIMEOUT_MS="soon")
    assert told.code == 2
    assert told.err.startswith("datlake: DATLAKE_DEFAULT_TIMEOUT_MS='soon' cannot be used")


def test_serve_serves_the_folder_and_says_what_to_type(embedded: Datlake) -> None:
    """One command for a team; Ctrl-C ends it well."""
    process = embedded.begin("serve", "--port", "0")
    assert process.stdout is not None
    greeting = process.stdout.readline().decode()
    url = re.search(r"http://127\.0\.0\.1:\d+", greeting)
    assert url, greeting
    assert embedded.place.address in greeting
    assert embedded("runs", "--url", url[0]).code == 0
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert embedded("serve", "--url", url[0]).code == 2
    assert embedded("serve", "--host", "0.0.0.0").code == 1  # noqa: S104 -- it must be refused


def test_nothing_to_read_is_no_reason_for_a_traceback(embedded: Datlake) -> None:
    """A damaged lake ends in one line with a next step."""
    embedded.place.home.mkdir()
    (embedded.place.home / "lake.db").write_bytes(b"this is no database" * 100)
    told = embedded("runs")
    assert told.code == 4
    assert len(told.err.splitlines()) == 1
    assert COMMAND[0] not in told.err


def test_a_mistyped_folder_is_no_empty_lake(tmp_path: Path) -> None:
    """Reading made the folder and said that there were no runs."""
    nowhere = tmp_path / "nowhere"
    done = subprocess.run([*COMMAND, "--home", str(nowhere), "runs"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"datlake: there is no lake in {nowhere} yet")
    assert not nowhere.exists()
