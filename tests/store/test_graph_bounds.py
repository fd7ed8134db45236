"""A snapshot that everything reads: answers stay as small as they are asked for, and say where they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.operations import Impact, Lineage
from datlake_server.lake import Lake
from datlake_server.services.pages import cursor_from

READERS = 100_001
SNAPSHOT = "0193a5c0-0000-7000-8000-0000000000a1"
# One table with one snapshot, and as many runs of one job that read it.
HUB = """
PRAGMA synchronous = OFF;
BEGIN;
INSERT INTO tables (table_id, namespace, name, created_at, latest_id, snapshot_count)
VALUES (1, 'default', 'config', 0, :snapshot, 1);
INSERT INTO snapshots (snapshot_id, table_id, version, uri, format, schema, fields, created_at, accepted_at, metadata,
                       column_lineage, fingerprint)
VALUES (:snapshot, 1, 1, 's3://b/config', 'csv', 'null', '[]', 1, 1, '{}', 'null', '');
INSERT INTO jobs (job_id, namespace, name, created_at) VALUES (1, 'default', 'reader', 0);
INSERT INTO runs (run_id, job_id, namespace, state, started_at, last_seen_at)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :readers)
SELECT printf('0193a5c0-0000-7000-9000-%012x', i), 1, 'default', 'completed', i, i FROM n;
INSERT INTO pairs (run_id, source, target, source_snapshot, target_snapshot, at)
SELECT run_id, 1, 0, :snapshot, '', started_at FROM runs;
COMMIT;
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake with such a snapshot."""
    home = tmp_path_factory.mktemp("hub")
    Lake.open(str(home)).close()
    with closing(apsw.Connection(str(home / "lake.db"))) as connection:
        connection.execute(HUB, {"snapshot": SNAPSHOT, "readers": READERS}).fetchall()
    opened = Lake.open(str(home))
    yield opened
    opened.close()


def test_a_graph_around_it_is_a_page_and_counts_the_rest(lake: Lake) -> None:
    """All its readers are known to be there, and a page of them is shown."""
    first = lake.dispatch(Lineage(kind="snapshot", snapshot_id=SNAPSHOT))
    assert (len(first.nodes), len(first.edges), first.truncated) == (250, 249, True)
    [root] = [node for node in first.nodes if node.id == first.root]
    assert root.hidden_downstream == READERS - 249
    second = lake.dispatch(Lineage(kind="snapshot", snapshot_id=SNAPSHOT, cursor=first.next_cursor))
    assert (len(second.nodes), len(second.edges)) == (250, 250)
    assert not {node.id for node in first.nodes} & {node.id for node in second.nodes}


def test_what_used_it_is_told_as_far_as_a_hundred_thousand(lake: Lake) -> None:
    """Behind that an answer that looked complete would be worse than none."""
    page = lake.dispatch(Impact(snapshot_id=SNAPSHOT, limit=2))
    assert [(one.kind, one.distance) for one in page.items] == [("run", 1), ("run", 1)]
    assert page.next_cursor is not None
    end = cursor_from(1, READERS, "z")
    with pytest.raises(InvalidRequest, match="100,000") as refused:
        lake.dispatch(Impact(snapshot_id=SNAPSHOT, cursor=end))
    assert refused.value.code == "too_many_related"
