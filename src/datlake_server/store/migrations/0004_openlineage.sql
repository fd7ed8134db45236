-- What OpenLineage producers tell, column lineage, other names of a table, and labels. Only adds: an older reader goes on.

-- Every event as it came; digest is the sha256 of its canonical JSON. The run, job or table that it is about.
CREATE TABLE openlineage_events (
    seq         INTEGER PRIMARY KEY,
    digest      TEXT NOT NULL UNIQUE,
    event_at    INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    event_type  TEXT NOT NULL,           -- START … OTHER, and JOB or DATASET for events without a run
    run_id      TEXT,
    job_id      INTEGER,
    table_id    INTEGER,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX openlineage_events_of_run ON openlineage_events (run_id, event_at) WHERE run_id IS NOT NULL;
CREATE INDEX openlineage_events_by_time ON openlineage_events (event_at);

-- Facets: of two with one name the later (at, digest) stays; one that says `_deleted` stays too, and is not shown.
-- kind: run (run_id), job (subject = job_id), dataset (subject = table_id), and what is known of a dataset as the input
-- or output of one run (run_id and subject = table_id). The key begins with the run, so that what one event tells lies close
-- together; values are large, so the table is none without row ids, which would put most of them on pages of their own.
CREATE TABLE openlineage_facets (
    kind    TEXT NOT NULL,
    run_id  TEXT NOT NULL,
    subject INTEGER NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    PRIMARY KEY (run_id, subject, kind, name)
) STRICT;

-- What a run was told to read and write, with the store's own version or ''.
CREATE TABLE openlineage_data (
    run_id   TEXT NOT NULL,
    role     TEXT NOT NULL,
    table_id INTEGER NOT NULL,
    version  TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    PRIMARY KEY (run_id, role, table_id, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX openlineage_data_by_version ON openlineage_data (table_id, version, role) WHERE version <> '';

-- The id that a producer gave, where it is no UUID. origin: 1 an SDK told of the run, 2 OpenLineage did, 3 both.
-- claimed_at: when the job that the run is of was told; the earliest stays, and what an SDK told (0) is before all.
ALTER TABLE runs ADD COLUMN external_id TEXT;
ALTER TABLE runs ADD COLUMN origin INTEGER NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN claimed_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_start ON runs (started_at, run_id);

ALTER TABLE snapshots ADD COLUMN store_version TEXT;
CREATE INDEX snapshots_by_store_version ON snapshots (table_id, store_version) WHERE store_version IS NOT NULL;

-- 1: it reads what others wrote, never what its own run did.
ALTER TABLE loose_data ADD COLUMN of_others INTEGER NOT NULL DEFAULT 0;

-- Since when the step is declared for the job, whether or not a run has taken it.
ALTER TABLE edges ADD COLUMN declared_at INTEGER;

-- Other names of a table: symlinks and storage. Tables that share a name are the same thing: those that are more than
-- one have a group, which follows from the names alone.
CREATE TABLE aliases (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    table_id  INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    deleted   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, name, table_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_table ON aliases (table_id);
CREATE TABLE same_tables (
    table_id INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL
) STRICT;
CREATE INDEX same_tables_of_group ON same_tables (group_id, table_id);

-- Which column fed which in a run. An empty source_field is the whole source, an empty target_field every column.
CREATE TABLE column_pairs (
    run_id          TEXT NOT NULL,
    source          INTEGER NOT NULL,
    source_field    TEXT NOT NULL,
    target          INTEGER NOT NULL,
    target_field    TEXT NOT NULL,
    transformations TEXT NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (run_id, target, target_field, source, source_field)
) STRICT, WITHOUT ROWID;

-- The same over all runs of a job; job_id 0 where a dataset alone told of it.
CREATE TABLE column_edges (
    source          INTEGER NOT NULL,
    source_field    TEXT NOT NULL,
    job_id          INTEGER NOT NULL,
    target          INTEGER NOT NULL,
    target_field    TEXT NOT NULL,
    transformations TEXT NOT NULL,
    first_seen      INTEGER NOT NULL,
    last_seen       INTEGER NOT NULL,
    run_count       INTEGER NOT NULL,
    last_run_id     TEXT NOT NULL,
    declared_at     INTEGER,
    PRIMARY KEY (source, source_field, job_id, target, target_field)
) STRICT, WITHOUT ROWID;
CREATE INDEX column_edges_by_target ON column_edges (target, target_field, job_id, source, source_field);

-- Jobs that feed jobs without a dataset between them, as a run ('' for a declaration) told.
CREATE TABLE job_pairs (
    run_id TEXT NOT NULL,
    source INTEGER NOT NULL,
    target INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (run_id, source, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_pairs_by_source ON job_pairs (source, target);
CREATE INDEX job_pairs_by_target ON job_pairs (target, source);

-- What happened to a table: CREATE, ALTER, RENAME, DROP … `other` is the table that it was before it was renamed.
CREATE TABLE lifecycle (
    table_id INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    state    TEXT NOT NULL,
    run_id   TEXT NOT NULL,
    other    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_id, at, state, run_id)
) STRICT, WITHOUT ROWID;

-- Labels. kind: run (run_id), job, table (subject); a table's may be of one column. Of two with one key the later stays.
CREATE TABLE tags (
    kind    TEXT NOT NULL,
    run_id  TEXT NOT NULL,
    subject INTEGER NOT NULL,
    field   TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT,
    source  TEXT,
    at      INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, run_id, subject, field, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_key ON tags (key, kind, run_id, subject, field);
