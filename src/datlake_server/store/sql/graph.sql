-- Tables of one group (`same_tables`, whose `group_id` is the table that stands for all of them) are one place: an end is
-- asked for by that table and means all its members, and what is on the other side is told by the one that stands for it.
-- No order is asked for: rows come as the outer loop (`CROSS JOIN` fixes which it is) and one index give them, so that a
-- walk that has seen enough need not wait until a thousand times as many are sorted.
-- What was first seen later is looked up where a moment is asked for alone: for all others the index is enough.

-- name: graph.table_steps_up
SELECT f.value, e.job_id, coalesce(s.group_id, e.source)
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value
CROSS JOIN edges e LEFT JOIN same_tables s ON s.table_id = e.source
WHERE e.target = coalesce(m.table_id, f.value) AND (:as_of IS NULL OR (
    SELECT a.first_seen FROM edges a WHERE a.source = e.source AND a.job_id = e.job_id AND a.target = e.target) <= :as_of)
LIMIT :limit;

-- name: graph.table_steps_down
SELECT f.value, e.job_id, coalesce(t.group_id, e.target)
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value
CROSS JOIN edges e LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.source = coalesce(m.table_id, f.value) AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.job_ends_up
SELECT f.value, coalesce(s.group_id, e.source)
FROM json_each(:jobs) f CROSS JOIN edges e LEFT JOIN same_tables s ON s.table_id = e.source
WHERE e.target = 0 AND e.job_id = f.value AND e.source <> 0 AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.job_ends_down
SELECT f.value, coalesce(t.group_id, e.target)
FROM json_each(:jobs) f CROSS JOIN edges e LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.source = 0 AND e.job_id = f.value AND e.target <> 0 AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.has_links
SELECT EXISTS (SELECT 1 FROM job_pairs);

-- name: graph.links_up
SELECT DISTINCT p.target, p.source FROM json_each(:jobs) f CROSS JOIN job_pairs p
WHERE p.target = f.value AND (:as_of IS NULL OR p.at <= :as_of) LIMIT :limit;

-- name: graph.links_down
SELECT DISTINCT p.source, p.target FROM json_each(:jobs) f CROSS JOIN job_pairs p
WHERE p.source = f.value AND (:as_of IS NULL OR p.at <= :as_of) LIMIT :limit;

-- name: graph.job_steps
SELECT coalesce(s.group_id, e.source), e.job_id, coalesce(t.group_id, e.target)
FROM json_each(:jobs) f CROSS JOIN edges e
LEFT JOIN same_tables s ON s.table_id = e.source LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.job_id = f.value AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.direct_edges
-- What datasets say of themselves: no job stands between.
SELECT e.first_seen, e.last_seen, e.run_count, e.last_run_id, f.value, coalesce(t.group_id, e.target)
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value
CROSS JOIN edges e LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.source = coalesce(m.table_id, f.value) AND e.job_id = 0 AND e.target <> 0
  AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.job_halves
-- All that the jobs read (1) and write (0): table, job, which of it, and the member of its group that the row is of.
SELECT e.first_seen, e.last_seen, e.run_count, e.last_run_id, coalesce(s.group_id, e.source), e.job_id, 1, e.source
FROM json_each(:jobs) f CROSS JOIN edges e LEFT JOIN same_tables s ON s.table_id = e.source
WHERE e.target = 0 AND e.job_id = f.value AND e.source <> 0 AND (:as_of IS NULL OR e.first_seen <= :as_of)
UNION ALL
SELECT e.first_seen, e.last_seen, e.run_count, e.last_run_id, coalesce(t.group_id, e.target), e.job_id, 0, e.target
FROM json_each(:jobs) f CROSS JOIN edges e LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.source = 0 AND e.job_id = f.value AND e.target <> 0 AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.some_job_halves
-- As above, of [table, job, which of it] alone: three times as slow for each, where jobs have thousands.
SELECT e.first_seen, e.last_seen, e.run_count, e.last_run_id,
       f.value ->> 0, f.value ->> 1, f.value ->> 2, coalesce(m.table_id, f.value ->> 0)
FROM json_each(:edges) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN edges e
WHERE e.job_id = f.value ->> 1
  AND e.source = CASE f.value ->> 2 WHEN 1 THEN coalesce(m.table_id, f.value ->> 0) ELSE 0 END
  AND e.target = CASE f.value ->> 2 WHEN 1 THEN 0 ELSE coalesce(m.table_id, f.value ->> 0) END
  AND (:as_of IS NULL OR e.first_seen <= :as_of);

-- name: graph.link_edges
SELECT min(p.at), coalesce(max(CASE WHEN p.run_id <> '' THEN p.at END), max(p.at)), sum(p.run_id <> ''),
       coalesce((SELECT l.run_id FROM job_pairs l WHERE l.source = p.source AND l.target = p.target AND l.run_id <> ''
                 AND (:as_of IS NULL OR l.at <= :as_of) ORDER BY l.at DESC, l.run_id DESC LIMIT 1), ''),
       p.source, p.target
FROM json_each(:edges) f CROSS JOIN job_pairs p
WHERE p.source = f.value ->> 0 AND p.target = f.value ->> 1 AND (:as_of IS NULL OR p.at <= :as_of)
GROUP BY p.source, p.target;

-- name: graph.runs_of_edge
-- How many runs of the job were looked at, and how many of them have a pair of these (source, target).
SELECT count(*), sum(EXISTS (
    SELECT 1 FROM json_each(:ends) k CROSS JOIN pairs p
    WHERE p.run_id = r.run_id AND p.source = k.value ->> 0 AND p.target = k.value ->> 1))
FROM (SELECT run_id FROM runs WHERE job_id = :job_id LIMIT :limit) r;

-- name: graph.table_degrees
-- How many jobs (and tables, where no job stands between) write each table (1) and read it (0); no row is none.
SELECT f.key, 1, count(DISTINCT CASE e.job_id WHEN 0 THEN -coalesce(s.group_id, e.source) ELSE e.job_id END)
FROM json_each(:tables) f LEFT JOIN same_tables m ON m.group_id = f.value
CROSS JOIN edges e LEFT JOIN same_tables s ON e.job_id = 0 AND s.table_id = e.source
WHERE e.target = coalesce(m.table_id, f.value) AND (e.source = 0) <> (e.job_id = 0) AND (:as_of IS NULL OR (
    SELECT a.first_seen FROM edges a WHERE a.source = e.source AND a.job_id = e.job_id AND a.target = e.target) <= :as_of)
GROUP BY f.key
UNION ALL
SELECT f.key, 0, count(DISTINCT CASE e.job_id WHEN 0 THEN -coalesce(t.group_id, e.target) ELSE e.job_id END)
FROM json_each(:tables) f LEFT JOIN same_tables m ON m.group_id = f.value
CROSS JOIN edges e LEFT JOIN same_tables t ON e.job_id = 0 AND t.table_id = e.target
WHERE e.source = coalesce(m.table_id, f.value) AND (e.target = 0) <> (e.job_id = 0)
  AND (:as_of IS NULL OR e.first_seen <= :as_of)
GROUP BY f.key;

-- name: graph.job_degrees
-- How many tables each job reads (1) and writes (0); no row is none.
SELECT f.key, 1, count(DISTINCT coalesce(s.group_id, e.source))
FROM json_each(:jobs) f CROSS JOIN edges e LEFT JOIN same_tables s ON s.table_id = e.source
WHERE e.target = 0 AND e.job_id = f.value AND e.source <> 0 AND (:as_of IS NULL OR e.first_seen <= :as_of)
GROUP BY f.key
UNION ALL
SELECT f.key, 0, count(DISTINCT coalesce(t.group_id, e.target))
FROM json_each(:jobs) f CROSS JOIN edges e LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.source = 0 AND e.job_id = f.value AND e.target <> 0 AND (:as_of IS NULL OR e.first_seen <= :as_of)
GROUP BY f.key;

-- name: graph.link_degrees
-- How many jobs feed each job (1), and how many it feeds (0); no row is none.
SELECT f.key, 1, count(DISTINCT p.source) FROM json_each(:jobs) f CROSS JOIN job_pairs p
WHERE p.target = f.value AND (:as_of IS NULL OR p.at <= :as_of) GROUP BY f.key
UNION ALL
SELECT f.key, 0, count(DISTINCT p.target) FROM json_each(:jobs) f CROSS JOIN job_pairs p
WHERE p.source = f.value AND (:as_of IS NULL OR p.at <= :as_of) GROUP BY f.key;

-- name: graph.tables
SELECT table_id, namespace, name FROM tables WHERE table_id IN (SELECT value FROM json_each(:ids));

-- name: graph.jobs
SELECT job_id, namespace, name FROM jobs WHERE job_id IN (SELECT value FROM json_each(:ids));

-- name: graph.group_of
SELECT group_id FROM same_tables WHERE table_id = :table_id;

-- name: graph.newest
-- The newest snapshot of all that are the same table as this one.
SELECT s.snapshot_id FROM snapshots s
WHERE s.table_id IN (SELECT :table_id UNION ALL SELECT m.table_id FROM same_tables m WHERE m.group_id = :table_id)
  AND s.created_at <= :as_of
ORDER BY s.created_at DESC, s.snapshot_id DESC LIMIT 1;

-- name: graph.run_steps_up
-- An end is [table, snapshot or nothing].
SELECT f.key, p.run_id, coalesce(s.group_id, p.source), p.source_snapshot
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN pairs p LEFT JOIN same_tables s ON s.table_id = p.source
WHERE p.target = coalesce(m.table_id, f.value ->> 0) AND p.target <> 0
  AND p.target_snapshot = f.value ->> 1 AND (:as_of IS NULL OR (
    SELECT a.at FROM pairs a WHERE a.run_id = p.run_id AND a.source = p.source AND a.target = p.target
    AND a.source_snapshot = p.source_snapshot AND a.target_snapshot = p.target_snapshot) <= :as_of)
LIMIT :limit;

-- name: graph.run_steps_down
SELECT f.key, p.run_id, coalesce(t.group_id, p.target), p.target_snapshot
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN pairs p LEFT JOIN same_tables t ON t.table_id = p.target
WHERE p.source = coalesce(m.table_id, f.value ->> 0) AND p.source <> 0
  AND p.source_snapshot = f.value ->> 1 AND (:as_of IS NULL OR (
    SELECT a.at FROM pairs a WHERE a.run_id = p.run_id AND a.source = p.source AND a.target = p.target
    AND a.source_snapshot = p.source_snapshot AND a.target_snapshot = p.target_snapshot) <= :as_of)
LIMIT :limit;

-- name: graph.pairs_of_runs
SELECT p.run_id, coalesce(s.group_id, p.source), p.source_snapshot, coalesce(t.group_id, p.target), p.target_snapshot
FROM json_each(:runs) f CROSS JOIN pairs p
LEFT JOIN same_tables s ON s.table_id = p.source LEFT JOIN same_tables t ON t.table_id = p.target
WHERE p.run_id = f.value AND (:as_of IS NULL OR p.at <= :as_of)
LIMIT :limit;

-- name: graph.run_edges
-- Between a place and a run, by [table, snapshot, run, 1 where the run reads it and 0 where it writes it].
SELECT f.key, min(p.at), max(p.at)
FROM json_each(:edges) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN pairs p
WHERE p.run_id = f.value ->> 2
  AND p.source = CASE f.value ->> 3 WHEN 1 THEN coalesce(m.table_id, f.value ->> 0) ELSE 0 END
  AND p.target = CASE f.value ->> 3 WHEN 1 THEN 0 ELSE coalesce(m.table_id, f.value ->> 0) END
  AND p.source_snapshot = CASE f.value ->> 3 WHEN 1 THEN f.value ->> 1 ELSE '' END
  AND p.target_snapshot = CASE f.value ->> 3 WHEN 1 THEN '' ELSE f.value ->> 1 END
  AND (:as_of IS NULL OR p.at <= :as_of)
GROUP BY f.key;

-- name: graph.place_degrees
-- How many runs write each place (1), and how many read it (0); no row is none.
SELECT f.key, 1, count(DISTINCT p.run_id)
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0 CROSS JOIN pairs p
WHERE p.target = coalesce(m.table_id, f.value ->> 0) AND p.target <> 0
  AND p.target_snapshot = f.value ->> 1 AND +p.source = 0
  AND (:as_of IS NULL OR (
    SELECT a.at FROM pairs a WHERE a.run_id = p.run_id AND a.source = 0 AND a.target = p.target
    AND a.source_snapshot = '' AND a.target_snapshot = p.target_snapshot) <= :as_of)
GROUP BY f.key
UNION ALL
SELECT f.key, 0, count(DISTINCT p.run_id)
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0 CROSS JOIN pairs p
WHERE p.source = coalesce(m.table_id, f.value ->> 0) AND p.source <> 0
  AND p.source_snapshot = f.value ->> 1 AND +p.target = 0
  AND (:as_of IS NULL OR (
    SELECT a.at FROM pairs a WHERE a.run_id = p.run_id AND a.source = p.source AND a.target = 0
    AND a.source_snapshot = p.source_snapshot AND a.target_snapshot = '') <= :as_of)
GROUP BY f.key;

-- name: graph.run_degrees
-- How many places each run reads (1), and how many it writes (0); no row is none.
SELECT f.key, 1, count(DISTINCT coalesce(s.group_id, p.source) || '/' || p.source_snapshot)
FROM json_each(:runs) f CROSS JOIN pairs p LEFT JOIN same_tables s ON s.table_id = p.source
WHERE p.run_id = f.value AND p.target = 0 AND (:as_of IS NULL OR p.at <= :as_of) GROUP BY f.key
UNION ALL
SELECT f.key, 0, count(DISTINCT coalesce(t.group_id, p.target) || '/' || p.target_snapshot)
FROM json_each(:runs) f CROSS JOIN pairs p LEFT JOIN same_tables t ON t.table_id = p.target
WHERE p.run_id = f.value AND p.source = 0 AND (:as_of IS NULL OR p.at <= :as_of) GROUP BY f.key;

-- name: graph.snapshots
SELECT s.snapshot_id, coalesce(g.group_id, s.table_id), t.namespace, t.name, s.version, s.run_id
FROM snapshots s JOIN tables t ON t.table_id = s.table_id LEFT JOIN same_tables g ON g.table_id = s.table_id
WHERE s.snapshot_id IN (SELECT value FROM json_each(:ids));

-- name: graph.runs
SELECT r.run_id, r.namespace, j.name, r.state, r.last_seen_at, r.lost_after_us, r.process
FROM runs r JOIN jobs j ON j.job_id = r.job_id WHERE r.run_id IN (SELECT value FROM json_each(:ids));

-- name: graph.columns_into
-- What feeds these columns, by [table, column]; what feeds every column of the table does.
SELECT f.key, coalesce(s.group_id, e.source), e.source_field,
       e.source, e.source_field, e.job_id, e.target, e.target_field, e.transformations,
       e.first_seen, e.last_seen, e.run_count, e.last_run_id
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN column_edges e LEFT JOIN same_tables s ON s.table_id = e.source
WHERE e.target = coalesce(m.table_id, f.value ->> 0) AND e.target_field IN (f.value ->> 1, '')
  AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.columns_into_tables
-- What feeds any column of these tables.
SELECT f.key, coalesce(s.group_id, e.source), e.source_field,
       e.source, e.source_field, e.job_id, e.target, e.target_field, e.transformations,
       e.first_seen, e.last_seen, e.run_count, e.last_run_id
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN column_edges e LEFT JOIN same_tables s ON s.table_id = e.source
WHERE e.target = coalesce(m.table_id, f.value ->> 0) AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.columns_from
-- What these columns feed, by [table, column]; what the whole table feeds they feed as well.
SELECT f.key, coalesce(t.group_id, e.target), e.target_field,
       e.source, e.source_field, e.job_id, e.target, e.target_field, e.transformations,
       e.first_seen, e.last_seen, e.run_count, e.last_run_id
FROM json_each(:ends) f LEFT JOIN same_tables m ON m.group_id = f.value ->> 0
CROSS JOIN column_edges e LEFT JOIN same_tables t ON t.table_id = e.target
WHERE e.source = coalesce(m.table_id, f.value ->> 0) AND e.source_field IN (f.value ->> 1, '')
  AND (:as_of IS NULL OR e.first_seen <= :as_of)
LIMIT :limit;

-- name: graph.runs_of_columns
-- How many runs of the job were looked at, and how many told of one of these (source, field, target, field).
SELECT count(*), sum(EXISTS (
    SELECT 1 FROM json_each(:ends) k CROSS JOIN column_pairs p
    WHERE p.run_id = r.run_id AND p.source = k.value ->> 0 AND p.source_field = k.value ->> 1
      AND p.target = k.value ->> 2 AND p.target_field = k.value ->> 3))
FROM (SELECT run_id FROM runs WHERE job_id = :job_id LIMIT :limit) r;

-- name: graph.fields_of
-- The fields of the newest snapshot that has any, of all that are the same table as this one.
SELECT n.fields FROM (
    SELECT s.fields, s.created_at, s.snapshot_id FROM snapshots s
    WHERE s.table_id IN (SELECT :table_id UNION ALL SELECT m.table_id FROM same_tables m WHERE m.group_id = :table_id)
      AND (:as_of IS NULL OR s.created_at <= :as_of)
    ORDER BY s.created_at DESC, s.snapshot_id DESC LIMIT :most
) n WHERE n.fields <> '[]' ORDER BY n.created_at DESC, n.snapshot_id DESC LIMIT 1;

-- name: graph.columns_told
-- The columns that lineage tells of.
SELECT e.target_field FROM column_edges e
WHERE e.target IN (SELECT :table_id UNION ALL SELECT m.table_id FROM same_tables m WHERE m.group_id = :table_id)
  AND e.target_field <> '' AND (:as_of IS NULL OR e.first_seen <= :as_of)
UNION
SELECT e.source_field FROM column_edges e
WHERE e.source IN (SELECT :table_id UNION ALL SELECT m.table_id FROM same_tables m WHERE m.group_id = :table_id)
  AND e.source_field <> '' AND (:as_of IS NULL OR e.first_seen <= :as_of)
ORDER BY 1 LIMIT :limit;

-- name: roads.run_moments
SELECT run_id, started_at FROM runs WHERE run_id IN (SELECT value FROM json_each(:ids));

-- name: roads.snapshot_moments
SELECT snapshot_id, created_at FROM snapshots WHERE snapshot_id IN (SELECT value FROM json_each(:ids));

-- name: roads.runs
-- The commit is what the SDK found, else what the run's own events say: the job's facet is of its last run. Events are
-- read where the job has such a facet at all.
SELECT r.run_id, r.namespace, j.name, r.started_at, r.state, r.last_seen_at, r.lost_after_us, r.process,
       coalesce((
           SELECT f.value ->> '$' FROM facets f WHERE f.run_id = r.run_id AND f.section = 'environment' AND f.key = 'git_commit'
       ), CASE WHEN r.origin & 2 AND EXISTS (
           SELECT 1 FROM openlineage_facets x
           WHERE x.kind = 'job' AND x.run_id = '' AND x.subject = r.job_id AND x.name = 'sourceCodeLocation'
       ) THEN (
           SELECT CASE WHEN o.body ->> '$.job.facets.sourceCodeLocation._deleted' THEN NULL
                       ELSE o.body ->> '$.job.facets.sourceCodeLocation.version' END
           FROM openlineage_events o
           WHERE o.run_id = r.run_id AND o.body -> '$.job.facets.sourceCodeLocation' IS NOT NULL
           ORDER BY o.event_at DESC, o.digest DESC LIMIT 1
       ) END),
       (SELECT min(a.uri) FROM artifacts a WHERE a.run_id = r.run_id AND a.type = 'log')
FROM runs r JOIN jobs j ON j.job_id = r.job_id WHERE r.run_id IN (SELECT value FROM json_each(:ids));

-- name: roads.snapshots
SELECT s.snapshot_id, t.namespace, t.name, s.version, s.uri, s.created_at, s.run_id
FROM snapshots s JOIN tables t ON t.table_id = s.table_id WHERE s.snapshot_id IN (SELECT value FROM json_each(:ids));
