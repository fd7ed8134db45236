"""Two pages rendered on the server: the latest runs, and one run as someone needs it who wonders what happened."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import msgspec

from datlake_sdk._amounts import duration, grouped, how_read, size
from datlake_sdk.errors import DatlakeError, NotFound
from datlake_sdk.wire.http import API_PREFIX, query_string
from datlake_sdk.wire.ids import DEFAULT_NAMESPACE, quoted
from datlake_sdk.wire.models import LogState
from datlake_sdk.wire.operations import GetRun, ListRuns
from datlake_sdk.wire.problems import title_of
from datlake_server.caller import Caller
from datlake_server.http.exchange import Answer, Incoming, take_names_from_query
from datlake_server.http.html import escaped, html_answer, page, rows

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Artifact, Run, RunData, RunError
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake

_LATEST: Final = 50
_NO_LOG: Final = "none was shipped"
_EMPTY: Final = """<p>No runs yet. This makes the first one:</p><pre>
from datlake_sdk import JobContext

with JobContext("my_first_job") as job:
    job.register_snapshot("my_table", "file:///data/my_table.parquet", format="parquet")</pre>"""


class RunsPage:
    """The latest runs of a namespace."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads

    async def __call__(self, request: Incoming) -> Answer:
        """The page; an error as a page of its own."""
        op = ListRuns(namespace=_namespace(request), limit=_LATEST)
        try:
            found = await self._threads.run(partial(self._lake.dispatch, op, Caller(request_id=request.request_id)))
        except DatlakeError as error:
            return _error_page(error)
        lines = [
            (_state(run.state), _run_link(run), _job(run), _time(run.started_at), _duration(run)) for run in found.items
        ]
        shown = rows(("State", "Run", "Job", "Started", "Took"), lines) if lines else _EMPTY
        return html_answer(page("Latest runs", f"<h1>Latest runs</h1>{shown}"))


class RunPage:
    """One run."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads

    async def __call__(self, request: Incoming) -> Answer:
        """The page; an error as a page of its own."""
        take_names_from_query(request)
        op = GetRun(namespace=_namespace(request), run_id=request.names["run_id"])
        try:
            run = await self._threads.run(partial(self._lake.dispatch, op, Caller(request_id=request.request_id)))
            said = await self._threads.run(partial(self._said, op))
        except DatlakeError as error:
            return _error_page(error)
        return html_answer(page(run.job_name, _run_body(run, said)))

    def _said(self, op: GetRun) -> LogState:
        try:
            return self._lake.read_log(op.namespace, op.run_id, limit=1)[1]
        except NotFound:  # its bytes are lost; all else of the run is to be seen
            return LogState(run_id=op.run_id, size_bytes=0)


def _run_body(run: Run, said: LogState) -> str:
    """Outcome, then cause, then data in and out, then the log: in this order."""
    log = next((artifact for artifact in run.artifacts if artifact.type == "log"), None)
    facts = {
        "Run": f'<span class="mono">{escaped(run.run_id)}</span>',
        "Namespace": escaped(run.namespace),
        "Started": _time(run.started_at),
        "Ended": _time(run.ended_at) if run.ended_at else "not yet",
        "Took": _duration(run),
        "Log": _log_link(said, run) if said.size_bytes else _artifact_link(log, run.namespace) if log else _NO_LOG,
    }
    if run.parent_run_id:
        facts["Parent"] = f'<a href="{_run_href(run.parent_run_id, run.namespace)}">{escaped(run.parent_run_id)}</a>'
    return (
        f"<h1>{escaped(run.job_name)}</h1>{_state(run.state)}{_facts(facts)}{_error(run.error) if run.error else ''}"
        f"<h2>Inputs</h2>{_data(run.inputs, 'nothing recorded as read')}"
        f"<h2>Outputs</h2>{_data(run.outputs, 'nothing recorded as written')}"
        f"<h2>Artifacts</h2>{_artifacts(run)}"
        f"<h2>Metadata</h2>{_opaque(run.metadata)}<h2>Environment</h2>{_opaque(run.environment)}"
    )


def _error(error: RunError) -> str:
    trace = (
        f"<details><summary>traceback</summary><pre>{escaped(error.traceback)}</pre></details>"
        if error.traceback
        else ""
    )
    return (
        '<section class="card"><h3>What happened</h3>'
        f'<pre class="failed">{escaped(error.type)}: {escaped(error.message)}</pre>'
        f"{trace}</section>"
    )


def _version(item: RunData) -> str:
    shown = f"v{item.version}" if item.version is not None else '<span class="muted">not registered</span>'
    how = how_read(stale=item.stale, age_s=item.age_s, deferred=item.deferred)
    return f'{shown} <span class="muted">{how}</span>' if how else shown


def _data(items: list[RunData], empty: str) -> str:
    if not items:
        return f'<p class="muted">{empty}</p>'
    lines = [
        (
            escaped(item.table_name or item.uri or ""),
            _version(item),
            grouped(item.row_count),
            f'<span class="mono">{escaped(item.uri or "")}</span>',
        )
        for item in items
    ]
    return rows(("Table", "Version", "Rows", "URI"), lines)


def _artifacts(run: Run) -> str:
    if not run.artifacts:
        return '<p class="muted">none</p>'
    lines = [
        (
            escaped(one.type),
            _artifact_link(one, run.namespace),
            size(one.size_bytes),
        )
        for one in run.artifacts
    ]
    return rows(("Type", "Where", "Size"), lines)


def _artifact_link(artifact: Artifact, namespace: str) -> str:
    """A link for what the lake holds; any other URI stays text, since it may be anything."""
    shown = escaped(artifact.name or artifact.uri)
    if not artifact.uri.startswith("datlake://"):
        return f'<span class="mono">{shown}</span>'
    target = f"{API_PREFIX}/datasets/{artifact.uri.removeprefix('datlake://')}{_scope(namespace)}"
    return f'<a class="mono" href="{escaped(target)}">{shown}</a>'


def _log_link(said: LogState, run: Run) -> str:
    """A link to what the run said, as text in the browser; also while it goes, and of one that was killed."""
    so_far = "" if said.is_final else ", so far"
    target = f"{API_PREFIX}/runs/{quoted(run.run_id)}/log{_scope(run.namespace)}"
    return f'<a class="mono" href="{escaped(target)}">run.log</a> ({size(said.size_bytes)}{so_far})'


def _opaque(values: dict[str, object]) -> str:
    if not values:
        return '<p class="muted">none</p>'
    return _facts(
        {escaped(name): f'<span class="mono">{escaped(_plain(value))}</span>' for name, value in values.items()}
    )


def _plain(value: object) -> str:
    """Text as it is, a list of words as one line, anything else as JSON."""
    words = cast("list[object]", value) if isinstance(value, list) else None
    if words is not None and all(isinstance(word, str) for word in words):
        return " ".join(map(str, words))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _facts(facts: dict[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in facts.items())}</dl>"


def _state(state: str) -> str:
    told = "presumed lost: no sign of life" if state == "lost" else state
    return f'<span class="state {escaped(state)}">{escaped(told)}</span>'


def _run_link(run: Run) -> str:
    return f'<a class="mono" href="{_run_href(run.run_id, run.namespace)}">{escaped(run.run_id)}</a>'


def _run_href(run_id: str, namespace: str) -> str:
    return escaped(f"/runs/{quoted(run_id)}{_scope(namespace)}")


def _scope(namespace: str) -> str:
    return "" if namespace == DEFAULT_NAMESPACE else query_string({"namespace": namespace})


def _job(run: Run) -> str:
    return escaped(run.job_name)


def _time(moment: datetime) -> str:
    return f'<time datetime="{escaped(moment.isoformat())}">{moment:%d %b %Y %H:%M:%S} UTC</time>'


def _duration(run: Run) -> str:
    return "" if run.ended_at is None else duration((run.ended_at - run.started_at).total_seconds())


def _namespace(request: Incoming) -> str:
    return request.query.get("namespace", DEFAULT_NAMESPACE)


def _error_page(error: DatlakeError) -> Answer:
    status = error.status or 500
    told = (
        f'<h1>{escaped(title_of(status))}</h1><p>{escaped(error.message)}</p><p class="muted">{escaped(error.code)}</p>'
    )
    return html_answer(page(title_of(status), told), status)
