-- What Marquez's clients tell and nobody else does: whose a namespace is, which stores there are, what a label means, and
-- what they hid. Only adds: an older reader goes on.

CREATE TABLE marquez_namespaces (
    name        TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE marquez_sources (
    name        TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    url         TEXT NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Their clients count on both from the beginning.
INSERT INTO marquez_namespaces (name, owner, description, created_at, updated_at)
SELECT 'default', 'anonymous', 'For all that names no other.', at, at FROM (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS at);
INSERT INTO marquez_sources (name, type, url, description, created_at, updated_at)
SELECT 'default', 'OTHER', '', 'Of datasets that name no other.', at, at FROM (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS at);

CREATE TABLE marquez_tags (
    name        TEXT PRIMARY KEY,
    description TEXT,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- kind: namespace (name ''), job or dataset. Hidden from their lists since `at`, until something is told of it again.
CREATE TABLE marquez_hidden (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (namespace, name, kind)
) STRICT, WITHOUT ROWID;

-- Of the latest runs of a job: whoever tells again of what was hidden does so in one of them.
CREATE VIEW marquez_jobs AS
SELECT j.job_id, j.namespace, j.name, j.created_at, j.description FROM jobs j
WHERE NOT EXISTS (
    SELECT 1 FROM marquez_hidden h
    WHERE h.namespace = j.namespace AND h.name IN ('', j.name) AND h.kind IN ('namespace', 'job')
      AND j.created_at <= h.at
      AND NOT EXISTS (SELECT 1 FROM openlineage_facets f
                      WHERE f.kind = 'job' AND f.run_id = '' AND f.subject = j.job_id AND f.at > h.at)
      AND NOT EXISTS (SELECT 1 FROM edges e WHERE e.job_id = j.job_id AND e.declared_at > h.at)
      AND NOT EXISTS (
          SELECT 1 FROM (SELECT r.last_seen_at FROM runs r WHERE r.job_id = j.job_id
                         ORDER BY r.started_at DESC, r.run_id DESC LIMIT 100) seen
          WHERE seen.last_seen_at > h.at));

CREATE VIEW marquez_tables AS
SELECT t.table_id, t.namespace, t.name, t.created_at, t.latest_id, t.description FROM tables t
WHERE t.namespace <> '' AND NOT EXISTS (
    SELECT 1 FROM marquez_hidden h
    WHERE h.namespace = t.namespace AND h.name IN ('', t.name) AND h.kind IN ('namespace', 'dataset')
      AND t.created_at <= h.at
      AND NOT EXISTS (SELECT 1 FROM openlineage_facets f
                      WHERE f.kind = 'dataset' AND f.run_id = '' AND f.subject = t.table_id AND f.at > h.at)
      AND NOT EXISTS (
          SELECT 1 FROM (SELECT s.accepted_at FROM snapshots s WHERE s.table_id = t.table_id
                         ORDER BY s.created_at DESC, s.snapshot_id DESC LIMIT 20) made
          WHERE made.accepted_at > h.at)
      AND NOT EXISTS (
          SELECT 1 FROM edges e
          WHERE (e.source = t.table_id OR e.target = t.table_id)
            AND (e.last_seen > h.at OR e.declared_at > h.at
                 OR EXISTS (SELECT 1 FROM (SELECT r.run_id, r.last_seen_at FROM runs r WHERE r.job_id = e.job_id
                                           ORDER BY r.started_at DESC, r.run_id DESC LIMIT 20) seen
                            JOIN run_data d ON d.run_id = seen.run_id AND d.role IN ('input', 'output')
                                           AND d.table_id = t.table_id
                            WHERE seen.last_seen_at > h.at))));

CREATE INDEX jobs_by_creation ON jobs (namespace, created_at);
CREATE INDEX tables_by_creation ON tables (namespace, created_at);
CREATE INDEX openlineage_events_by_type ON openlineage_events (event_type, event_at);

-- The stores that datasets name in their facets, each once however many do. SQLite would read all facets of datasets.
CREATE INDEX openlineage_sources ON openlineage_facets (value ->> '$.name', at)
WHERE kind = 'dataset' AND run_id = '' AND name = 'dataSource';
CREATE VIEW marquez_told_sources AS
WITH RECURSIVE told (name) AS (
    SELECT min(f.value ->> '$.name') FROM openlineage_facets f INDEXED BY openlineage_sources
    WHERE f.kind = 'dataset' AND f.run_id = '' AND f.name = 'dataSource' AND f.value ->> '$.name' > ''
    UNION ALL
    SELECT (SELECT min(f.value ->> '$.name') FROM openlineage_facets f INDEXED BY openlineage_sources
            WHERE f.kind = 'dataset' AND f.run_id = '' AND f.name = 'dataSource' AND f.value ->> '$.name' > told.name)
    FROM told WHERE told.name IS NOT NULL)
SELECT t.name,
       (SELECT CAST(f.value ->> '$.uri' AS TEXT) FROM openlineage_facets f INDEXED BY openlineage_sources
        WHERE f.kind = 'dataset' AND f.run_id = '' AND f.name = 'dataSource' AND f.value ->> '$.name' = t.name
        ORDER BY f.at LIMIT 1) AS url,
       (SELECT min(f.at) FROM openlineage_facets f INDEXED BY openlineage_sources
        WHERE f.kind = 'dataset' AND f.run_id = '' AND f.name = 'dataSource' AND f.value ->> '$.name' = t.name) AS created_at,
       (SELECT max(f.at) FROM openlineage_facets f INDEXED BY openlineage_sources
        WHERE f.kind = 'dataset' AND f.run_id = '' AND f.name = 'dataSource' AND f.value ->> '$.name' = t.name) AS updated_at
FROM told t WHERE t.name IS NOT NULL;
