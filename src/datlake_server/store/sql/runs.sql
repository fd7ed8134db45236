-- name: runs.get
SELECT r.run_id, r.job_id, j.name AS job_name, r.namespace, r.state, r.started_at, r.ended_at, r.last_seen_at,
       r.lost_after_us, r.process, r.parent_run_id, r.error, r.external_id, r.origin
FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.run_id = :run_id;

-- name: runs.insert
INSERT INTO runs (run_id, job_id, namespace, state, started_at, last_seen_at, lost_after_us, parent_run_id, told_parent_id,
                  process)
VALUES (:run_id, :job_id, :namespace, 'running', :started_at, :now, :lost_after_us, :parent_run_id, :parent_run_id, :process);

-- name: runs.merge_start
UPDATE runs SET lost_after_us = coalesce(max(lost_after_us, :lost_after_us), lost_after_us, :lost_after_us),
                parent_run_id = coalesce(min(told_parent_id, :parent_run_id), told_parent_id, :parent_run_id, parent_run_id),
                told_parent_id = coalesce(min(told_parent_id, :parent_run_id), told_parent_id, :parent_run_id),
                process = :process
WHERE run_id = :run_id;

-- name: runs.seen
-- What was seen more than five seconds from now was told by a clock that has been put back since.
UPDATE runs SET last_seen_at = CASE WHEN last_seen_at > :now + 5000000 THEN :now ELSE max(last_seen_at, :now) END
WHERE run_id = :run_id;

-- name: runs.begin_earlier
-- By itself: five indexes hold the moment, and a moment that stays would be written into them again.
UPDATE runs SET started_at = min(started_at, :at) WHERE run_id = :run_id;

-- name: runs.show_ending
UPDATE runs SET (state, ended_at, error) = (
    SELECT e.state, e.ended_at, e.error FROM endings e WHERE e.run_id = :run_id ORDER BY e.ended_at, e.op_key, e.state LIMIT 1)
WHERE run_id = :run_id;

-- name: runs.add_ending
INSERT INTO endings (run_id, ended_at, state, op_key, received_at, error)
VALUES (:run_id, :ended_at, :state, :op_key, :now, :error)
ON CONFLICT (run_id, ended_at, state) DO UPDATE SET error = coalesce(max(error, excluded.error), error, excluded.error);

-- name: runs.endings
SELECT run_id, state, ended_at, received_at, error FROM endings
WHERE run_id IN (SELECT value FROM json_each(:run_ids)) ORDER BY run_id, ended_at, op_key, state;

-- name: runs.put_facet
-- run_id, section, key, value, at, digest
INSERT INTO facets (run_id, section, key, value, at, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (run_id, section, key) DO UPDATE SET value = excluded.value, at = excluded.at, digest = excluded.digest
WHERE (excluded.at, excluded.digest) > (facets.at, facets.digest);

-- name: runs.facets
SELECT run_id, section, key, value FROM facets
WHERE run_id IN (SELECT value FROM json_each(:run_ids)) ORDER BY run_id, section, key;

-- name: runs.add_artifact
INSERT INTO artifacts (run_id, uri, type, name, size_bytes, sha256)
VALUES (:run_id, :uri, :type, :name, :size_bytes, :sha256)
ON CONFLICT (run_id, uri, type) DO UPDATE SET
    name = max(coalesce(artifacts.name, ''), coalesce(excluded.name, '')),
    size_bytes = coalesce(max(artifacts.size_bytes, excluded.size_bytes), artifacts.size_bytes, excluded.size_bytes),
    sha256 = coalesce(max(artifacts.sha256, excluded.sha256), artifacts.sha256, excluded.sha256);

-- name: runs.artifacts
SELECT run_id, type, uri, nullif(name, '') AS name, size_bytes, sha256 FROM artifacts
WHERE run_id IN (SELECT value FROM json_each(:run_ids)) ORDER BY run_id, type, uri;

-- name: runs.data
SELECT d.run_id, d.role, t.name AS table_name, t.namespace, nullif(d.snapshot_id, '') AS snapshot_id,
       s.version, coalesce(s.uri, d.uri) AS uri, s.format, s.row_count, s.size_bytes, d.stale, d.age_s, d.deferred
FROM run_data d JOIN tables t ON t.table_id = d.table_id
     LEFT JOIN snapshots s ON s.snapshot_id = d.snapshot_id AND s.table_id = d.table_id
WHERE d.run_id IN (SELECT value FROM json_each(:run_ids))
ORDER BY d.run_id, d.at, t.name, t.namespace, coalesce(s.created_at, 0), d.snapshot_id;

-- name: runs.many
SELECT r.run_id, r.job_id, j.name AS job_name, r.namespace, r.state, r.started_at, r.ended_at, r.last_seen_at,
       r.lost_after_us, r.process, r.parent_run_id, r.error, r.external_id, r.origin
FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE r.run_id IN (SELECT value FROM json_each(:run_ids));

-- name: runs.page_of_namespace
SELECT run_id, started_at FROM runs
WHERE namespace = :namespace AND started_at >= :since AND started_at < :until
  AND (started_at, run_id) < (:before_at, :before_id)
ORDER BY started_at DESC, run_id DESC LIMIT :limit;

-- name: runs.page_of_job
SELECT r.run_id, r.started_at FROM runs r JOIN jobs j ON j.job_id = r.job_id
WHERE j.namespace = :namespace AND j.name = :job_name AND r.started_at >= :since AND r.started_at < :until
  AND (r.started_at, r.run_id) < (:before_at, :before_id)
ORDER BY r.started_at DESC, r.run_id DESC LIMIT :limit;

-- name: runs.page_filtered
SELECT run_id, started_at FROM runs
WHERE namespace = :namespace AND started_at >= :since AND started_at < :until
  AND (started_at, run_id) < (:before_at, :before_id)
  AND (:state IS NULL OR state = :state)
  AND (:parent_run_id IS NULL OR parent_run_id = :parent_run_id)
  AND (:job_name IS NULL OR job_id = (SELECT job_id FROM jobs WHERE namespace = :namespace AND name = :job_name))
ORDER BY started_at DESC, run_id DESC LIMIT :limit;

-- name: runs.page_unended
SELECT run_id, started_at, last_seen_at, lost_after_us, process FROM runs
WHERE namespace = :namespace AND state = 'running' AND started_at >= :since AND started_at < :until
  AND (started_at, run_id) < (:before_at, :before_id)
  AND (:sees AND process IS NOT NULL OR :lost = coalesce(
      max(lost_after_us, :least_us) < :now - CASE WHEN last_seen_at > :to_come THEN :instead
                                                  ELSE max(last_seen_at, :listening) END, 0))
  AND (:parent_run_id IS NULL OR parent_run_id = :parent_run_id)
  AND (:job_name IS NULL OR job_id = (SELECT job_id FROM jobs WHERE namespace = :namespace AND name = :job_name))
ORDER BY started_at DESC, run_id DESC LIMIT :limit;

-- name: jobs.get
SELECT job_id, namespace, name, created_at, owner, description FROM jobs WHERE namespace = :namespace AND name = :name;

-- name: jobs.insert
INSERT INTO jobs (namespace, name, created_at) VALUES (:namespace, :name, :now)
ON CONFLICT DO NOTHING;

-- name: jobs.page
SELECT job_id, namespace, name, created_at, owner, description FROM jobs
WHERE namespace = :namespace AND name > :after ORDER BY name LIMIT :limit;

-- name: jobs.latest_run
SELECT run_id FROM runs WHERE job_id = :job_id ORDER BY started_at DESC, run_id DESC LIMIT 1;

-- name: jobs.run_count
SELECT count(*) AS n FROM runs WHERE job_id = :job_id;

-- name: jobs.update
UPDATE jobs SET owner = :owner, description = :description WHERE job_id = :job_id;

-- name: namespaces.page
SELECT n.namespace,
       (SELECT count(*) FROM jobs j WHERE j.namespace = n.namespace) AS job_count,
       (SELECT count(*) FROM tables t WHERE t.namespace = n.namespace) AS table_count
FROM (SELECT namespace FROM jobs WHERE namespace > :after UNION SELECT namespace FROM tables WHERE namespace > :after) n
WHERE n.namespace <> '' ORDER BY n.namespace LIMIT :limit;
