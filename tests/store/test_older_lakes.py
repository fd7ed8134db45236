"""A lake that an older Datlake made goes by the rules of today, and what it knew stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import apsw

from datlake_sdk.wire.models import DataRef, Graph
from datlake_sdk.wire.operations import AddInputs, GetRun, GetTable, Lineage
from datlake_server.lake import Lake
from datlake_server.store.statements import migrations

RUN = "0193a5c0-0000-7000-8000-0000000000e1"
READ = "0193a5c0-0000-7000-8000-0000000000e2"
WRITTEN = "0193a5c0-0000-7000-8000-0000000000e3"

# A run read a version of `t`, and `u`, which has none; it wrote `out`, which it stated to be made from `t`.
BEFORE_THE_THIRD = """
PRAGMA user_version = 2;
INSERT INTO jobs (job_id, namespace, name, created_at) VALUES (1, 'default', 'j', 0);
INSERT INTO runs (run_id, job_id, namespace, state, started_at, last_seen_at)
VALUES (:run, 1, 'default', 'running', 9, 9);
INSERT INTO tables (table_id, namespace, name, created_at, latest_id, snapshot_count)
VALUES (1, 'default', 't', 0, :read, 1), (2, 'default', 'u', 0, NULL, 0), (3, 'default', 'out', 0, :written, 1);
INSERT INTO snapshots (snapshot_id, table_id, version, uri, format, schema, fields, created_at, accepted_at, metadata,
                       column_lineage, fingerprint)
VALUES (:read, 1, 1, 's3://b/t', 'csv', 'null', '[]', 5, 5, '{}', 'null', ''),
       (:written, 3, 1, 's3://b/out', 'csv', 'null', '[]', 9, 9, '{}', 'null', '');
INSERT INTO run_data (run_id, role, table_id, snapshot_id, stated, at)
VALUES (:run, 'input', 1, :read, 0, 9), (:run, 'input', 2, '', 0, 9), (:run, 'output', 3, :written, 1, 9);
INSERT INTO pairs (run_id, source, target, source_snapshot, target_snapshot, at)
VALUES (:run, 1, 0, :read, '', 9), (:run, 2, 0, '', '', 9), (:run, 0, 3, '', :written, 9),
       (:run, 1, 3, :read, :written, 9);
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id)
VALUES (1, 1, 0, 9, 9, 1, :run), (2, 1, 0, 9, 9, 1, :run), (0, 1, 3, 9, 9, 1, :run), (1, 1, 3, 9, 9, 1, :run);
"""


def _names(graph: Graph) -> set[tuple[str, str]]:
    known = {node.id: node.name for node in graph.nodes}
    return {(known[edge.source], known[edge.target]) for edge in graph.edges}


def test_what_was_recorded_before_the_rules_stays_when_its_run_is_paired_anew(tmp_path: Path) -> None:
    """What was stated then still feeds nothing else, and a table that had no version still has none."""
    _make_old(tmp_path / "lake.db")
    lake = Lake.open(str(tmp_path))
    earlier = datetime.fromtimestamp(0, UTC)
    item = DataRef(table_name="t", snapshot_id=READ)
    run = lake.dispatch(AddInputs(job_name="j", run_id=RUN, items=[item], added_at=earlier))
    assert [(data.table_name, data.version) for data in run.inputs] == [("t", 1), ("u", None)]
    assert lake.dispatch(GetRun(run_id=RUN)) == run
    assert _names(lake.dispatch(Lineage(name="out", direction="upstream"))) == {("t", "j"), ("j", "out")}
    [from_u] = lake.dispatch(Lineage(name="u")).edges
    assert from_u.count == 1
    assert lake.dispatch(GetTable(table_name="out")).snapshot_count == 1
    lake.close()


def _make_old(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for number, script in migrations():
        if number < 3:
            connection.execute(script).fetchall()
    connection.execute(BEFORE_THE_THIRD, {"run": RUN, "read": READ, "written": WRITTEN}).fetchall()
    connection.close()
