"""The commands of `datlake` that ask for lineage, or bring it in and out. Loads argparse, nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.cli.options import add, add_json, add_limit, global_options, number

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Parser
    from datlake_sdk.cli.options import Commands

RUN_HELP = "the run's id, or enough of its beginning"


def add_lineage(commands: Commands) -> None:
    """The commands on lineage are added."""
    _add_graph(commands)
    _add_related(commands)
    _add_diff(commands)
    _add_search(commands)
    _add_import(commands)
    _add_export(commands)


def _add_graph(commands: Commands) -> None:
    lineage = add(commands, "lineage", "lineage:lineage", "what feeds a table, and what it feeds")
    lineage.description = "What feeds a table and what it feeds; or a column of it, a job, a run or a snapshot."
    lineage.add_argument("table", nargs="?", metavar="TABLE[@VERSION]", help="where to begin")
    for option, metavar, what in (
        ("--field", "COLUMN", "begin at this column of the table"),
        ("--job", "JOB", "begin at this job"),
        ("--run", "RUN", "begin at this run: its id, or enough of its beginning"),
        ("--snapshot", "ID", "begin at this snapshot"),
        ("--as-of", "TIME", "what was known then: 24h, 2026-11-23 or 2026-11-23T03:00Z"),
    ):
        lineage.add_argument(option, metavar=metavar, help=what)
    _add_extent(lineage)
    add_json(lineage)


def _add_extent(lineage: Parser) -> None:
    lineage.add_argument(
        "--level", choices=("table", "run", "column"), help="tables and jobs, snapshots and runs, or columns"
    )
    lineage.add_argument(
        "--direction", choices=("upstream", "downstream", "both"), default="both", help="(%(default)s)"
    )
    lineage.add_argument(
        "--depth",
        type=number(1, 100),
        default=10,
        metavar="N",
        help="how many steps; table to table is 2 (%(default)s)",
    )
    lineage.add_argument(
        "--max-nodes", type=number(1, 5000), default=1000, metavar="N", help="cut it there (%(default)s)"
    )
    lineage.add_argument(
        "--format", choices=("tree", "json", "mermaid", "dot", "html"), help="how to show it (tree); html is one page"
    )


def _add_related(commands: Commands) -> None:
    impact = add(commands, "impact", "related:impact", "all that consumed a snapshot, by whatever road")
    trace = add(commands, "trace", "related:trace", "all that led to a snapshot, with commits and logs")
    for each in (impact, trace):
        each.add_argument(
            "snapshot", metavar="SNAPSHOT|TABLE[@VERSION]", help="a snapshot's id, or a table: its newest, or a version"
        )
        add_limit(each)
        add_json(each)


def _add_diff(commands: Commands) -> None:
    diff = add(commands, "diff", "diff:diff", "in what two runs differ: data, schemas, rows, time, environment")
    diff.add_argument("run_id", metavar="RUN", help=RUN_HELP)
    diff.add_argument("other", metavar="RUN", help="the one to compare it with")
    add_json(diff)


def _add_search(commands: Commands) -> None:
    search = add(commands, "search", "search:search", "jobs, tables, columns, runs and tags by name")
    search.description = (
        "Jobs, tables, columns, runs and tags by name, best first; in every namespace without --namespace."
    )
    search.add_argument("words", nargs="+", metavar="WORD", help="parts of names; beginnings will do")
    search.add_argument("--kind", choices=("job", "table", "column", "run", "tag"), help="only these")
    add_limit(search)
    add_json(search)


def _add_import(commands: Commands) -> None:
    what = "take OpenLineage events from files"
    imports = commands.add_parser("import", help=what, parents=[global_options()], allow_abbrev=False)
    imports.only = "`datlake import openlineage FILE…` is all there is"
    forms = imports.add_subparsers(metavar="openlineage", required=True)
    take = add(forms, "openlineage", "importing:take", what)
    take.description = (
        "Takes OpenLineage events: an event, an array or lines of JSON, gzipped or not, of any size. Events that are "
        "there already change nothing."
    )
    take.add_argument("files", nargs="+", metavar="FILE", help="`-` is stdin")
    take.add_argument("--strict", action="store_true", help="refuse what the specification does not allow")
    add_json(take)


def _add_export(commands: Commands) -> None:
    what = "write OpenLineage events"
    exports = commands.add_parser("export", help=what, parents=[global_options()], allow_abbrev=False)
    exports.only = "`datlake export openlineage` is all there is"
    forms = exports.add_subparsers(metavar="openlineage", required=True)
    give = add(forms, "openlineage", "exporting:export", what)
    give.description = (
        "Writes what the lake knows as OpenLineage events, one on a line; in every namespace without --namespace."
    )
    give.add_argument("--since", metavar="TIME", help="runs started since: 24h, 7d, 2026-11-23 or 2026-11-23T03:00Z")
    give.add_argument("--run", metavar="RUN", help=f"this run alone: {RUN_HELP}")
    give.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="where to, instead of stdout; gzipped where it ends in .gz"
    )
