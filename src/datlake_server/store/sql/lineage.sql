-- name: lineage.add_data
INSERT INTO run_data (run_id, role, table_id, snapshot_id, uri, stated, at, stale, age_s, deferred)
VALUES (:run_id, :role, :table_id, :snapshot_id, :uri, :stated, :at, :stale, :age_s, :deferred)
ON CONFLICT (run_id, role, table_id, snapshot_id) DO UPDATE SET
    stale = excluded.stale, age_s = excluded.age_s, deferred = excluded.deferred
WHERE run_data.role = 'input' AND (excluded.stale, excluded.deferred, coalesce(excluded.age_s, 9e999))
                                < (run_data.stale, run_data.deferred, coalesce(run_data.age_s, 9e999));

-- name: lineage.unstated_data
SELECT table_id, snapshot_id, uri FROM run_data WHERE run_id = :run_id AND role = :role AND NOT stated;

-- name: lineage.count_data
SELECT count(*) AS n FROM (
    SELECT 1 FROM run_data WHERE run_id = :run_id AND role = :role AND NOT stated LIMIT :most
);

-- name: lineage.state_data
UPDATE run_data SET stated = 1, uri = :uri
WHERE run_id = :run_id AND role = 'output' AND table_id = :target AND snapshot_id = :target_snapshot;

-- name: lineage.sources_of
SELECT DISTINCT source FROM pairs
WHERE run_id = :run_id AND target = :target AND target_snapshot = :target_snapshot AND source <> 0;

-- name: lineage.unpair
DELETE FROM pairs
WHERE run_id = :run_id AND target = :target AND target_snapshot = :target_snapshot AND source <> 0;

-- name: lineage.drop_edge
DELETE FROM edges WHERE source = :source AND job_id = :job_id AND target = :target;

-- name: lineage.count_edge_anew
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id)
SELECT source, :job_id, target, min(at), max(at), count(DISTINCT run_id), (
    SELECT l.run_id FROM pairs l JOIN runs r ON r.run_id = l.run_id AND r.job_id = :job_id
    WHERE l.source = :source AND l.target = :target ORDER BY l.at DESC, l.run_id DESC LIMIT 1
) FROM pairs
WHERE source = :source AND target = :target AND run_id IN (SELECT run_id FROM runs WHERE job_id = :job_id)
GROUP BY source, target;

-- name: lineage.knows_pair
SELECT 1 AS n FROM pairs WHERE run_id = :run_id AND source = :source AND target = :target LIMIT 1;

-- name: lineage.add_pair
INSERT INTO pairs (run_id, source, target, source_snapshot, target_snapshot, at)
VALUES (:run_id, :source, :target, :source_snapshot, :target_snapshot, :at)
ON CONFLICT DO NOTHING;

-- name: lineage.count_edge
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id)
VALUES (:source, :job_id, :target, :at, :at, 1, :run_id)
ON CONFLICT (source, job_id, target) DO UPDATE SET
    first_seen = min(edges.first_seen, excluded.first_seen),
    last_seen = max(edges.last_seen, excluded.last_seen),
    run_count = edges.run_count + :new_run,
    last_run_id = CASE WHEN (excluded.last_seen, excluded.last_run_id) > (edges.last_seen, edges.last_run_id)
                       THEN excluded.last_run_id ELSE edges.last_run_id END;

-- name: graph.table_steps_up
SELECT e.source, e.job_id AS via, e.target FROM edges e
WHERE e.target IN (SELECT value FROM json_each(:ends)) AND e.first_seen <= :as_of
ORDER BY e.target, e.job_id, e.source LIMIT :limit;

-- name: graph.table_steps_down
SELECT e.source, e.job_id AS via, e.target FROM edges e
WHERE e.source IN (SELECT value FROM json_each(:ends)) AND e.first_seen <= :as_of
ORDER BY e.source, e.job_id, e.target LIMIT :limit;

-- name: graph.job_steps
SELECT e.source, e.job_id AS via, e.target FROM edges e
WHERE e.job_id = :via AND (e.source = 0 OR e.target = 0) AND e.first_seen <= :as_of
ORDER BY e.source, e.target LIMIT :limit;

-- name: graph.table_halves
SELECT e.source, e.job_id AS via, e.target, e.first_seen, e.last_seen, e.run_count, e.last_run_id FROM edges e
WHERE e.source = 0 AND e.target IN (SELECT value FROM json_each(:ends)) AND e.first_seen <= :as_of
UNION ALL
SELECT e.source, e.job_id AS via, e.target, e.first_seen, e.last_seen, e.run_count, e.last_run_id FROM edges e
WHERE e.target = 0 AND e.source IN (SELECT value FROM json_each(:ends)) AND e.first_seen <= :as_of
UNION
SELECT e.source, e.job_id AS via, e.target, e.first_seen, e.last_seen, e.run_count, e.last_run_id FROM edges e
WHERE (e.source = 0 OR e.target = 0) AND e.job_id IN (SELECT value FROM json_each(:vias)) AND e.first_seen <= :as_of
LIMIT :limit;

-- name: graph.tables
SELECT table_id, namespace, name FROM tables WHERE table_id IN (SELECT value FROM json_each(:ids));

-- name: graph.jobs
SELECT job_id, namespace, name FROM jobs WHERE job_id IN (SELECT value FROM json_each(:ids));

-- name: graph.run_steps_up
SELECT p.source, p.source_snapshot, p.run_id AS via, p.target, p.target_snapshot
FROM json_each(:ends) f JOIN pairs p ON p.target = f.value ->> 0 AND p.target_snapshot = f.value ->> 1
WHERE p.at <= :as_of ORDER BY p.target, p.target_snapshot, p.run_id, p.source, p.source_snapshot LIMIT :limit;

-- name: graph.run_steps_down
SELECT p.source, p.source_snapshot, p.run_id AS via, p.target, p.target_snapshot
FROM json_each(:ends) f JOIN pairs p ON p.source = f.value ->> 0 AND p.source_snapshot = f.value ->> 1
WHERE p.at <= :as_of ORDER BY p.source, p.source_snapshot, p.run_id, p.target, p.target_snapshot LIMIT :limit;

-- name: graph.steps_of_run
SELECT p.source, p.source_snapshot, p.run_id AS via, p.target, p.target_snapshot FROM pairs p
WHERE p.run_id = :via AND (p.source = 0 OR p.target = 0) AND p.at <= :as_of
ORDER BY p.source, p.target LIMIT :limit;

-- name: graph.run_halves
SELECT p.source, p.source_snapshot, p.run_id AS via, p.target, p.target_snapshot, p.at
FROM json_each(:ends) f JOIN pairs p ON p.target = f.value ->> 0 AND p.target_snapshot = f.value ->> 1
WHERE p.source = 0 AND p.at <= :as_of
UNION ALL
SELECT p.source, p.source_snapshot, p.run_id AS via, p.target, p.target_snapshot, p.at
FROM json_each(:ends) f JOIN pairs p ON p.source = f.value ->> 0 AND p.source_snapshot = f.value ->> 1
WHERE p.target = 0 AND p.at <= :as_of
UNION
SELECT p.source, p.source_snapshot, p.run_id AS via, p.target, p.target_snapshot, p.at FROM pairs p
WHERE (p.source = 0 OR p.target = 0) AND p.run_id IN (SELECT value FROM json_each(:vias)) AND p.at <= :as_of
LIMIT :limit;
