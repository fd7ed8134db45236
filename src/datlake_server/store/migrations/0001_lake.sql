-- The first shape of a lake. Times are microseconds since 1970 in UTC, ids are text, JSON is kept as it came.
-- Migrations only add: an older reader must go on working.

-- min_reader: the oldest number of migrations whose reader still understands this lake.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO facts (name, value) VALUES ('min_reader', 1);

CREATE TABLE jobs (
    job_id      INTEGER PRIMARY KEY,
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    owner       TEXT,
    description TEXT,
    UNIQUE (namespace, name)
) STRICT;

CREATE TABLE tables (
    table_id             INTEGER PRIMARY KEY,
    namespace            TEXT NOT NULL,
    name                 TEXT NOT NULL,
    created_at           INTEGER NOT NULL,
    latest_id            TEXT,
    snapshot_count       INTEGER NOT NULL DEFAULT 0,
    location             TEXT,
    owner                TEXT,
    description          TEXT,
    expected_freshness_s INTEGER,
    compatibility        TEXT,
    UNIQUE (namespace, name)
) STRICT;

CREATE TABLE runs (
    run_id        TEXT PRIMARY KEY,
    job_id        INTEGER NOT NULL,
    namespace     TEXT NOT NULL,
    state         TEXT NOT NULL,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    last_seen_at  INTEGER NOT NULL,
    lost_after_us INTEGER,               -- null: this run announced no heartbeat and is never presumed lost
    parent_run_id TEXT,
    error         TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_of_job ON runs (job_id, started_at, run_id);
CREATE INDEX runs_of_namespace ON runs (namespace, started_at, run_id);
CREATE INDEX runs_by_state ON runs (namespace, state, started_at, run_id);
CREATE INDEX runs_of_parent ON runs (parent_run_id, started_at, run_id) WHERE parent_run_id IS NOT NULL;

-- Every end that was reported; the run shows the smallest (ended_at, op_key).
CREATE TABLE endings (
    run_id      TEXT NOT NULL,
    ended_at    INTEGER NOT NULL,
    state       TEXT NOT NULL,
    op_key      TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    error       TEXT,
    PRIMARY KEY (run_id, ended_at, state)
) STRICT, WITHOUT ROWID;

-- Metadata and environment, a key a row; of two values the later (at, digest) stays.
CREATE TABLE facets (
    run_id  TEXT NOT NULL,
    section TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    PRIMARY KEY (run_id, section, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
    run_id     TEXT NOT NULL,
    uri        TEXT NOT NULL,
    type       TEXT NOT NULL,
    name       TEXT,
    size_bytes INTEGER,
    sha256     TEXT,
    PRIMARY KEY (run_id, uri, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    snapshot_id    TEXT PRIMARY KEY,
    table_id       INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    uri            TEXT NOT NULL,
    format         TEXT NOT NULL,
    schema         TEXT NOT NULL,
    fields         TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    accepted_at    INTEGER NOT NULL,
    run_id         TEXT,
    job_name       TEXT,
    row_count      INTEGER,
    size_bytes     INTEGER,
    metadata       TEXT NOT NULL,
    column_lineage TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    late           INTEGER NOT NULL DEFAULT 0,
    UNIQUE (table_id, version)
) STRICT;
CREATE INDEX snapshots_by_time ON snapshots (table_id, created_at, snapshot_id);
CREATE INDEX snapshots_by_uri ON snapshots (uri, created_at, snapshot_id);

-- What a run read (role 'input') and wrote ('output'). snapshot_id is '' where no snapshot is known.
-- stated = 1: the output named its own inputs, so the product with the run's other inputs does not hold for it.
CREATE TABLE run_data (
    run_id      TEXT NOT NULL,
    role        TEXT NOT NULL,
    table_id    INTEGER NOT NULL,
    snapshot_id TEXT NOT NULL,
    uri         TEXT,
    stated      INTEGER NOT NULL DEFAULT 0,
    at          INTEGER NOT NULL,
    PRIMARY KEY (run_id, role, table_id, snapshot_id)
) STRICT, WITHOUT ROWID;

-- What fed what in which run; 0 and '' stand for nothing, so that a run that only reads is there too.
CREATE TABLE pairs (
    run_id          TEXT NOT NULL,
    source          INTEGER NOT NULL,
    target          INTEGER NOT NULL,
    source_snapshot TEXT NOT NULL,
    target_snapshot TEXT NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (run_id, source, target, source_snapshot, target_snapshot)
) STRICT, WITHOUT ROWID;
CREATE INDEX pairs_by_target ON pairs (target, target_snapshot, run_id);
CREATE INDEX pairs_by_source ON pairs (source, source_snapshot, run_id);

-- The same over all runs of a job: what lineage walks.
CREATE TABLE edges (
    source      INTEGER NOT NULL,
    job_id      INTEGER NOT NULL,
    target      INTEGER NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    run_count   INTEGER NOT NULL,
    last_run_id TEXT NOT NULL,
    PRIMARY KEY (source, job_id, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX edges_by_target ON edges (target, job_id, source);
CREATE INDEX edges_by_job ON edges (job_id, source, target);

CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id    TEXT NOT NULL UNIQUE,
    namespace   TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    data        TEXT NOT NULL,
    job_name    TEXT,
    run_id      TEXT,
    created_at  INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_run ON events (run_id, seq) WHERE run_id IS NOT NULL;

CREATE TABLE objects (
    namespace  TEXT NOT NULL,
    bucket     TEXT NOT NULL,
    object     TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, bucket, object)
) STRICT, WITHOUT ROWID;
