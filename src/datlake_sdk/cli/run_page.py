"""One run as text: how it went, from which code, what went in and out, what it left. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from datlake_sdk._amounts import duration, grouped, how_read, size, version_of
from datlake_sdk.cli.text import ago, columns, facts, shown, utc
from datlake_sdk.wire.ids import run_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datlake_sdk.wire.models import Run, RunData

COMMIT_LETTERS = 12
# A value beyond this is one for --json.
VALUE_LETTERS = 200


def run_page(run: Run, base_url: str | None, now: datetime) -> list[str]:
    """The lines of the page."""
    return [
        *facts(_head(run, base_url, now)),
        *_data("inputs", run.inputs),
        *_data("outputs", run.outputs),
        *_tail(run),
    ]


def _head(run: Run, base_url: str | None, now: datetime) -> Iterator[tuple[str, str]]:
    yield "run", run.run_id
    yield "job", run.job_name
    yield "namespace", "" if run.namespace == "default" else run.namespace
    yield "state", run.state
    yield "error", "" if run.error is None else f"{run.error.type}: {run.error.message}"
    yield "started", f"{utc(run.started_at, seconds=True)} UTC, {ago(run.started_at, now)}"
    if run.ended_at is not None:
        took = duration((run.ended_at - run.started_at).total_seconds())
        yield "ended", f"{utc(run.ended_at, seconds=True)} UTC, took {took}"
    yield "parent", run.parent_run_id or ""
    yield from _environment(run.environment)
    yield "link", "" if base_url is None else run_url(base_url, run.run_id, run.namespace)


def _environment(found: dict[str, object]) -> Iterator[tuple[str, str]]:
    commit = str(found.get("git_commit") or "")[:COMMIT_LETTERS]
    branch = f" on {found['git_branch']}" if found.get("git_branch") else ""
    yield (
        "commit",
        commit and f"{commit}{branch}{', with changes that are not committed' if found.get('git_dirty') else ''}",
    )
    yield "entry point", str(found.get("entry_point", ""))
    yield "host", "@".join(str(found[key]) for key in ("user", "host") if found.get(key))
    yield "python", str(found.get("python_version", ""))


def _data(title: str, items: list[RunData]) -> Iterator[str]:
    if not items:
        return
    yield ""
    rows = [
        (item.table_name, _version(item), grouped(item.row_count), size(item.size_bytes), item.uri or "")
        for item in items
    ]
    yield from columns((title.upper(), "VERSION", ">ROWS", ">SIZE", "URI"), rows)


def _version(item: RunData) -> str:
    how = how_read(stale=item.stale, age_s=item.age_s, deferred=item.deferred)
    return f"{version_of(item.version)} ({how})" if how else version_of(item.version)


def _tail(run: Run) -> Iterator[str]:
    if run.artifacts:
        yield ""
        rows = [(each.name or "", each.type, size(each.size_bytes), each.uri) for each in run.artifacts]
        yield from columns(("ARTIFACTS", "TYPE", ">SIZE", "URI"), rows)
    if run.metadata:
        yield ""
        yield "METADATA"
        yield from facts((shown(key), _value(value)) for key, value in run.metadata.items())
    if run.error is not None and run.error.traceback and "\n" in run.error.traceback.rstrip():
        yield ""
        yield "TRACEBACK"
        yield from (shown(line.expandtabs()) for line in run.error.traceback.splitlines())
    if any(each.type == "log" for each in run.artifacts):
        yield ""
        yield f"Next: datlake log {run.run_id}"


def _value(value: object) -> str:
    from msgspec import json

    if isinstance(value, list):
        from shlex import join

        # Lists of words are mostly commands; a shell would take them like this.
        text = join(str(word) for word in cast("list[object]", value))
    else:
        text = value if isinstance(value, str) else json.encode(value).decode()
    return text if len(text) <= VALUE_LETTERS else f"{text[:VALUE_LETTERS]}… ({len(text)} characters; --json has all)"
