"""What a lake shows of producers' events and SDKs' operations, but for what depends on their arrival.

What the services answer, and what graphs are drawn from, which is read from the tables: pairs, edges, columns, groups.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import msgspec
from msgspec.structs import replace

from datlake_sdk.errors import NotFound
from datlake_sdk.wire.models import Job, Run, RunData, Snapshot, Table
from datlake_sdk.wire.operations import (
    GetJob,
    GetRun,
    GetTable,
    LatestSnapshot,
    ListJobs,
    ListNamespaces,
    ListRuns,
    ListSnapshots,
    ListTables,
)
from datlake_server.lake import Lake
from tests.properties.shown import ARRIVALS, MOMENTS, MOST
from tests.properties.world import NEVER

Name = tuple[str, str]
Rows = set[tuple[object, ...]]

TABLES = "SELECT table_id, namespace, name FROM tables"
STATEMENTS = {
    # Between snapshots by way of runs.
    "pairs": """SELECT p.run_id, p.source, p.source_snapshot, p.target, p.target_snapshot, p.at FROM pairs p""",
    "edges": """SELECT e.source, j.namespace, j.name, e.target, e.first_seen, e.last_seen, e.run_count, e.last_run_id,
                       e.declared_at FROM edges e LEFT JOIN jobs j ON j.job_id = e.job_id""",
    "columns_of_runs": """SELECT run_id, source, source_field, target, target_field, transformations, at
                          FROM column_pairs""",
    "columns": """SELECT e.source, e.source_field, j.namespace, j.name, e.target, e.target_field, e.transformations,
                         e.first_seen, e.last_seen, e.run_count, e.last_run_id, e.declared_at
                  FROM column_edges e LEFT JOIN jobs j ON j.job_id = e.job_id""",
    "jobs_of_jobs": """SELECT p.run_id, s.namespace, s.name, t.namespace, t.name, p.at FROM job_pairs p
                       JOIN jobs s ON s.job_id = p.source JOIN jobs t ON t.job_id = p.target""",
    "lifecycle": "SELECT table_id AS source, at, state, run_id, other AS target FROM lifecycle",
    "groups": "SELECT table_id AS source, group_id AS target FROM same_tables",
    # Those that are of a run, also what was taken back; those of jobs and tables are shown with them.
    "facets": """SELECT kind, run_id, subject AS source, name, at, digest, value FROM openlineage_facets
                 WHERE kind IN ('run', 'input', 'output')""",
    "events": """SELECT e.digest, e.event_at, e.event_type, coalesce(e.run_id, ''), coalesce(j.namespace, ''),
                        coalesce(j.name, ''), e.table_id AS source, e.body AS value
                 FROM openlineage_events e LEFT JOIN jobs j ON j.job_id = e.job_id""",
}


class Shown(msgspec.Struct, frozen=True):
    """All that a lake shows, but for what depends on the arrival."""

    runs: dict[str, Run]
    jobs: dict[Name, Job]
    tables: dict[Name, Table]
    snapshots: dict[str, Snapshot]
    latest: dict[str, str | None]
    rows: dict[str, Rows]


def by_lake(home: Path) -> Shown:
    """What the lake in that folder shows."""
    lake = Lake.open(str(home))
    try:
        spaces = [item.namespace for item in lake.dispatch(ListNamespaces(limit=MOST)).items]
        runs = [_run(lake, run) for space in spaces for run in lake.dispatch(ListRuns(namespace=space)).items]
        jobs = [_job(lake, space, job) for space in spaces for job in lake.dispatch(ListJobs(namespace=space)).items]
        tables = [_table(lake, table) for space in spaces for table in lake.dispatch(ListTables(namespace=space)).items]
        shown = Shown(
            runs={run.run_id: run for run in runs},
            jobs={(job.namespace, job.job_name): job for job in jobs},
            tables={(table.namespace, table.table_name): table for table in tables},
            snapshots={one.snapshot_id: one for table in tables for one in _snapshots(lake, table)},
            latest=_latest(lake, tables),
            rows={},
        )
    finally:
        lake.close()
    return replace(shown, rows=_rows(home))


def _run(lake: Lake, listed: Run) -> Run:
    run = lake.dispatch(GetRun(namespace=listed.namespace, run_id=listed.run_id))
    assert replace(run, tags=[], facets={}) == replace(listed, tags=[], facets={})
    return replace(
        run,
        started_at=run.started_at if run.started_at < ARRIVALS else NEVER,
        last_seen_at=None,
        endings=[replace(ending, received_at=NEVER) for ending in run.endings],
        inputs=[_without_version(data) for data in run.inputs],
        outputs=[_without_version(data) for data in run.outputs],
    )


def _without_version(data: RunData) -> RunData:
    return replace(data, version=None)


def _job(lake: Lake, namespace: str, listed: Job) -> Job:
    job = lake.dispatch(GetJob(namespace=namespace, job_name=listed.job_name))
    latest = None if job.latest_run is None else _run(lake, job.latest_run)
    if latest is not None and latest.started_at == NEVER:
        latest = None  # of several that nobody told the start of, the one that came last
    return replace(job, created_at=NEVER, latest_run=latest)


def _table(lake: Lake, listed: Table) -> Table:
    table = lake.dispatch(GetTable(namespace=listed.namespace, table_name=listed.table_name))
    versions = [one.version for one in _page(lake, table)]
    assert len(versions) == len(set(versions)) <= table.snapshot_count
    # As the versions: it counts those that were implied until the store's version was told, if others came after them.
    count = len(versions)
    latest = None if table.latest is None else _snapshot(table.latest)
    return replace(table, created_at=NEVER, latest=latest, snapshot_count=count)


def _snapshots(lake: Lake, table: Table) -> list[Snapshot]:
    return [_snapshot(one) for one in _page(lake, table)]


def _page(lake: Lake, table: Table) -> list[Snapshot]:
    return lake.dispatch(ListSnapshots(namespace=table.namespace, table_name=table.table_name, limit=MOST)).items


def _snapshot(one: Snapshot) -> Snapshot:
    return replace(one, version=0, late=False)


def _latest(lake: Lake, tables: list[Table]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for table in tables:
        for at in MOMENTS:
            as_of = None if at == NEVER else at
            asked = LatestSnapshot(namespace=table.namespace, table_name=table.table_name, as_of=as_of)
            key = f"{table.namespace} {table.table_name} {as_of}"
            try:
                found[key] = lake.dispatch(asked).snapshot_id
            except NotFound:
                found[key] = None
    return found


def _rows(home: Path) -> dict[str, Rows]:
    """What the statements find, with names for the numbers of tables."""
    with closing(apsw.Connection(str(home / "lake.db"), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = {number: (namespace, name) for number, namespace, name in connection.execute(TABLES)}
        return {name: _named(connection, statement, names) for name, statement in STATEMENTS.items()}


def _named(connection: apsw.Connection, statement: str, names: dict[object, Name]) -> Rows:
    cursor = connection.execute(statement)
    try:
        columns = [column[0] for column in cursor.getdescription()]
    except apsw.ExecutionCompleteError:
        return set()
    return {tuple(_plain(column, value, names) for column, value in zip(columns, row, strict=True)) for row in cursor}


def _plain(column: str, value: object, names: dict[object, Name]) -> object:
    """The name of a table for its number, and JSON as anybody would write it."""
    if column in {"source", "target"}:
        return names.get(value)
    return canonical(msgspec.json.decode(str(value))) if column == "value" else value


def canonical(value: object) -> str:
    """The value as JSON, the same whatever the order of its keys."""
    return msgspec.json.encode(value, order="sorted").decode()
