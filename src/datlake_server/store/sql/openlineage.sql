-- name: openlineage.add_event
INSERT INTO openlineage_events (digest, event_at, received_at, event_type, run_id, job_id, table_id, body)
VALUES (:digest, :event_at, :now, :event_type, :run_id, :job_id, :table_id, :body)
ON CONFLICT (digest) DO NOTHING;

-- name: openlineage.made_here
-- Forwarded from here, and come back by way of others.
SELECT digest FROM openlineage_made WHERE digest = :digest;

-- name: openlineage.has_event
SELECT count(*) AS n FROM openlineage_events WHERE digest = :digest;

-- name: openlineage.run
SELECT r.run_id, r.job_id, j.name AS job_name, r.namespace, r.state, r.started_at, r.ended_at, r.last_seen_at,
       r.lost_after_us, r.process, r.parent_run_id, r.error, r.origin, r.claimed_at
FROM runs r JOIN jobs j ON j.job_id = r.job_id WHERE r.run_id = :run_id;

-- name: openlineage.add_run
INSERT INTO runs (run_id, job_id, namespace, state, started_at, last_seen_at, external_id, origin, claimed_at, parent_run_id)
VALUES (:run_id, :job_id, :namespace, 'running', :at, :now, :external_id, 2, :at, :parent_run_id);

-- name: openlineage.seen_run
UPDATE runs SET last_seen_at = max(last_seen_at, :now), origin = origin | 2,
                external_id = coalesce(external_id, :external_id)
WHERE run_id = :run_id;

-- name: openlineage.claim_run
UPDATE runs SET job_id = :job_id, namespace = :namespace, claimed_at = :claimed_at, origin = origin | :mark
WHERE run_id = :run_id;

-- name: openlineage.name_writer
-- Of what events imply; what an SDK registered says itself which job made it.
UPDATE snapshots SET job_name = :job_name WHERE run_id = :run_id AND implied IN (2, 3);

-- name: openlineage.put_facet
INSERT INTO openlineage_facets (kind, run_id, subject, name, value, at, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (run_id, subject, kind, name) DO UPDATE SET value = excluded.value, at = excluded.at, digest = excluded.digest
WHERE (excluded.at, excluded.digest) > (openlineage_facets.at, openlineage_facets.digest);

-- name: openlineage.facets
SELECT name, value, at, digest FROM openlineage_facets WHERE kind = :kind AND run_id = :run_id AND subject = :subject;

-- name: openlineage.told
SELECT role, table_id, version, first_at, last_at FROM openlineage_data WHERE run_id = :run_id;

-- name: openlineage.tell
INSERT INTO openlineage_data (run_id, role, table_id, version, first_at, last_at)
VALUES (:run_id, :role, :table_id, :version, :first_at, :last_at)
ON CONFLICT (run_id, role, table_id, version) DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at;

-- name: openlineage.writer_of
SELECT d.run_id, d.last_at, r.job_id, j.name AS job_name FROM openlineage_data d
JOIN runs r ON r.run_id = d.run_id JOIN jobs j ON j.job_id = r.job_id
WHERE d.table_id = :table_id AND d.version = :version AND d.role = 'output' ORDER BY d.first_at, d.run_id LIMIT 1;

-- name: openlineage.first_reading
SELECT min(first_at) AS n FROM openlineage_data WHERE table_id = :table_id AND version = :version AND role = 'input';

-- name: openlineage.add_snapshot
-- As the next version, or as the one that is free; late where the newest was created after it.
INSERT INTO snapshots (snapshot_id, table_id, version, uri, format, schema, fields, created_at, accepted_at, run_id, job_name,
                       row_count, size_bytes, metadata, column_lineage, fingerprint, late, implied, store_version)
SELECT :snapshot_id, t.table_id, coalesce(:number, t.snapshot_count + 1), :uri, :format, :schema, :fields, :created_at, :now,
       :run_id, :job_name, :row_count, :size_bytes, '{}', :column_lineage, '',
       EXISTS (SELECT 1 FROM snapshots l WHERE l.snapshot_id = t.latest_id
               AND (l.created_at, l.snapshot_id) > (:created_at, :snapshot_id)), :implied, :store_version
FROM tables t WHERE t.table_id = :table_id;

-- name: openlineage.count_snapshot
UPDATE tables SET (snapshot_count, latest_id) = (
    SELECT max(tables.snapshot_count, s.version), CASE WHEN s.late OR :implied = 3 THEN tables.latest_id ELSE s.snapshot_id END
    FROM snapshots s WHERE s.snapshot_id = :snapshot_id)
WHERE table_id = :table_id;

-- name: openlineage.move_snapshot
UPDATE snapshots SET run_id = :run_id, job_name = :job_name, created_at = :created_at WHERE snapshot_id = :snapshot_id;

-- name: openlineage.describe_snapshot
UPDATE snapshots SET format = :format, schema = :schema, fields = :fields, row_count = :row_count, size_bytes = :size_bytes,
                     column_lineage = :column_lineage
WHERE snapshot_id = :snapshot_id AND run_id = :run_id;

-- name: openlineage.set_parent
-- What an SDK told of it is before all events.
UPDATE runs SET parent_run_id = coalesce(told_parent_id, :parent_run_id) WHERE run_id = :run_id;

-- name: openlineage.set_error
UPDATE runs SET error = coalesce((
    SELECT e.error FROM endings e WHERE e.run_id = :run_id ORDER BY e.ended_at, e.op_key, e.state LIMIT 1), :error)
WHERE run_id = :run_id AND state IN ('failed', 'aborted');

-- name: openlineage.drop_stated
DELETE FROM loose_data WHERE run_id = :run_id AND output <> '';

-- name: openlineage.state_output
-- Not what an SDK registered: that says itself what it was made from.
UPDATE run_data SET stated = :stated
WHERE run_id = :run_id AND role = 'output' AND table_id = :table_id AND snapshot_id = :snapshot_id AND stated <> :stated;

-- name: openlineage.lifecycle
-- Of two names before one change the greater stays; the numbers of tables are as they came.
INSERT INTO lifecycle (table_id, at, state, run_id, other) VALUES (:table_id, :at, :state, :run_id, :other)
ON CONFLICT (table_id, at, state, run_id) DO UPDATE SET other = coalesce((
    SELECT t.table_id FROM tables t WHERE t.table_id IN (lifecycle.other, excluded.other)
    ORDER BY t.namespace DESC, t.name DESC LIMIT 1), 0);

-- name: openlineage.tag
INSERT INTO tags (kind, run_id, subject, field, key, value, source, at, digest, deleted)
SELECT :kind, :run_id, :subject, :field, :key, :value, :source, :at, :digest, EXISTS (
    SELECT 1 FROM tags t WHERE t.kind = :kind AND t.run_id = :run_id AND t.subject = :subject AND t.field = '' AND t.key = ''
        AND t.at >= :at)
WHERE true
ON CONFLICT (kind, run_id, subject, field, key) DO UPDATE SET
    value = excluded.value, source = excluded.source, at = excluded.at, digest = excluded.digest, deleted = excluded.deleted
WHERE (excluded.at, excluded.digest) > (tags.at, tags.digest);

-- name: openlineage.link_jobs
INSERT INTO job_pairs (run_id, source, target, at) VALUES (:run_id, :source, :target, :at)
ON CONFLICT (run_id, source, target) DO UPDATE SET at = min(job_pairs.at, excluded.at);

-- name: openlineage.unlink_jobs
DELETE FROM job_pairs WHERE run_id = :run_id;

-- name: openlineage.declare_edge
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id, declared_at)
VALUES (:source, :job_id, :target, :at, :at, 0, '', :at)
ON CONFLICT (source, job_id, target) DO UPDATE SET
    first_seen = min(edges.first_seen, excluded.first_seen),
    last_seen = CASE WHEN edges.run_count = 0 THEN min(edges.last_seen, excluded.last_seen) ELSE edges.last_seen END,
    declared_at = coalesce(min(edges.declared_at, excluded.declared_at), excluded.declared_at);

-- name: openlineage.table_name
SELECT namespace, name FROM tables WHERE table_id = :table_id;

-- name: openlineage.mark_run
UPDATE runs SET origin = origin | :mark WHERE run_id = :run_id;

-- name: openlineage.symlinks
SELECT namespace, name FROM aliases WHERE table_id = :table_id AND kind = 'SYMLINK' AND deleted = 0;

-- name: openlineage.untag
-- A label without a key says until when all labels are taken back: those that arrive later and are older, too.
INSERT INTO tags (kind, run_id, subject, field, key, at, digest, deleted) VALUES (:kind, :run_id, :subject, '', '', :at, '', 1)
ON CONFLICT (kind, run_id, subject, field, key) DO UPDATE SET at = max(tags.at, excluded.at);

-- name: openlineage.untag_older
UPDATE tags SET deleted = 1
WHERE kind = :kind AND run_id = :run_id AND subject = :subject AND at <= :at AND deleted = 0;

-- name: openlineage.unlink_alias
-- As for labels: an alias without a name says until when all symlinks are taken back.
INSERT INTO aliases (namespace, name, table_id, kind, at, deleted) VALUES ('', '', :table_id, 'SYMLINK', :at, 1)
ON CONFLICT (namespace, name, table_id) DO UPDATE SET at = max(aliases.at, excluded.at);

-- name: openlineage.unlinked_until
SELECT at AS n FROM aliases WHERE namespace = '' AND name = '' AND table_id = :table_id;

-- name: openlineage.show_ending
UPDATE runs SET (state, ended_at, error) = (
    SELECT e.state, e.ended_at, e.error FROM endings e WHERE e.run_id = :run_id ORDER BY e.ended_at, e.op_key, e.state LIMIT 1)
WHERE run_id = :run_id RETURNING state;

-- name: openlineage.announced
-- Those that are to change, of what the run alone implied.
SELECT s.snapshot_id, s.table_id, t.name AS table_name, t.namespace, s.version, s.uri, s.format, s.schema, s.fields,
       s.created_at, s.run_id, s.job_name, s.row_count, s.size_bytes, s.metadata, s.column_lineage, s.fingerprint, s.late,
       s.store_version
FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.run_id = :run_id AND s.implied IN (2, 3) AND s.implied <> :implied AND s.store_version IS NULL;

-- name: openlineage.set_implied
UPDATE snapshots SET implied = :implied WHERE snapshot_id = :snapshot_id;

-- name: openlineage.put_tag
INSERT INTO tags (kind, run_id, subject, field, key, value, source, at, digest, deleted)
VALUES (:kind, :run_id, :subject, :field, :key, :value, :source, :at, :digest, :deleted)
ON CONFLICT (kind, run_id, subject, field, key) DO UPDATE SET
    value = excluded.value, source = excluded.source, at = excluded.at, digest = excluded.digest, deleted = excluded.deleted
WHERE (excluded.at, excluded.digest) > (tags.at, tags.digest);

-- name: openlineage.say_of_table
-- What people said here stays.
UPDATE tables SET owner = coalesce(owner, :owner), description = coalesce(description, :description),
                  location = coalesce(location, :location), compatibility = coalesce(compatibility, :compatibility),
                  expected_freshness_s = coalesce(expected_freshness_s, :expected_freshness_s)
WHERE table_id = :table_id;

-- name: openlineage.say_of_job
UPDATE jobs SET owner = coalesce(owner, :owner), description = coalesce(description, :description) WHERE job_id = :job_id;
