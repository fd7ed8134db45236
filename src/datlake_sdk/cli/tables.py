"""`datlake tables`, `table` and `uri`: what is registered, where it is, and how it came to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk._amounts import grouped, size, version_of
from datlake_sdk.cli.connection import connect_to_read
from datlake_sdk.cli.exits import OK, UsageError
from datlake_sdk.cli.listing import listed, nothing, tell_more
from datlake_sdk.cli.text import ago, columns, facts, moment_of, say, say_json, utc
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Field, Page, Snapshot, Table

CREATED = "WRITTEN (UTC)"


def tables(arguments: Arguments) -> int:
    """Lists the tables by name."""
    with connect_to_read(arguments) as client:
        page = listed(arguments.limit, lambda limit, cursor: client.list_tables(limit=limit, cursor=cursor))
        if arguments.json:
            say_json(page)
        elif page.items:
            header = ("TABLE", "LATEST", CREATED, ">ROWS", ">SIZE", "FORMAT", "BY JOB")
            say(*columns(header, [_table_cells(table) for table in page.items]))
            tell_more(page)
        else:
            then = "`datlake demo` writes some, and job.register_snapshot(…) yours"
            nothing(client, "no tables", then)
    return OK


def table(arguments: Arguments) -> int:
    """Shows one table with its columns and history."""
    with connect_to_read(arguments) as client:
        found = client.get_table(arguments.table)
        name = arguments.table
        history = listed(arguments.limit, lambda limit, cursor: client.list_snapshots(name, limit=limit, cursor=cursor))
        if arguments.json:
            say_json(_with_history(found, history))
        else:
            say(*_table_page(found, history))
            tell_more(history)
    return OK


def uri(arguments: Arguments) -> int:
    """Prints the URI of a table's snapshot, for use in scripts."""
    if arguments.as_of is not None and arguments.version is not None:
        message = "--as-of and --version both choose a snapshot; give one of them"
        raise UsageError(message)
    with connect_to_read(arguments) as client:
        snapshot = _chosen(client, arguments)
        if arguments.json:
            say_json(snapshot)
        else:
            say(snapshot.uri)
    return OK


def _chosen(client: DatlakeClient, arguments: Arguments) -> Snapshot:
    if arguments.version is not None:
        return client.get_table_snapshot(arguments.table, arguments.version.removeprefix("v"))
    as_of = None if arguments.as_of is None else moment_of(arguments.as_of, utc_now())
    return client.latest_snapshot(arguments.table, as_of=as_of)


# --- cells ------------------------------------------------------------------------------------------------------------


def _with_history(table: Table, history: Page[Snapshot]) -> dict[str, object]:
    """The table as the API has it, and its snapshots under a key of their own."""
    from msgspec import structs

    return {**structs.asdict(table), "snapshots": history}


def _table_cells(table: Table) -> tuple[str, ...]:
    last = table.latest
    if last is None:
        return table.table_name, "", "", "", "", "", ""
    return (
        table.table_name,
        version_of(last.version),
        utc(last.created_at),
        grouped(last.row_count),
        size(last.size_bytes),
        last.format,
        last.job_name or "",
    )


def _table_page(table: Table, history: Page[Snapshot]) -> Iterator[str]:
    yield from facts(_facts_of(table))
    if table.latest is not None and table.latest.fields:
        yield ""
        yield from columns(("COLUMN", "TYPE"), list(_field_cells(table.latest.fields)))
    if history.items:
        yield ""
        yield from columns(("VERSION", CREATED, ">ROWS", ">SIZE", "BY RUN", "URI"), map(_snapshot_cells, history.items))


def _facts_of(table: Table) -> Iterator[tuple[str, str]]:
    yield "table", table.table_name
    yield "namespace", "" if table.namespace == "default" else table.namespace
    yield "description", table.description or ""
    yield "owner", table.owner or ""
    last = table.latest
    if last is None:
        yield "latest", "none: jobs name this table, but none has registered a snapshot of it"
        yield "location", table.location or ""
        return
    yield "latest", f"v{last.version} of {table.snapshot_count}, {ago(last.created_at, utc_now())}"
    yield "uri", last.uri
    yield "format", last.format
    yield "rows", grouped(last.row_count)
    yield "size", size(last.size_bytes)
    yield "by job", last.job_name or ""
    yield "by run", last.run_id or ""


def _field_cells(fields: list[Field], indent: str = "") -> Iterator[tuple[str, str]]:
    for field in fields:
        yield indent + field.name, field.type + (", not null" if field.nullable is False else "")
        yield from _field_cells(field.fields, indent + "  ")


def _snapshot_cells(snapshot: Snapshot) -> tuple[str, ...]:
    return (
        version_of(snapshot.version) + (" late" if snapshot.late else ""),
        utc(snapshot.created_at),
        grouped(snapshot.row_count),
        size(snapshot.size_bytes),
        snapshot.run_id or "",
        snapshot.uri,
    )
