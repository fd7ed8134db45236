-- name: export.runs
SELECT r.run_id, r.job_id, j.name AS job_name, r.namespace, r.state, r.started_at, r.ended_at, r.last_seen_at,
       r.lost_after_us, r.process, r.parent_run_id, r.error, r.external_id, r.origin, r.started_at AS at, r.run_id AS id
FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE (r.started_at, r.run_id) > (:after_at, :after_id)
ORDER BY r.started_at, r.run_id LIMIT :limit;

-- name: export.runs_of_namespace
SELECT r.run_id, r.job_id, j.name AS job_name, r.namespace, r.state, r.started_at, r.ended_at, r.last_seen_at,
       r.lost_after_us, r.process, r.parent_run_id, r.error, r.external_id, r.origin, r.started_at AS at, r.run_id AS id
FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.namespace = :namespace AND (r.started_at, r.run_id) > (:after_at, :after_id)
ORDER BY r.started_at, r.run_id LIMIT :limit;

-- name: export.events_of_run
-- The first one however large it is, then as many as `bytes` allow; so below.
SELECT e.event_at AS at, e.digest AS id, e.body FROM (
    SELECT digest, sum(size) OVER (ORDER BY event_at, digest) - size AS before FROM (
        SELECT event_at, digest, octet_length(body) AS size FROM openlineage_events
        WHERE run_id = :run_id AND (event_at, digest) > (:after_at, :after_id)
        ORDER BY event_at, digest LIMIT :limit)) p
JOIN openlineage_events e ON e.digest = p.digest WHERE p.before < :bytes ORDER BY e.event_at, e.digest;

-- name: export.events_of_no_run
SELECT e.event_at AS at, e.digest AS id, e.body FROM (
    SELECT digest, sum(size) OVER (ORDER BY event_at, digest) - size AS before FROM (
        SELECT e.event_at, e.digest, octet_length(e.body) AS size
        FROM openlineage_events e LEFT JOIN jobs j ON j.job_id = e.job_id LEFT JOIN tables t ON t.table_id = e.table_id
        WHERE e.run_id IS NULL AND (e.event_at, e.digest) > (:after_at, :after_id)
          AND (:namespace = '' OR coalesce(j.namespace, t.namespace) = :namespace)
        ORDER BY e.event_at, e.digest LIMIT :limit)) p
JOIN openlineage_events e ON e.digest = p.digest WHERE p.before < :bytes ORDER BY e.event_at, e.digest;

-- name: export.jobs
-- Those of which somebody said something.
SELECT j.job_id AS id, j.namespace, j.name, j.created_at, j.owner, j.description,
       NULL AS location, NULL AS expected_freshness_s, NULL AS compatibility
FROM jobs j
WHERE j.job_id > :after AND (:namespace = '' OR j.namespace = :namespace)
  AND (j.owner IS NOT NULL OR j.description IS NOT NULL
       OR EXISTS (SELECT 1 FROM tags g WHERE g.kind = 'job' AND g.run_id = '' AND g.subject = j.job_id))
ORDER BY j.job_id LIMIT :limit;

-- name: export.tables
SELECT t.table_id AS id, t.namespace, t.name, t.created_at, t.owner, t.description,
       t.location, t.expected_freshness_s, t.compatibility
FROM tables t
WHERE t.table_id > :after AND t.namespace <> '' AND (:namespace = '' OR t.namespace = :namespace)
  AND (t.owner IS NOT NULL OR t.description IS NOT NULL OR t.location IS NOT NULL
       OR t.expected_freshness_s IS NOT NULL OR t.compatibility IS NOT NULL
       OR EXISTS (SELECT 1 FROM tags g WHERE g.kind = 'table' AND g.run_id = '' AND g.subject = t.table_id))
ORDER BY t.table_id LIMIT :limit;

-- name: export.snapshots_of_no_run
SELECT s.created_at AS at, s.snapshot_id AS id, t.location FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.run_id IS NULL AND s.implied < 2 AND (s.created_at, s.snapshot_id) > (:after_at, :after_id)
  AND (:namespace = '' OR t.namespace = :namespace)
ORDER BY s.created_at, s.snapshot_id LIMIT :limit;

-- name: export.kept
SELECT section, key, value, at FROM facets WHERE run_id = :run_id ORDER BY section, at, key;

-- name: export.endings
SELECT state, ended_at, op_key, error FROM endings WHERE run_id = :run_id ORDER BY ended_at, op_key, state;

-- name: export.artifacts
SELECT type, uri, nullif(name, '') AS name, size_bytes, sha256 FROM artifacts WHERE run_id = :run_id ORDER BY type, uri;

-- name: export.tags
-- A label without a key marks until when labels were taken back: it follows from the events that did so.
SELECT field, key, value, source, at, digest, deleted FROM tags
WHERE kind = :kind AND run_id = :run_id AND subject = :subject AND key <> '' ORDER BY field, key;

-- name: export.logged
-- As many as `bytes` allow, and one at least.
SELECT e.seq, e.event_id, e.event_type, e.data, e.created_at FROM (
    SELECT seq, size, sum(size) OVER (ORDER BY seq) AS upto FROM (
        SELECT seq, octet_length(data) AS size FROM events
        WHERE run_id = :run_id AND seq > :after ORDER BY seq LIMIT :limit)) p
JOIN events e ON e.seq = p.seq WHERE p.upto <= :bytes OR p.upto = p.size ORDER BY e.seq;

-- name: export.data
SELECT d.role, d.table_id, t.namespace, t.name AS table_name, t.location, d.snapshot_id, d.uri, d.stated, d.at, d.told_at,
       d.stale, d.age_s, d.deferred,
       coalesce(octet_length(s.schema) + octet_length(s.fields) + 2 * octet_length(s.column_lineage)
                + octet_length(s.metadata), 0) AS size_bytes
FROM run_data d JOIN tables t ON t.table_id = d.table_id LEFT JOIN snapshots s ON s.snapshot_id = d.snapshot_id
WHERE d.run_id = :run_id AND (d.role, d.table_id, d.snapshot_id) > (:role, :table_id, :snapshot_id)
ORDER BY d.role, d.table_id, d.snapshot_id LIMIT :limit;

-- name: export.loose
-- What was told without a snapshot, of these places of the run or as what these outputs were made from.
SELECT l.role, l.uri, n.namespace AS named_namespace, n.name AS named_name, l.namespace, l.pinned, l.output, l.at,
       t.namespace AS table_namespace, t.name AS table_name, d.stale, d.age_s, d.deferred
FROM loose_data l JOIN tables t ON t.table_id = l.table_id LEFT JOIN tables n ON n.table_id = l.named
     LEFT JOIN run_data d ON d.run_id = l.run_id AND d.role = l.role AND d.table_id = l.named AND d.snapshot_id = l.pinned
                         AND l.pinned <> ''
WHERE l.run_id = :run_id AND l.of_others = 0
  AND (l.output IN (SELECT value FROM json_each(:outputs))
       OR l.output = '' AND (l.role, l.table_id, l.snapshot_id) IN (
           SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:places)))
ORDER BY l.at, l.role, l.uri, l.named, l.namespace, l.pinned, l.output;

-- name: export.told_by_events
SELECT o.role, t.namespace, t.name, o.version FROM openlineage_data o JOIN tables t ON t.table_id = o.table_id
WHERE o.run_id = :run_id;

-- name: export.implied
SELECT snapshot_id, implied FROM snapshots WHERE snapshot_id IN (SELECT value FROM json_each(:snapshot_ids));
