-- name: lineage.add_data
INSERT INTO run_data (run_id, role, table_id, snapshot_id, uri, stated, at, told_at, stale, age_s, deferred)
VALUES (:run_id, :role, :table_id, :snapshot_id, :uri, :stated, :at, :told_at, :stale, :age_s, :deferred)
ON CONFLICT (run_id, role, table_id, snapshot_id) DO NOTHING;

-- name: lineage.get_data
SELECT table_id, snapshot_id, uri, stated, at, told_at, stale, age_s, deferred FROM run_data
WHERE run_id = :run_id AND role = :role AND table_id = :table_id AND snapshot_id = :snapshot_id;

-- name: lineage.put_data
UPDATE run_data SET uri = :uri, stated = :stated, at = :at, told_at = :told_at,
                    stale = :stale, age_s = :age_s, deferred = :deferred
WHERE run_id = :run_id AND role = :role AND table_id = :table_id AND snapshot_id = :snapshot_id;

-- name: lineage.drop_output
DELETE FROM run_data
WHERE run_id = :run_id AND role = 'output' AND table_id = :table_id AND snapshot_id = :snapshot_id;

-- name: lineage.unstated_data
SELECT table_id, snapshot_id, at FROM run_data WHERE run_id = :run_id AND role = :role AND stated = 0;

-- name: lineage.add_loose
INSERT INTO loose_data (run_id, role, uri, named, namespace, pinned, output, at, table_id, snapshot_id, of_others)
VALUES (:run_id, :role, :uri, :named, :namespace, :pinned, :output, :at, :table_id, :snapshot_id, :of_others)
ON CONFLICT (run_id, role, uri, named, namespace, pinned, output, at) DO NOTHING;

-- name: lineage.loose_near
-- Those that a snapshot of this table and URI, created since then, may concern: the others point at a newer one. Of its
-- own run an output may prefer it to a newer one.
SELECT l.run_id, l.role, l.uri, l.named, l.namespace, l.pinned, l.output, l.at, l.table_id, l.snapshot_id,
       l.of_others
FROM loose_data l LEFT JOIN snapshots s ON s.snapshot_id = l.snapshot_id
WHERE l.named = :table_id AND l.uri = '' AND l.pinned = '' AND l.role = 'input' AND l.at >= :since
  AND (s.created_at IS NULL OR s.created_at <= :until)
UNION ALL
SELECT l.run_id, l.role, l.uri, l.named, l.namespace, l.pinned, l.output, l.at, l.table_id, l.snapshot_id,
       l.of_others
FROM loose_data l LEFT JOIN snapshots s ON s.snapshot_id = l.snapshot_id
WHERE l.uri = :uri AND l.uri <> '' AND (l.named = :table_id OR l.namespace = :namespace) AND l.at >= :since
  AND (s.created_at IS NULL OR s.created_at <= :until OR l.role = 'output' AND l.run_id = :run_id);

-- name: lineage.as_of_others
SELECT table_id, snapshot_id FROM snapshots
WHERE table_id = :table_id AND created_at <= :as_of AND implied <> 3 AND (run_id IS NULL OR run_id <> :run_id)
ORDER BY created_at DESC, snapshot_id DESC LIMIT 1;

-- name: lineage.point
UPDATE loose_data SET table_id = :table_id, snapshot_id = :snapshot_id
WHERE run_id = :run_id AND role = :role AND uri = :uri AND named = :named AND namespace = :namespace
  AND pinned = :pinned AND output = :output AND at = :at;

-- name: lineage.forget_stated
DELETE FROM loose_data WHERE run_id = :run_id AND role = 'input' AND output = :output;

-- name: lineage.forget_of_others
DELETE FROM loose_data
WHERE run_id = :run_id AND role = 'input' AND named = :table_id AND pinned = '' AND output = '' AND of_others = 1;

-- name: lineage.lift_loose
-- What is on the run by loose tellings alone. A row that an older SDK wrote has neither a moment nor a loose telling.
DELETE FROM run_data WHERE run_id = :run_id AND told_at IS NULL AND EXISTS (
    SELECT 1 FROM loose_data l WHERE l.run_id = run_data.run_id AND l.role = run_data.role
                                 AND l.table_id = run_data.table_id AND l.snapshot_id = run_data.snapshot_id);

-- name: lineage.keep_told
UPDATE run_data SET at = told_at WHERE run_id = :run_id AND at <> told_at;

-- name: lineage.lay_loose
INSERT INTO run_data (run_id, role, table_id, snapshot_id, uri, at)
SELECT run_id, role, table_id, snapshot_id, nullif(max(uri), ''), min(at)
FROM loose_data WHERE run_id = :run_id GROUP BY run_id, role, table_id, snapshot_id
ON CONFLICT (run_id, role, table_id, snapshot_id) DO UPDATE SET at = excluded.at WHERE excluded.at < run_data.at;

-- name: pairs.sources_of
SELECT DISTINCT d.table_id, d.snapshot_id, d.at FROM loose_data l
JOIN run_data d ON d.run_id = l.run_id AND d.role = l.role AND d.table_id = l.table_id AND d.snapshot_id = l.snapshot_id
WHERE l.run_id = :run_id AND l.role = 'input' AND l.output = :output;

-- name: pairs.sides
-- The run's hub, how many others there are, and how many on this side: counted only where a product might be too large.
SELECT s.hub, s.others, CASE WHEN s.hub = 0 AND s.others > 0 THEN (
    SELECT count(*) FROM (SELECT 1 FROM run_data WHERE run_id = :run_id AND role = :role AND stated = 0 LIMIT :most) own
) ELSE 0 END AS own
FROM (SELECT
    coalesce((SELECT table_id FROM tables WHERE namespace = '' AND name = :run_id), 0) AS hub,
    (SELECT count(*) FROM (SELECT 1 FROM run_data WHERE run_id = :run_id AND role = :other AND stated = 0 LIMIT :most) o)
        AS others
) s;

-- name: pairs.count_edge
-- Before the pair is added: a run that has no pair of the two tables yet is one more.
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id)
VALUES (:source, :job_id, :target, :at, :at, 1, :run_id)
ON CONFLICT (source, job_id, target) DO UPDATE SET
    first_seen = min(edges.first_seen, excluded.first_seen),
    last_seen = CASE WHEN edges.run_count = 0 THEN excluded.last_seen ELSE max(edges.last_seen, excluded.last_seen) END,
    run_count = edges.run_count + CASE WHEN EXISTS (
        SELECT 1 FROM pairs p WHERE p.run_id = :run_id AND p.source = :source AND p.target = :target
    ) THEN 0 ELSE 1 END,
    last_run_id = CASE WHEN edges.run_count = 0
                         OR (excluded.last_seen, excluded.last_run_id) > (edges.last_seen, edges.last_run_id)
                       THEN excluded.last_run_id ELSE edges.last_run_id END;

-- name: pairs.add
INSERT INTO pairs (run_id, source, target, source_snapshot, target_snapshot, at)
VALUES (:run_id, :source, :target, :source_snapshot, :target_snapshot, :at)
ON CONFLICT (run_id, source, target, source_snapshot, target_snapshot) DO NOTHING;

-- name: pairs.edges_of_run
SELECT source, target, min(at) AS first_seen, max(at) AS last_seen FROM pairs WHERE run_id = :run_id GROUP BY source, target;

-- name: pairs.drop
DELETE FROM pairs WHERE run_id = :run_id;

-- name: pairs.add_all
INSERT INTO pairs (run_id, source, target, source_snapshot, target_snapshot, at)
SELECT run_id, table_id, 0, snapshot_id, '', at FROM run_data WHERE run_id = :run_id AND role = 'input'
UNION
SELECT run_id, 0, table_id, '', snapshot_id, at FROM run_data WHERE run_id = :run_id AND role = 'output'
UNION
SELECT run_id, table_id, :hub, snapshot_id, '', at FROM run_data WHERE run_id = :run_id AND role = 'input' AND :hub <> 0
UNION
SELECT run_id, :hub, table_id, '', snapshot_id, at FROM run_data
WHERE run_id = :run_id AND role = 'output' AND stated = 0 AND :hub <> 0
UNION
SELECT i.run_id, i.table_id, o.table_id, i.snapshot_id, o.snapshot_id, max(i.at, o.at)
FROM run_data i JOIN run_data o ON o.run_id = i.run_id AND o.role = 'output' AND o.stated = 0
WHERE i.run_id = :run_id AND i.role = 'input' AND :hub = 0
UNION
SELECT i.run_id, i.table_id, o.table_id, i.snapshot_id, o.snapshot_id, max(i.at, o.at)
FROM loose_data l
JOIN run_data i ON i.run_id = l.run_id AND i.role = 'input' AND i.table_id = l.table_id AND i.snapshot_id = l.snapshot_id
JOIN run_data o ON o.run_id = l.run_id AND o.role = 'output' AND o.snapshot_id = l.output AND o.stated = 1
WHERE l.run_id = :run_id AND l.role = 'input' AND l.output <> '';

-- name: pairs.drop_edge
DELETE FROM edges WHERE source = :source AND job_id = :job_id AND target = :target AND declared_at IS NULL;

-- name: pairs.leave_declared
-- What was declared of a job stays when none of its runs has taken the step.
UPDATE edges SET run_count = 0, last_run_id = '', first_seen = declared_at, last_seen = declared_at
WHERE source = :source AND job_id = :job_id AND target = :target;

-- name: pairs.count_edge_anew
-- Run by run, by the key of pairs: one end of a half edge is in half of all pairs, so its index leads through them all.
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id)
SELECT p.source, :job_id, p.target, min(p.at), max(p.at), count(DISTINCT p.run_id), (
    SELECT l.run_id FROM runs n CROSS JOIN pairs l
    WHERE n.job_id = :job_id AND l.run_id = n.run_id AND l.source = :source AND l.target = :target
    ORDER BY l.at DESC, l.run_id DESC LIMIT 1
) FROM runs r CROSS JOIN pairs p
WHERE r.job_id = :job_id AND p.run_id = r.run_id AND p.source = :source AND p.target = :target
GROUP BY p.source, p.target
ON CONFLICT (source, job_id, target) DO UPDATE SET
    first_seen = min(edges.declared_at, excluded.first_seen), last_seen = excluded.last_seen,
    run_count = excluded.run_count, last_run_id = excluded.last_run_id;
