"""Every command of `datlake`: its arguments, and the function that carries it out. Loads argparse, nothing of ours."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from datlake_sdk import __version__
from datlake_sdk.cli.arguments import Arguments, Parser
from datlake_sdk.cli.commands_lineage import add_lineage
from datlake_sdk.cli.exits import EXIT_CODES
from datlake_sdk.cli.options import add, add_json, add_limit, global_options, number

if TYPE_CHECKING:
    from datlake_sdk.cli.options import Commands

# These may stand before or after the command; each takes a value.
GLOBAL_OPTIONS: Final = ("--url", "--home", "--namespace")
PROGRAM_AFTER_DASHES: Final = "the program stands after `--`, like: datlake run --job nightly -- ./report.sh"


def parsed(argv: Sequence[str]) -> Arguments:
    """The command line as values. Prints and raises `SystemExit` for help, the version and mistakes."""
    own, program = _split(list(argv))
    parser, known = _main_parser()
    if (command := _command_of(own)) and command not in known:
        parser.error(_unknown(command, known))
    arguments = parser.parse_args(own, namespace=Arguments())
    arguments.program = program
    if arguments.handler.startswith("run:") and not program:
        parser.error(f"no program was named: {PROGRAM_AFTER_DASHES}")
    return arguments


def print_help(file: TextIO) -> None:
    """The whole help is written to `file`."""
    _main_parser()[0].print_help(file)


def _main_parser() -> tuple[Parser, Collection[str]]:
    """The parser of the whole command line, and the commands it knows."""
    parser = Parser(
        prog="datlake",
        description="Which run wrote this, from exactly what, with which code, and where is its log?",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[global_options()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"datlake {__version__}", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for group in (_add_run, _add_demo, _add_lists, _add_tables, add_lineage, _add_outbox, _add_setup):
        group(commands)
    return parser, commands.choices


def _unknown(command: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(command, known, n=1, cutoff=0.6)
    return f"there is no command {command!r}{f' (did you mean `datlake {near[0]}`?)' if near else ''}"


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """(our words, the program of `datlake run`): what follows the first `--` belongs to it, whatever it looks like."""
    if _command_of(argv) != "run" or "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _command_of(argv: Sequence[str]) -> str:
    """The first word that is neither an option nor an option's value."""
    before = ""
    for word in argv:
        if before not in GLOBAL_OPTIONS and not word.startswith("-"):
            return word
        before = word
    return ""


# --- commands ---------------------------------------------------------------------------------------------------------


def _add_run(commands: Commands) -> None:
    run = add(commands, "run", "run:track", "run any program as a tracked job; `run show` shows a run")
    run.only = PROGRAM_AFTER_DASHES
    run.usage = "datlake run [OPTIONS] -- PROGRAM [ARGUMENT …]\n       datlake run show RUN_ID [--json]"
    run.description = (
        "Runs a program as a tracked job. What it prints is passed through and kept as the run's log, its exit code is "
        "returned as it is (128 + n for death by signal n, 127 not found, 126 not executable). A JobContext in the "
        "program becomes a child of the run."
    )
    run.add_argument("--job", metavar="NAME", help="the job's name; the program's name without it")
    writes = "a table it writes, and where (a URI or a path); registered as a snapshot if the program succeeds"
    for options, dest, metavar, what in (
        (("-i", "--input"), "inputs", "TABLE", "a table it reads, or any URI"),
        (("-o", "--output"), "outputs", "TABLE=URI", writes),
        (("--metadata",), "metadata", "KEY=VALUE", "kept with the run"),
    ):
        run.add_argument(
            *options, dest=dest, action="append", metavar=metavar, default=argparse.SUPPRESS, help=f"{what}; repeatable"
        )
    show = add(
        run.add_subparsers(metavar="show", prog="datlake run"),
        "show",
        "runs:show",
        "what a run read and wrote, from which code, and how it ended",
    )
    show.add_argument("run_id", metavar="RUN_ID", help="the run's id, or enough of its beginning")
    add_json(show)


def _add_demo(commands: Commands) -> None:
    demo = add(commands, "demo", "demo:demo", "run three small weather jobs and show what came of them")
    demo.description = (
        "Runs three small weather jobs on made-up data, into the lake in use, namespace `demo` (or --namespace), and "
        "shows their lineage."
    )
    add_json(demo)


def _add_lists(commands: Commands) -> None:
    jobs = add(commands, "jobs", "runs:jobs", "the jobs and their latest runs")
    runs = add(commands, "runs", "runs:runs", "runs, the newest first")
    runs.add_argument("job", nargs="?", metavar="JOB", help="only runs of this job")
    runs.add_argument("--state", choices=("running", "completed", "failed", "aborted", "lost"), help="only this state")
    runs.add_argument("--since", metavar="TIME", help="started since: 90m, 24h, 7d, 2026-11-23 or 2026-11-23T03:00Z")
    log = add(commands, "log", "log:log", "what a run said, or has said so far")
    log.add_argument("run_id", metavar="RUN_ID", help="the run's id, or enough of its beginning")
    log.add_argument("-f", "--follow", action="store_true", help="go on with what it says until it has ended")
    for each in (jobs, runs):
        add_limit(each)
    for each in (jobs, runs, log):
        add_json(each)


def _add_tables(commands: Commands) -> None:
    tables = add(commands, "tables", "tables:tables", "the tables and their latest versions")
    table = add(commands, "table", "tables:table", "a table's latest version, columns and history")
    uri = add(commands, "uri", "tables:uri", "where a table's data is, and nothing else")
    for each in (table, uri):
        each.add_argument("table", metavar="TABLE")
    uri.add_argument("--as-of", metavar="TIME", help="what readers got then: 24h, 2026-11-23 or 2026-11-23T03:00Z")
    uri.add_argument("--version", metavar="VERSION", help="this version, or the snapshot of this id")
    for each in (tables, table):
        add_limit(each)
    for each in (tables, table, uri):
        add_json(each)


def _add_outbox(commands: Commands) -> None:
    outbox = add(commands, "outbox", "outbox:status", "what waits on this host for a lake, and what was refused")
    actions = outbox.add_subparsers(metavar="ACTION", prog="datlake outbox", title="actions")
    status = add(actions, "status", "outbox:status", "what waits, by destination")
    flush = add(actions, "flush", "outbox:flush", "deliver what processes that are gone left for the lake in use")
    dead = add(actions, "dead", "outbox:dead_letters", "what the lake refused for good, with its answers")
    retry = add(actions, "retry", "outbox:retry", "send dead letters again")
    drop = add(actions, "drop", "outbox:drop", "throw dead letters away")
    for each in (retry, drop):
        each.add_argument("ids", nargs="*", metavar="ID", help="a dead letter's id, or enough of its beginning")
        each.add_argument("--all", action="store_true", help="all of them")
    for each in (flush, retry):
        each.add_argument(
            "--timeout", type=float, default=60.0, metavar="SECONDS", help="stop after this long (%(default)g)"
        )
    for each in (outbox, status, flush, dead, retry, drop):
        add_json(each)


def _add_setup(commands: Commands) -> None:
    serve = add(commands, "serve", "serving:serve", "serve a lake to a team")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    serve.add_argument("--port", type=number(0, 65535), default=8765, help="0 takes a free one (%(default)s)")
    serve.add_argument(
        "--forward-openlineage",
        action="append",
        metavar="TARGET",
        default=argparse.SUPPRESS,
        help="send all that happens there as OpenLineage: a URL, URL#key=VARIABLE or file:/path; repeatable",
    )
    serve.add_argument(
        "--forward-since", choices=("now", "all"), default="now", help="what a new target gets (%(default)s)"
    )
    _add_backup(commands)
    config = commands.add_parser("config", help="the settings in force", parents=[global_options()], allow_abbrev=False)
    config.only = "`datlake config show` is all there is"
    shown = config.add_subparsers(metavar="show", required=True)
    show = add(shown, "show", "config:show", "each setting with its value and where it came from")
    doctor = add(commands, "doctor", "doctor:doctor", "check that everything is in place")
    for each in (show, doctor):
        add_json(each)


def _add_backup(commands: Commands) -> None:
    backup = add(commands, "backup", "backup:backup", "write a lake into one file, while it is in use")
    backup.add_argument(
        "file", metavar="FILE", help="where to; one that is there is replaced once the new one is whole"
    )
    restore = add(commands, "restore", "backup:restore", "put a backup in a lake's place")
    restore.add_argument("file", metavar="FILE", help="what `datlake backup` wrote")
    restore.add_argument("--force", action="store_true", help="move a lake that is there aside")
    for each in (backup, restore):
        add_json(each)


def _epilog() -> str:
    codes = "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())
    return f"exit codes:\n{codes}\n\n`datlake run` returns the exit code of its program. Times are UTC."
