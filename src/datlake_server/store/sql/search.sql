-- name: search.by_name
SELECT entry_id, kind, subject, is_alias, namespace, name, about FROM search_entries
WHERE folded < :beyond AND (folded, kind, entry_id) > (:after, :after_kind, :after_id)
  AND (:kind = 0 OR kind = :kind) AND (:namespace = '' OR subject = 0 OR namespace = :namespace)
ORDER BY folded, kind, entry_id LIMIT :limit;

-- name: search.entry
SELECT folded, kind, entry_id FROM search_entries WHERE entry_id = :entry_id;

-- name: search.by_words
SELECT e.entry_id, e.kind, e.subject, e.is_alias, e.namespace, e.name, e.about
FROM search_words w CROSS JOIN search_entries e ON e.entry_id = w.rowid
WHERE w.search_words MATCH :words AND w.rowid > :after_id
  AND (:kind = 0 OR e.kind = :kind) AND (:namespace = '' OR e.subject = 0 OR e.namespace = :namespace)
ORDER BY w.rowid LIMIT :limit;

-- name: search.by_letters
SELECT e.entry_id, e.kind, e.subject, e.is_alias, e.namespace, e.name, e.about
FROM search_letters w CROSS JOIN search_entries e ON e.entry_id = w.rowid
WHERE w.search_letters MATCH :words AND w.rowid > :after_id
  AND (:kind = 0 OR e.kind = :kind) AND (:namespace = '' OR e.subject = 0 OR e.namespace = :namespace)
ORDER BY w.rowid LIMIT :limit;

-- name: search.runs_by_id
SELECT r.run_id, r.namespace, j.name, coalesce(r.external_id, '') AS about FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.run_id >= :first AND r.run_id < :beyond AND (:namespace = '' OR r.namespace = :namespace)
ORDER BY r.run_id LIMIT :limit;

-- name: search.runs_by_external_id
SELECT r.run_id, r.namespace, j.name, r.external_id AS about FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.external_id < :beyond AND (r.external_id, r.run_id) > (:first, :after_run)
  AND (:namespace = '' OR r.namespace = :namespace)
ORDER BY r.external_id, r.run_id LIMIT :limit;

-- name: search.run
SELECT r.run_id, r.namespace, '' AS name, coalesce(r.external_id, '') AS about FROM runs r WHERE r.run_id = :run_id;

-- name: search.names_of
SELECT entry_id, kind, subject, is_alias, namespace, name, about FROM search_entries
WHERE kind = :kind AND subject = :subject AND subject <> 0 ORDER BY is_alias, entry_id LIMIT :limit;

-- name: search.tables_with
SELECT t.table_id, t.namespace, t.name FROM search_fields f CROSS JOIN tables t ON t.table_id = f.table_id
WHERE f.entry_id = :entry_id AND (f.namespace, f.table_id) > (:after_namespace, :after)
ORDER BY f.namespace, f.table_id LIMIT :limit;

-- name: search.tables_of_namespace_with
SELECT t.table_id, t.namespace, t.name FROM search_fields f CROSS JOIN tables t ON t.table_id = f.table_id
WHERE f.entry_id = :entry_id AND f.namespace = :after_namespace AND f.table_id > :after ORDER BY f.table_id LIMIT :limit;

-- name: search.namespace_of
SELECT table_id, namespace, name FROM tables WHERE table_id = :table_id;

-- name: search.labelled
SELECT g.kind, g.run_id, g.subject, g.field,
       coalesce(t.namespace, j.namespace, r.namespace) AS namespace, coalesce(t.name, j.name, o.name) AS name
FROM tags g LEFT JOIN tables t ON g.kind = 'table' AND t.table_id = g.subject
     LEFT JOIN jobs j ON g.kind = 'job' AND j.job_id = g.subject
     LEFT JOIN runs r ON g.kind = 'run' AND r.run_id = g.run_id LEFT JOIN jobs o ON o.job_id = r.job_id
WHERE g.key = :key AND coalesce(g.value, '') = :value AND g.deleted = 0
  AND (g.kind, g.run_id, g.subject) >= (:from_kind, :from_run, :from_subject)
  AND coalesce(t.name, j.name, o.name) IS NOT NULL
  AND (:namespace = '' OR coalesce(t.namespace, j.namespace, r.namespace) = :namespace)
ORDER BY g.kind, g.run_id, g.subject, g.field LIMIT :limit;
