-- What a lake must know so that what arrives late changes what it ought to. Only adds: an older reader goes on.

-- Inputs and outputs that name no snapshot, and what outputs were stated to be made from, each as it was told. Where one
-- points (table_id, snapshot_id) follows from the snapshots that are known, and moves when a better one arrives.
CREATE TABLE loose_data (
    run_id      TEXT NOT NULL,
    role        TEXT NOT NULL,
    uri         TEXT NOT NULL,       -- '' where it names none
    named       INTEGER NOT NULL,    -- the table it names, or 0
    namespace   TEXT NOT NULL,       -- where the URI is looked up if it names no table, else ''
    pinned      TEXT NOT NULL,       -- the snapshot it names, which only a stated input has here, or ''
    output      TEXT NOT NULL,       -- the snapshot it was stated to feed, or ''
    at          INTEGER NOT NULL,
    table_id    INTEGER NOT NULL,
    snapshot_id TEXT NOT NULL,
    PRIMARY KEY (run_id, role, uri, named, namespace, pinned, output, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX loose_by_table ON loose_data (named, at);
CREATE INDEX loose_by_uri ON loose_data (uri, at) WHERE uri <> '';

-- The earliest moment at which it was told with its snapshot's id; null where only loose tellings put it there.
ALTER TABLE run_data ADD COLUMN told_at INTEGER;
UPDATE run_data SET told_at = at;
INSERT INTO loose_data (run_id, role, uri, named, namespace, pinned, output, at, table_id, snapshot_id)
SELECT p.run_id, 'input', '', p.source, '', p.source_snapshot, p.target_snapshot, p.at - 1, p.source, p.source_snapshot
FROM run_data d JOIN pairs p ON p.run_id = d.run_id AND p.target = d.table_id AND p.target_snapshot = d.snapshot_id
WHERE d.role = 'output' AND d.stated = 1 AND p.source <> 0;

-- 1: an older client listed it at its run's end; it gives way to what the run registers with the same URI.
ALTER TABLE snapshots ADD COLUMN implied INTEGER NOT NULL DEFAULT 0;
CREATE INDEX snapshots_of_run ON snapshots (run_id, uri) WHERE run_id IS NOT NULL;
