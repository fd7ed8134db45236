-- name: events.insert
INSERT INTO events (event_id, namespace, event_type, data, job_name, run_id, created_at, received_at)
VALUES (:event_id, :namespace, :event_type, :data, :job_name, :run_id, :created_at, :now)
ON CONFLICT (event_id) DO NOTHING;

-- name: events.get
SELECT seq, event_id, namespace, event_type, data, job_name, run_id, created_at, received_at
FROM events WHERE event_id = :event_id;

-- name: events.page
SELECT seq, event_id, namespace, event_type, data, job_name, run_id, created_at, received_at
FROM events WHERE run_id = :run_id AND namespace = :namespace AND seq > :after
  AND (:event_type IS NULL OR event_type = :event_type)
ORDER BY seq LIMIT :limit;

-- name: objects.get
SELECT namespace, bucket, object, size_bytes, sha256, created_at FROM objects
WHERE namespace = :namespace AND bucket = :bucket AND object = :object;

-- name: objects.put
INSERT INTO objects (namespace, bucket, object, size_bytes, sha256, created_at)
VALUES (:namespace, :bucket, :object, :size_bytes, :sha256, :at)
ON CONFLICT (namespace, bucket, object) DO UPDATE SET
    size_bytes = excluded.size_bytes, sha256 = excluded.sha256, created_at = excluded.created_at;

-- name: objects.page
SELECT namespace, bucket, object, size_bytes, sha256, created_at FROM objects
WHERE namespace = :namespace AND bucket = :bucket AND object > :after AND object >= :prefix AND object < :beyond
ORDER BY object LIMIT :limit;
