-- name: events.insert
INSERT INTO events (event_id, namespace, event_type, data, job_name, run_id, created_at, received_at)
VALUES (:event_id, :namespace, :event_type, :data, :job_name, :run_id, :created_at, :now)
ON CONFLICT (event_id) DO NOTHING;

-- name: events.get
-- An event that names no job is of its run's, also where it came before the run.
SELECT e.seq, e.event_id, e.namespace, e.event_type, e.data, coalesce(e.job_name, j.name) AS job_name, e.run_id,
       e.created_at, e.received_at
FROM events e LEFT JOIN runs r ON r.run_id = e.run_id AND r.namespace = e.namespace LEFT JOIN jobs j ON j.job_id = r.job_id
WHERE e.event_id = :event_id;

-- name: events.page
SELECT e.seq, e.event_id, e.namespace, e.event_type, e.data, coalesce(e.job_name, j.name) AS job_name, e.run_id,
       e.created_at, e.received_at
FROM events e LEFT JOIN runs r ON r.run_id = e.run_id AND r.namespace = e.namespace LEFT JOIN jobs j ON j.job_id = r.job_id
WHERE e.run_id = :run_id AND e.namespace = :namespace AND e.seq > :after
  AND (:event_type IS NULL OR e.event_type = :event_type)
ORDER BY e.seq LIMIT :limit;

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
