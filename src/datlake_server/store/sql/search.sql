-- name: search.by_name
SELECT entry_id, kind, subject, is_alias, namespace, name, about, folded FROM search_entries
WHERE folded >= :first AND folded < :beyond AND (folded, kind, entry_id) > (:after, :after_kind, :after_id)
  AND (:kind = 0 OR kind = :kind) AND (:namespace = '' OR subject = 0 OR namespace = :namespace)
ORDER BY folded, kind, entry_id LIMIT :limit;

-- name: search.by_words
SELECT e.entry_id, e.kind, e.subject, e.is_alias, e.namespace, e.name, e.about, e.folded
FROM search_words w CROSS JOIN search_entries e ON e.entry_id = w.rowid
WHERE w.search_words MATCH :words AND w.rowid > :after_id
  AND (:kind = 0 OR e.kind = :kind) AND (:namespace = '' OR e.subject = 0 OR e.namespace = :namespace)
ORDER BY w.rowid LIMIT :limit;

-- name: search.by_letters
SELECT e.entry_id, e.kind, e.subject, e.is_alias, e.namespace, e.name, e.about, e.folded
FROM search_letters w CROSS JOIN search_entries e ON e.entry_id = w.rowid
WHERE w.search_letters MATCH :words AND w.rowid > :after_id
  AND (:kind = 0 OR e.kind = :kind) AND (:namespace = '' OR e.subject = 0 OR e.namespace = :namespace)
ORDER BY w.rowid LIMIT :limit;

-- name: search.runs_by_id
SELECT r.run_id, r.namespace, j.name, coalesce(r.external_id, '') AS about, r.run_id AS folded
FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.run_id >= :first AND r.run_id < :beyond AND r.run_id > :after
  AND (:namespace = '' OR r.namespace = :namespace)
ORDER BY r.run_id LIMIT :limit;

-- name: search.runs_by_external_id
SELECT r.run_id, r.namespace, j.name, r.external_id AS about, r.external_id AS folded
FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.external_id >= :first AND r.external_id < :beyond AND (r.external_id, r.run_id) > (:after, :after_run)
  AND (:namespace = '' OR r.namespace = :namespace)
ORDER BY r.external_id, r.run_id LIMIT :limit;

-- name: search.names_of
SELECT entry_id, name FROM search_entries WHERE kind = :kind AND subject = :subject AND subject <> 0
ORDER BY is_alias, entry_id LIMIT :limit;

-- name: search.tables_with
SELECT t.table_id, t.namespace, t.name FROM search_fields f CROSS JOIN tables t ON t.table_id = f.table_id
WHERE f.entry_id = :entry_id AND f.table_id > :after AND (:namespace = '' OR t.namespace = :namespace)
ORDER BY f.table_id LIMIT :limit;

-- name: search.labelled
SELECT g.kind, g.run_id, g.subject, g.field,
       coalesce(t.namespace, j.namespace, r.namespace) AS namespace, coalesce(t.name, j.name, o.name) AS name
FROM tags g LEFT JOIN tables t ON g.kind = 'table' AND t.table_id = g.subject
     LEFT JOIN jobs j ON g.kind = 'job' AND j.job_id = g.subject
     LEFT JOIN runs r ON g.kind = 'run' AND r.run_id = g.run_id LEFT JOIN jobs o ON o.job_id = r.job_id
WHERE g.key = :key AND coalesce(g.value, '') = :value AND g.deleted = 0
  AND (g.kind, g.run_id, g.subject, g.field) > (:after_kind, :after_run, :after_subject, :after_field)
  AND coalesce(t.name, j.name, o.name) IS NOT NULL
  AND (:namespace = '' OR coalesce(t.namespace, j.namespace, r.namespace) = :namespace)
ORDER BY g.kind, g.run_id, g.subject, g.field LIMIT :limit;
