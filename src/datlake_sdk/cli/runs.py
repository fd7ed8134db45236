"""`datlake jobs`, `runs` and `run show`: what ran and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from datlake_sdk._amounts import duration
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK
from datlake_sdk.cli.finding import anywhere
from datlake_sdk.cli.listing import listed, nothing, tell_more
from datlake_sdk.cli.text import STARTED, columns, moment_of, say, say_json, utc
from datlake_sdk.errors import NotFound
from datlake_sdk.wire.ids import is_uuid
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Job, Page, Run, RunState

# Beginnings of run ids are looked for among so many of the newest runs.
PREFIX_RUNS: Final = 1000
PREFIX_LETTERS: Final = 4


def jobs(arguments: Arguments) -> int:
    """Lists the jobs by name."""
    with connect_to_read(arguments) as client:
        page = listed(arguments.limit, lambda limit, cursor: client.list_jobs(limit=limit, cursor=cursor))
        if arguments.json:
            say_json(page)
        elif page.items:
            header = ("JOB", ">RUNS", "LATEST", STARTED, ">TOOK", "OWNER")
            say(*columns(header, [_job_cells(job) for job in page.items]))
            tell_more(page)
        else:
            nothing(client, "no jobs", "run one: `datlake demo`, or `datlake run -- PROGRAM`")
    return OK


def runs(arguments: Arguments) -> int:
    """Lists runs, the newest first."""
    with connect_to_read(arguments) as client:
        page = _listed_runs(client, arguments)
        if arguments.json:
            say_json(page)
        elif page.items:
            say(*columns(("RUN", "STATE", STARTED, ">TOOK", "JOB"), [_run_cells(run) for run in page.items]))
            tell_more(page)
        elif arguments.state or arguments.since:
            nothing(client, "no such runs", "`datlake runs` lists all there are")
        else:
            nothing(client, "no runs", "make one: `datlake demo`, or `datlake run -- PROGRAM`")
    return OK


def show(arguments: Arguments) -> int:
    """Shows one run whole."""
    from datlake_sdk.cli.run_page import run_page

    with connect_to_read(arguments) as client:
        run = run_of(client, arguments.run_id, is_scoped=arguments.namespace is not None)
        if arguments.json:
            say_json(run)
        else:
            say(*run_page(run, client.base_url, utc_now()))
    return OK


def run_of(client: DatlakeClient, text: str, *, is_scoped: bool) -> Run:
    """The run of the id `text`, or the only one among the newest whose id begins so. Raises `NotFound`.

    A whole id is looked for in every namespace, unless `is_scoped`: a card names the run and not where it is.
    """
    prefix = text.lower()
    if is_uuid(text) or len(text) < PREFIX_LETTERS or prefix.strip("0123456789abcdef-"):
        return anywhere(client, lambda scope: client.get_run(text, namespace=scope), is_scoped=is_scoped)
    found = [run.run_id for run in client.list_runs(limit=PREFIX_RUNS).items if run.run_id.startswith(prefix)]
    if len(found) > 1:
        message = f"{len(found)} runs begin with {text}, such as {found[0]} and {found[1]}; give more of the id"
        raise NotFound(message, code="run_ambiguous")
    return client.get_run(found[0] if found else text)


def _listed_runs(client: DatlakeClient, arguments: Arguments) -> Page[Run]:
    since = None if arguments.since is None else moment_of(arguments.since, utc_now())
    state = cast("RunState | None", arguments.state)
    if arguments.job is not None:
        client.get_job(arguments.job)  # else a job's name that is mistyped would look like a job without runs
    return listed(
        arguments.limit,
        lambda limit, cursor: client.list_runs(arguments.job, state=state, since=since, limit=limit, cursor=cursor),
    )


# --- cells ------------------------------------------------------------------------------------------------------------


def took(run: Run) -> str:
    """How long the run took, or has been going on."""
    if run.ended_at is not None:
        return duration((run.ended_at - run.started_at).total_seconds())
    return duration((utc_now() - run.started_at).total_seconds()) + " so far" if run.state == "running" else ""


def _job_cells(job: Job) -> tuple[str, ...]:
    last = job.latest_run
    told = ("", "", "") if last is None else (last.state, utc(last.started_at), took(last))
    return (job.job_name, str(job.run_count), *told, job.owner or "")


def _run_cells(run: Run) -> tuple[str, ...]:
    return run.run_id, run.state, utc(run.started_at), took(run), run.job_name
