-- name: marquez.namespaces
SELECT n.name, coalesce(m.owner, 'anonymous') AS owner, m.description,
       (SELECT min(at) FROM (SELECT m.created_at AS at
                             UNION ALL SELECT min(created_at) FROM jobs WHERE namespace = n.name
                             UNION ALL SELECT min(created_at) FROM tables WHERE namespace = n.name)) AS created_at,
       (SELECT max(at) FROM (SELECT m.updated_at AS at
                             UNION ALL SELECT max(created_at) FROM jobs WHERE namespace = n.name
                             UNION ALL SELECT max(created_at) FROM tables WHERE namespace = n.name)) AS updated_at
FROM (SELECT name FROM marquez_namespaces UNION SELECT namespace FROM jobs UNION SELECT namespace FROM tables) n
     LEFT JOIN marquez_namespaces m ON m.name = n.name
WHERE n.name <> '' AND (
    NOT EXISTS (SELECT 1 FROM marquez_hidden h WHERE h.namespace = n.name AND h.name = '' AND h.kind = 'namespace'
                                                 AND h.at >= coalesce(m.updated_at, 0))
    OR EXISTS (SELECT 1 FROM marquez_jobs j WHERE j.namespace = n.name)
    OR EXISTS (SELECT 1 FROM marquez_tables t WHERE t.namespace = n.name))
ORDER BY n.name LIMIT :limit OFFSET :offset;

-- name: marquez.namespace
SELECT n.name, coalesce(m.owner, 'anonymous') AS owner, m.description,
       (SELECT min(at) FROM (SELECT m.created_at AS at
                             UNION ALL SELECT min(created_at) FROM jobs WHERE namespace = n.name
                             UNION ALL SELECT min(created_at) FROM tables WHERE namespace = n.name)) AS created_at,
       (SELECT max(at) FROM (SELECT m.updated_at AS at
                             UNION ALL SELECT max(created_at) FROM jobs WHERE namespace = n.name
                             UNION ALL SELECT max(created_at) FROM tables WHERE namespace = n.name)) AS updated_at
FROM (SELECT :name AS name) n LEFT JOIN marquez_namespaces m ON m.name = n.name
WHERE n.name <> ''
  AND (m.name IS NOT NULL OR EXISTS (SELECT 1 FROM jobs j WHERE j.namespace = n.name)
       OR EXISTS (SELECT 1 FROM tables t WHERE t.namespace = n.name))
  AND (NOT EXISTS (SELECT 1 FROM marquez_hidden h WHERE h.namespace = n.name AND h.name = '' AND h.kind = 'namespace'
                                                    AND h.at >= coalesce(m.updated_at, 0))
       OR EXISTS (SELECT 1 FROM marquez_jobs j WHERE j.namespace = n.name)
       OR EXISTS (SELECT 1 FROM marquez_tables t WHERE t.namespace = n.name));

-- name: marquez.put_namespace
INSERT INTO marquez_namespaces (name, owner, description, created_at, updated_at)
VALUES (:name, :owner, :description, :now, :now)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, description = excluded.description, updated_at = excluded.updated_at;

-- name: marquez.hide
INSERT INTO marquez_hidden (namespace, name, kind, at) VALUES (:namespace, :name, :kind, :now)
ON CONFLICT (namespace, name, kind) DO UPDATE SET at = excluded.at;

-- name: marquez.sources
SELECT name, type, url, description, created_at, updated_at FROM marquez_sources
UNION ALL
SELECT name, NULL, url, NULL, created_at, updated_at FROM marquez_told_sources
WHERE name NOT IN (SELECT s.name FROM marquez_sources s)
ORDER BY name LIMIT :limit OFFSET :offset;

-- name: marquez.source
SELECT name, type, url, description, created_at, updated_at FROM marquez_sources WHERE name = :name
UNION ALL
SELECT * FROM (
    SELECT f.value ->> '$.name' AS name, NULL, CAST(f.value ->> '$.uri' AS TEXT), NULL, f.at,
           (SELECT max(x.at) FROM openlineage_facets x INDEXED BY openlineage_sources
            WHERE x.kind = 'dataset' AND x.run_id = '' AND x.name = 'dataSource' AND x.value ->> '$.name' = :name)
    FROM openlineage_facets f INDEXED BY openlineage_sources
    WHERE f.kind = 'dataset' AND f.run_id = '' AND f.name = 'dataSource' AND f.value ->> '$.name' = :name
    ORDER BY f.at LIMIT 1)
LIMIT 1;

-- name: marquez.put_source
INSERT INTO marquez_sources (name, type, url, description, created_at, updated_at)
VALUES (:name, :type, :url, :description, :now, :now)
ON CONFLICT (name) DO UPDATE SET
    type = excluded.type, url = excluded.url, description = excluded.description, updated_at = excluded.updated_at;

-- name: marquez.all_tags
WITH RECURSIVE used (name) AS (
    SELECT min(key) FROM tags
    UNION ALL SELECT (SELECT min(key) FROM tags WHERE key > used.name) FROM used WHERE used.name IS NOT NULL)
SELECT n.name, m.description
FROM (SELECT u.name FROM used u WHERE EXISTS (SELECT 1 FROM tags t WHERE t.key = u.name AND t.deleted = 0)
      UNION SELECT name FROM marquez_tags) n LEFT JOIN marquez_tags m ON m.name = n.name
ORDER BY n.name LIMIT :limit OFFSET :offset;

-- name: marquez.put_tag
INSERT INTO marquez_tags (name, description, created_at) VALUES (:name, :description, :now)
ON CONFLICT (name) DO UPDATE SET description = excluded.description;

-- name: marquez.label
INSERT INTO tags (kind, run_id, subject, field, key, value, source, at, digest, deleted)
VALUES (:kind, '', :subject, :field, :key, NULL, 'USER', :now, '', :deleted)
ON CONFLICT (kind, run_id, subject, field, key) DO UPDATE SET
    value = CASE WHEN tags.deleted = 0 THEN tags.value END, source = excluded.source, at = max(tags.at, excluded.at),
    deleted = excluded.deleted;

-- name: marquez.labels
SELECT subject, field, key, value FROM tags
WHERE kind = :kind AND run_id = '' AND subject IN (SELECT value FROM json_each(:subjects)) AND deleted = 0
ORDER BY subject, field, key;

-- name: marquez.count_jobs
SELECT count(*) AS n FROM marquez_jobs WHERE namespace = :namespace;

-- name: marquez.jobs_of_namespace
SELECT job_id, namespace, name, created_at, description FROM marquez_jobs WHERE namespace = :namespace
ORDER BY name LIMIT :limit OFFSET :offset;

-- name: marquez.count_all_jobs
SELECT count(*) AS n FROM marquez_jobs;

-- name: marquez.all_jobs
SELECT job_id, namespace, name, created_at, description FROM marquez_jobs
ORDER BY namespace, name LIMIT :limit OFFSET :offset;

-- name: marquez.job
SELECT job_id, namespace, name, created_at, description FROM marquez_jobs WHERE namespace = :namespace AND name = :name;

-- name: marquez.jobs
SELECT job_id, namespace, name, created_at, description FROM marquez_jobs
WHERE job_id IN (SELECT value FROM json_each(:job_ids));

-- name: marquez.data_of_jobs
-- Every input has an edge to nothing, and every output one from nothing. A table is shown as the one that stands for it.
SELECT d.job_id, d.role, t.table_id, t.namespace, t.name, max(d.first_seen) AS first_seen, v.table_id IS NOT NULL AS is_shown
FROM (SELECT e.job_id, 'input' AS role, e.source AS table_id, e.first_seen FROM edges e
      WHERE e.target = 0 AND e.source <> 0 AND e.job_id IN (SELECT value FROM json_each(:job_ids))
      UNION ALL
      SELECT e.job_id, 'output', e.target, e.first_seen FROM edges e
      WHERE e.source = 0 AND e.target <> 0 AND e.job_id IN (SELECT value FROM json_each(:job_ids))) d
     LEFT JOIN same_tables g ON g.table_id = d.table_id
     JOIN tables t ON t.table_id = coalesce(g.group_id, d.table_id)
     LEFT JOIN marquez_tables v ON v.table_id = t.table_id
WHERE t.namespace <> ''
GROUP BY d.job_id, d.role, t.table_id ORDER BY d.job_id, d.role, t.namespace, t.name LIMIT :limit;

-- name: marquez.latest_runs
SELECT r.job_id, r.run_id FROM json_each(:job_ids) j
JOIN runs r ON r.run_id IN (SELECT x.run_id FROM runs x WHERE x.job_id = j.value
                            ORDER BY x.started_at DESC, x.run_id DESC LIMIT :count)
ORDER BY r.job_id, r.started_at DESC, r.run_id DESC;

-- name: marquez.runs_of_job
SELECT run_id FROM runs WHERE job_id = :job_id ORDER BY started_at DESC, run_id DESC LIMIT :limit OFFSET :offset;

-- name: marquez.count_runs
SELECT count(*) AS n FROM runs WHERE job_id = :job_id;

-- name: marquez.runs
-- The parent's job is what a facet calls it where nothing is known of the parent itself.
SELECT r.run_id, r.job_id, j.namespace, j.name, r.state, r.started_at, r.ended_at, r.last_seen_at,
       coalesce(pj.name, (SELECT f.value ->> '$.job.name' FROM openlineage_facets f
                          WHERE f.run_id = r.run_id AND f.subject = 0 AND f.kind = 'run' AND f.name = 'parent'
                            AND r.parent_run_id <> '' AND (f.value ->> '$._deleted') IS NOT 1
                            AND json_type(f.value, '$.job.name') = 'text' AND f.value ->> '$.job.name' <> j.name)) AS parent_name,
       CASE WHEN r.origin & 1 THEN 1
            ELSE EXISTS (SELECT 1 FROM openlineage_events e
                         WHERE e.run_id = r.run_id AND e.event_type IN ('START', 'RUNNING')) END AS is_started
FROM runs r JOIN jobs j ON j.job_id = r.job_id
     LEFT JOIN runs p ON p.run_id = r.parent_run_id LEFT JOIN jobs pj ON pj.job_id = p.job_id
WHERE r.run_id IN (SELECT value FROM json_each(:run_ids));

-- name: marquez.data_of_runs
SELECT run_id, role, table_id, namespace, name, whole_namespace, whole_name, snapshot_id
FROM (SELECT d.run_id, d.role, t.table_id, t.namespace, t.name, w.namespace AS whole_namespace, w.name AS whole_name,
             d.snapshot_id, row_number() OVER (PARTITION BY d.run_id ORDER BY d.role, d.table_id, d.snapshot_id) AS place
      FROM run_data d JOIN tables t ON t.table_id = d.table_id
           LEFT JOIN same_tables g ON g.table_id = t.table_id
           JOIN tables w ON w.table_id = coalesce(g.group_id, t.table_id)
      WHERE d.run_id IN (SELECT value FROM json_each(:run_ids)) AND t.namespace <> '')
WHERE place <= :most ORDER BY run_id, role, namespace, name, snapshot_id;

-- name: marquez.facets_of_runs
SELECT kind, run_id, subject, name, value FROM openlineage_facets
WHERE kind IN ('run', 'input', 'output') AND run_id IN (SELECT value FROM json_each(:run_ids)) AND name <> 'job.lineage'
  AND (value ->> '$._deleted') IS NOT 1
ORDER BY kind, run_id, subject, name;

-- name: marquez.facets
SELECT subject, name, value FROM openlineage_facets
WHERE kind = :kind AND run_id = '' AND subject IN (SELECT value FROM json_each(:subjects))
  AND (value ->> '$._deleted') IS NOT 1
ORDER BY subject, name;

-- name: marquez.metadata_of_runs
SELECT run_id, key, value FROM facets
WHERE run_id IN (SELECT value FROM json_each(:run_ids)) AND section = 'metadata' ORDER BY run_id, key;

-- name: marquez.count_tables
SELECT count(*) AS n FROM marquez_tables WHERE namespace = :namespace;

-- name: marquez.tables_of_namespace
SELECT table_id FROM marquez_tables WHERE namespace = :namespace ORDER BY name LIMIT :limit OFFSET :offset;

-- name: marquez.tables
SELECT t.table_id, t.namespace, t.name, t.created_at, t.description, s.snapshot_id, s.created_at AS written_at,
       coalesce(r.state, 'completed') AS run_state, s.schema, s.fields,
       (SELECT l.state FROM lifecycle l WHERE l.table_id = t.table_id ORDER BY l.at DESC, l.state DESC, l.run_id DESC LIMIT 1)
       AS lifecycle
FROM marquez_tables t LEFT JOIN snapshots s ON s.snapshot_id = t.latest_id LEFT JOIN runs r ON r.run_id = s.run_id
WHERE t.table_id IN (SELECT value FROM json_each(:table_ids));

-- name: marquez.count_snapshots
SELECT count(*) AS n FROM snapshots WHERE table_id = :table_id;

-- name: marquez.snapshots_of_table
SELECT snapshot_id FROM snapshots WHERE table_id = :table_id ORDER BY version DESC LIMIT :limit OFFSET :offset;

-- name: marquez.lifecycle_of_runs
SELECT run_id, state FROM lifecycle
WHERE table_id = :table_id AND run_id IN (SELECT value FROM json_each(:run_ids)) ORDER BY at, state;

-- name: marquez.jobs_near
SELECT job_id FROM edges WHERE source IN (SELECT value FROM json_each(:table_ids)) AND job_id <> 0
UNION
SELECT job_id FROM edges WHERE target IN (SELECT value FROM json_each(:table_ids)) AND job_id <> 0
LIMIT :limit;

-- name: marquez.members
SELECT table_id FROM same_tables WHERE group_id IN (SELECT value FROM json_each(:table_ids));

-- name: marquez.tables_named
-- By their own names, then by others that they have.
SELECT n.key AS place, t.table_id FROM json_each(:names) n
JOIN tables t ON t.namespace = n.value ->> 0 AND t.name = n.value ->> 1
UNION ALL
SELECT n.key + :names_count, a.table_id FROM json_each(:names) n
JOIN aliases a ON a.namespace = n.value ->> 0 AND a.name = n.value ->> 1 AND a.deleted = 0
ORDER BY place, table_id;

-- name: marquez.jobs_named
SELECT n.key AS place, j.job_id FROM json_each(:names) n
JOIN jobs j ON j.namespace = n.value ->> 0 AND j.name = n.value ->> 1 ORDER BY place;

-- name: marquez.read_by_runs
SELECT d.run_id, t.namespace, t.name, nullif(d.snapshot_id, '') AS snapshot_id, s.run_id AS made_by
FROM run_data d JOIN tables t ON t.table_id = d.table_id
     LEFT JOIN snapshots s ON s.snapshot_id = d.snapshot_id
WHERE d.run_id IN (SELECT value FROM json_each(:run_ids)) AND d.role = 'input' AND t.namespace <> ''
ORDER BY d.run_id, t.namespace, t.name, d.snapshot_id LIMIT :limit;

-- name: marquez.count_events
-- By kind: that index is a fraction of the other one.
SELECT count(*) AS n FROM openlineage_events
WHERE event_type IN ('START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL', 'OTHER', 'JOB', 'DATASET')
  AND event_at >= :after AND event_at < :before;

-- name: marquez.events_up
SELECT seq, length(body) AS size FROM openlineage_events WHERE event_at >= :after AND event_at < :before
ORDER BY event_at, digest LIMIT :limit OFFSET :offset;

-- name: marquez.events_down
SELECT seq, length(body) AS size FROM openlineage_events WHERE event_at >= :after AND event_at < :before
ORDER BY event_at DESC, digest DESC LIMIT :limit OFFSET :offset;

-- name: marquez.event_bodies
SELECT seq, body FROM openlineage_events WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: marquez.events_by_interval
SELECT i.key AS place, k.value AS event_type,
       (SELECT count(*) FROM openlineage_events e
        WHERE e.event_type = k.value AND e.event_at >= i.value ->> 0 AND e.event_at < i.value ->> 1) AS n
FROM json_each(:intervals) i, json_each(:event_types) k;

-- name: marquez.jobs_by_quarter
-- How many there are since when, in quarters of an hour, which every zone's hours and days are made of; the first of
-- them has all that were there before.
SELECT max(created_at / 900000000, :since) AS quarter, count(*) AS n FROM jobs GROUP BY 1 ORDER BY 1;

-- name: marquez.tables_by_quarter
SELECT max(created_at / 900000000, :since) AS quarter, count(*) AS n FROM tables WHERE namespace <> '' GROUP BY 1 ORDER BY 1;

-- name: marquez.sources_by_quarter
SELECT max(created_at / 900000000, :since) AS quarter, count(*) AS n
FROM (SELECT name, created_at FROM marquez_sources
      UNION ALL SELECT name, created_at FROM marquez_told_sources
                WHERE name NOT IN (SELECT s.name FROM marquez_sources s))
GROUP BY 1 ORDER BY 1;

-- name: marquez.columns_up
-- What feeds these columns: themselves by name, and each of a table by what feeds all of it.
SELECT c.value ->> 0 AS target, c.value ->> 1 AS target_field, e.source, e.source_field, e.transformations
FROM json_each(:columns) c
JOIN column_edges e ON e.target = c.value ->> 0 AND e.target_field IN (c.value ->> 1, '')
WHERE e.source_field <> '' AND e.first_seen <= :as_of
ORDER BY c.key, e.source, e.source_field, e.job_id LIMIT :limit;

-- name: marquez.columns_down
SELECT e.target, e.target_field, e.source, e.source_field, e.transformations
FROM json_each(:columns) c
JOIN column_edges e ON e.source = c.value ->> 0 AND e.source_field = c.value ->> 1
WHERE e.target_field <> '' AND e.first_seen <= :as_of
ORDER BY c.key, e.target, e.target_field, e.job_id LIMIT :limit;

-- name: marquez.columns_told_of
-- The columns of tables that lineage alone may have told of.
SELECT DISTINCT target AS table_id, target_field AS field FROM column_edges
WHERE target IN (SELECT value FROM json_each(:table_ids)) AND target_field <> '' ORDER BY target, target_field LIMIT :limit;

-- name: marquez.wholes
-- The tables with the one that stands for all that are the same.
SELECT t.table_id, coalesce(g.group_id, t.table_id) AS whole_id FROM tables t
LEFT JOIN same_tables g ON g.table_id = t.table_id
WHERE t.table_id IN (SELECT value FROM json_each(:table_ids));

-- name: marquez.versions_as_of
SELECT t.value AS table_id, (SELECT s.snapshot_id FROM snapshots s WHERE s.table_id = t.value AND s.created_at <= :as_of
                             ORDER BY s.created_at DESC, s.snapshot_id DESC LIMIT 1) AS snapshot_id
FROM json_each(:table_ids) t;
