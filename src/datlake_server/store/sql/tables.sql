-- name: tables.get
SELECT table_id, namespace, name, created_at, latest_id, snapshot_count, location, owner, description,
       expected_freshness_s, compatibility, by_events
FROM tables WHERE namespace = :namespace AND name = :name;

-- name: tables.by_events
UPDATE tables SET by_events = 1 WHERE table_id = :table_id;

-- name: tables.insert
INSERT INTO tables (namespace, name, created_at, location) VALUES (:namespace, :name, :now, :location)
ON CONFLICT DO NOTHING;

-- name: tables.page
SELECT table_id, namespace, name, created_at, latest_id, snapshot_count, location, owner, description,
       expected_freshness_s, compatibility
FROM tables WHERE namespace = :namespace AND name > :after ORDER BY name LIMIT :limit;

-- name: tables.update
UPDATE tables SET owner = :owner, description = :description, location = :location,
                  expected_freshness_s = :expected_freshness_s, compatibility = :compatibility
WHERE table_id = :table_id;

-- name: tables.moved
UPDATE tables SET latest_id = :latest_id, snapshot_count = max(snapshot_count, :version) WHERE table_id = :table_id;

-- name: tables.find_latest
UPDATE tables SET latest_id = (
    SELECT snapshot_id FROM snapshots s WHERE s.table_id = :table_id AND s.implied <> 3
    ORDER BY s.created_at DESC, s.snapshot_id DESC LIMIT 1)
WHERE table_id = :table_id;

-- name: tables.take_back
-- A version that nobody came after is given out again.
UPDATE tables SET snapshot_count = snapshot_count - 1 WHERE table_id = :table_id AND snapshot_count = :version;

-- name: tables.drop_unused
DELETE FROM tables
WHERE table_id = :table_id AND latest_id IS NULL AND by_events = 0
  AND coalesce(owner, description, compatibility) IS NULL AND expected_freshness_s IS NULL
  AND NOT EXISTS (SELECT 1 FROM pairs p WHERE p.source = :table_id AND p.source <> 0)
  AND NOT EXISTS (SELECT 1 FROM pairs p WHERE p.target = :table_id AND p.target <> 0)
  AND NOT EXISTS (SELECT 1 FROM loose_data l WHERE l.named = :table_id)
  AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.table_id = :table_id)
  AND NOT EXISTS (SELECT 1 FROM edges e WHERE e.source = :table_id)
  AND NOT EXISTS (SELECT 1 FROM edges e WHERE e.target = :table_id)
  AND NOT EXISTS (SELECT 1 FROM column_edges c WHERE c.source = :table_id)
  AND NOT EXISTS (SELECT 1 FROM column_edges c WHERE c.target = :table_id)
  AND NOT EXISTS (SELECT 1 FROM openlineage_facets f WHERE f.kind = 'dataset' AND f.run_id = '' AND f.subject = :table_id)
  AND NOT EXISTS (SELECT 1 FROM tags g WHERE g.kind = 'table' AND g.run_id = '' AND g.subject = :table_id)
  AND NOT EXISTS (SELECT 1 FROM lifecycle y WHERE y.table_id = :table_id);

-- name: tables.drop_hub
DELETE FROM tables WHERE namespace = '' AND name = :run_id;

-- name: snapshots.get
SELECT s.snapshot_id, s.table_id, t.name AS table_name, t.namespace, s.version, s.uri, s.format, s.schema, s.fields,
       s.created_at, s.run_id, s.job_name, s.row_count, s.size_bytes, s.metadata, s.column_lineage, s.fingerprint, s.late,
       s.store_version
FROM snapshots s JOIN tables t ON t.table_id = s.table_id WHERE s.snapshot_id = :snapshot_id;

-- name: snapshots.many
SELECT s.snapshot_id, s.table_id, t.name AS table_name, t.namespace, s.version, s.uri, s.format, s.schema, s.fields,
       s.created_at, s.run_id, s.job_name, s.row_count, s.size_bytes, s.metadata, s.column_lineage, s.fingerprint, s.late,
       s.store_version
FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.snapshot_id IN (SELECT value FROM json_each(:snapshot_ids));

-- name: snapshots.of_version
SELECT snapshot_id FROM snapshots WHERE table_id = :table_id AND version = :version;

-- name: snapshots.of_store_version
SELECT snapshot_id FROM snapshots WHERE table_id = :table_id AND store_version = :version
ORDER BY created_at DESC, snapshot_id DESC LIMIT 1;

-- name: snapshots.called
-- Two are enough to see that the table must be named as well.
SELECT s.snapshot_id FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.store_version = :version AND t.namespace = :namespace LIMIT 2;

-- name: snapshots.as_of
SELECT table_id, snapshot_id FROM snapshots WHERE table_id = :table_id AND created_at <= :as_of AND implied <> 3
ORDER BY created_at DESC, snapshot_id DESC LIMIT 1;

-- name: snapshots.first
SELECT snapshot_id FROM snapshots WHERE table_id = :table_id ORDER BY created_at, snapshot_id LIMIT 1;

-- name: snapshots.of_uri
SELECT s.table_id, s.snapshot_id FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.uri = :uri AND (s.table_id = :named OR t.namespace = :namespace) AND s.created_at <= :as_of
ORDER BY s.created_at DESC, s.snapshot_id DESC LIMIT 1;

-- name: snapshots.own_of_uri
-- By the run: a URI that is written again and again has many snapshots. The sums keep its index by time out of it.
SELECT s.table_id, s.snapshot_id FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.run_id = :run_id AND s.uri = :uri AND (s.table_id = :named OR t.namespace = :namespace) AND s.created_at + 0 <= :as_of
ORDER BY s.created_at + 0 DESC, s.snapshot_id DESC LIMIT 1;

-- name: snapshots.same
SELECT snapshot_id FROM snapshots
WHERE uri = :uri AND fingerprint = :fingerprint AND implied = 0 LIMIT 1;

-- name: snapshots.registered
SELECT snapshot_id FROM snapshots WHERE run_id = :run_id AND uri = :uri AND implied = 0 LIMIT 1;

-- name: snapshots.implied
SELECT s.snapshot_id, s.table_id, t.name AS table_name, t.namespace, s.version, s.uri, s.format, s.schema, s.fields,
       s.created_at, s.run_id, s.job_name, s.row_count, s.size_bytes, s.metadata, s.column_lineage, s.fingerprint, s.late,
       s.store_version
FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.run_id = :run_id AND s.uri = :uri AND s.implied = 1;

-- name: snapshots.page
SELECT snapshot_id, version FROM snapshots WHERE table_id = :table_id AND version < :before
ORDER BY version DESC LIMIT :limit;

-- name: snapshots.insert
INSERT INTO snapshots (snapshot_id, table_id, version, uri, format, schema, fields, created_at, accepted_at, run_id,
                       job_name, row_count, size_bytes, metadata, column_lineage, fingerprint, late, implied,
                       store_version)
VALUES (:snapshot_id, :table_id, :version, :uri, :format, :schema, :fields, :created_at, :now, :run_id,
        :job_name, :row_count, :size_bytes, :metadata, :column_lineage, :fingerprint, :late, :implied,
        :store_version);

-- name: snapshots.restate
UPDATE snapshots SET created_at = :created_at, format = :format, schema = :schema, fields = :fields, fingerprint = :fingerprint
WHERE snapshot_id = :snapshot_id;

-- name: snapshots.drop
DELETE FROM snapshots WHERE snapshot_id = :snapshot_id;

