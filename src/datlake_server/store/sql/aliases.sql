-- name: aliases.get
SELECT kind, at, deleted FROM aliases WHERE namespace = :namespace AND name = :name AND table_id = :table_id;

-- name: aliases.put
INSERT INTO aliases (namespace, name, table_id, kind, at, deleted)
VALUES (:namespace, :name, :table_id, :kind, :at, :deleted)
ON CONFLICT (namespace, name, table_id) DO UPDATE SET kind = excluded.kind, at = excluded.at, deleted = excluded.deleted;

-- name: aliases.names
-- What all of the group are called, but for the table's own name.
SELECT t.namespace, t.name FROM tables t
WHERE t.table_id IN (SELECT value FROM json_each(:table_ids)) AND t.table_id <> :table_id
UNION
SELECT a.namespace, a.name FROM aliases a
WHERE a.table_id IN (SELECT value FROM json_each(:table_ids)) AND a.deleted = 0
EXCEPT
SELECT t.namespace, t.name FROM tables t WHERE t.table_id = :table_id
ORDER BY 1, 2 LIMIT :most;

-- name: aliases.another_of_name
-- One is enough: all that have the name are of one group.
SELECT t.table_id FROM tables t WHERE t.namespace = :namespace AND t.name = :name AND t.table_id <> :table_id
UNION ALL
SELECT a.table_id FROM aliases a
WHERE a.namespace = :namespace AND a.name = :name AND a.deleted = 0 AND a.table_id <> :table_id
LIMIT 1;

-- name: aliases.named
SELECT t.table_id, t.namespace, t.name, t.created_at, t.latest_id, t.snapshot_count, t.location, t.owner, t.description,
       t.expected_freshness_s, t.compatibility
FROM aliases a JOIN tables t ON t.table_id = a.table_id
WHERE a.namespace = :namespace AND a.name = :name AND a.deleted = 0
ORDER BY t.namespace LIKE '%://%' OR t.namespace = 'file', t.namespace, t.name LIMIT 1;

-- name: aliases.foremost
SELECT t.table_id FROM tables t WHERE t.table_id IN (SELECT value FROM json_each(:table_ids))
ORDER BY t.namespace LIKE '%://%' OR t.namespace = 'file', t.namespace, t.name LIMIT 1;

-- name: aliases.neighbours
-- Those that share a name with one of these.
SELECT o.table_id FROM tables t JOIN aliases o ON o.namespace = t.namespace AND o.name = t.name AND o.deleted = 0
WHERE t.table_id IN (SELECT value FROM json_each(:table_ids))
UNION
SELECT o.table_id FROM aliases a JOIN tables o ON o.namespace = a.namespace AND o.name = a.name
WHERE a.table_id IN (SELECT value FROM json_each(:table_ids)) AND a.deleted = 0
UNION
SELECT o.table_id FROM aliases a JOIN aliases o ON o.namespace = a.namespace AND o.name = a.name AND o.deleted = 0
WHERE a.table_id IN (SELECT value FROM json_each(:table_ids)) AND a.deleted = 0;

-- name: aliases.group_of
SELECT group_id AS table_id FROM same_tables WHERE table_id = :table_id;

-- name: aliases.members
SELECT table_id FROM same_tables WHERE group_id = (SELECT group_id FROM same_tables WHERE table_id = :table_id)
ORDER BY table_id;

-- name: aliases.move_group
UPDATE same_tables SET group_id = :into WHERE group_id = :group_id;

-- name: aliases.put_member
INSERT INTO same_tables (table_id, group_id) VALUES (:table_id, :group_id)
ON CONFLICT (table_id) DO UPDATE SET group_id = excluded.group_id;

-- name: aliases.drop_members
DELETE FROM same_tables WHERE table_id IN (SELECT value FROM json_each(:table_ids));

-- name: tables.lifecycle
SELECT state FROM lifecycle WHERE table_id = :table_id ORDER BY at DESC, state DESC, run_id DESC LIMIT 1;

-- name: facets.of
SELECT name, value FROM openlineage_facets WHERE kind = :kind AND run_id = :run_id AND subject = :subject ORDER BY name;

-- name: tags.of
SELECT key, value, source, nullif(field, '') AS field FROM tags
WHERE kind = :kind AND run_id = :run_id AND subject = :subject AND deleted = 0 ORDER BY tags.field, key;
