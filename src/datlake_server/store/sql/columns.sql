-- name: columns.of_run
SELECT source, source_field, target_field, transformations, at FROM column_pairs
WHERE run_id = :run_id AND target = :target;

-- name: columns.all_of_run
SELECT source, source_field, target, target_field FROM column_pairs WHERE run_id = :run_id;

-- name: columns.add
-- source, source_field, target, target_field, transformations, at, run_id
INSERT INTO column_pairs (run_id, source, source_field, target, target_field, transformations, at)
VALUES (?7, ?1, ?2, ?3, ?4, ?5, ?6);

-- name: columns.put
UPDATE column_pairs SET transformations = :transformations, at = :at
WHERE run_id = :run_id AND target = :target AND target_field = :target_field AND source = :source
  AND source_field = :source_field;

-- name: columns.drop
DELETE FROM column_pairs WHERE run_id = :run_id AND source = :source AND source_field = :source_field
    AND target = :target AND target_field = :target_field;

-- name: columns.count_one
-- One run more; the transformations are those of the run that told last. As columns.add, and then job_id.
INSERT INTO column_edges (source, source_field, job_id, target, target_field, transformations,
                          first_seen, last_seen, run_count, last_run_id)
VALUES (?1, ?2, ?8, ?3, ?4, ?5, ?6, ?6, 1, ?7)
ON CONFLICT (source, source_field, job_id, target, target_field) DO UPDATE SET
    first_seen = min(column_edges.first_seen, excluded.first_seen),
    last_seen = CASE WHEN column_edges.run_count = 0 THEN excluded.last_seen
                     ELSE max(column_edges.last_seen, excluded.last_seen) END,
    run_count = column_edges.run_count + 1,
    transformations = CASE WHEN column_edges.run_count = 0
        OR (excluded.last_seen, excluded.last_run_id) > (column_edges.last_seen, column_edges.last_run_id)
        THEN excluded.transformations ELSE column_edges.transformations END,
    last_run_id = CASE WHEN column_edges.run_count = 0
        OR (excluded.last_seen, excluded.last_run_id) > (column_edges.last_seen, column_edges.last_run_id)
        THEN excluded.last_run_id ELSE column_edges.last_run_id END;

-- name: columns.drop_edge
DELETE FROM column_edges WHERE source = :source AND source_field = :source_field AND job_id = :job_id
    AND target = :target AND target_field = :target_field AND declared_at IS NULL;

-- name: columns.leave_declared
-- What was declared stays when none of the job's runs tells of it.
UPDATE column_edges SET transformations = coalesce(declared, transformations), first_seen = declared_at,
                        last_seen = declared_at, run_count = 0, last_run_id = ''
WHERE source = :source AND source_field = :source_field AND job_id = :job_id
    AND target = :target AND target_field = :target_field;

-- name: columns.count_anew
INSERT INTO column_edges (source, source_field, job_id, target, target_field, transformations,
                          first_seen, last_seen, run_count, last_run_id)
SELECT :source, :source_field, :job_id, :target, :target_field, l.transformations, l.first_seen, l.at, l.run_count, l.run_id
FROM (
    SELECT p.transformations, p.at, p.run_id, min(p.at) OVER () AS first_seen, count(*) OVER () AS run_count
    FROM runs r CROSS JOIN column_pairs p
    WHERE r.job_id = :job_id AND p.run_id = r.run_id AND p.target = :target AND p.target_field = :target_field
      AND p.source = :source AND p.source_field = :source_field
    ORDER BY p.at DESC, p.run_id DESC LIMIT 1
) l WHERE true
ON CONFLICT (source, source_field, job_id, target, target_field) DO UPDATE SET
    transformations = excluded.transformations, first_seen = min(column_edges.declared_at, excluded.first_seen),
    last_seen = excluded.last_seen, run_count = excluded.run_count, last_run_id = excluded.last_run_id;

-- name: columns.declare
INSERT INTO column_edges (source, source_field, job_id, target, target_field, transformations,
                          first_seen, last_seen, run_count, last_run_id, declared_at, declared)
VALUES (:source, :source_field, :job_id, :target, :target_field, :transformations, :at, :at, 0, '', :at, :transformations)
ON CONFLICT (source, source_field, job_id, target, target_field) DO UPDATE SET
    first_seen = min(column_edges.first_seen, excluded.first_seen),
    last_seen = CASE WHEN column_edges.run_count = 0 THEN min(column_edges.last_seen, excluded.last_seen)
                     ELSE column_edges.last_seen END,
    transformations = CASE WHEN column_edges.run_count = 0
        THEN max(column_edges.transformations, excluded.transformations) ELSE column_edges.transformations END,
    declared_at = coalesce(min(column_edges.declared_at, excluded.declared_at), excluded.declared_at),
    declared = coalesce(max(column_edges.declared, excluded.declared), excluded.declared);
