-- name: forwarding.listen
-- What an SDK tells and changes is noted; what changes again goes to the end of that, so that whoever has read it before
-- sees it. What OpenLineage tells goes on as it came.
CREATE TRIGGER IF NOT EXISTS forward_event AFTER INSERT ON openlineage_events BEGIN
    INSERT INTO openlineage_feed (digest, at) VALUES (NEW.digest, NEW.received_at);
END;
CREATE TRIGGER IF NOT EXISTS forward_new_run AFTER INSERT ON runs WHEN NEW.origin <> 2 BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_run
AFTER UPDATE OF job_id, state, started_at, ended_at, parent_run_id, error, origin ON runs
WHEN NEW.origin <> 2
 AND (NEW.job_id, NEW.state, NEW.started_at, NEW.ended_at, NEW.parent_run_id, NEW.error, 0)
     IS NOT (OLD.job_id, OLD.state, OLD.started_at, OLD.ended_at, OLD.parent_run_id, OLD.error, OLD.origin = 2) BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_new_data AFTER INSERT ON run_data
WHEN (SELECT origin FROM runs WHERE run_id = NEW.run_id) <> 2 BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_new_snapshot AFTER INSERT ON snapshots
WHEN (SELECT origin FROM runs WHERE run_id = NEW.run_id) <> 2 BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_snapshot AFTER UPDATE ON snapshots
WHEN (SELECT origin FROM runs WHERE run_id = NEW.run_id) <> 2 BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_lone_snapshot AFTER INSERT ON snapshots
WHEN NEW.run_id IS NULL AND NEW.implied < 2 BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'snapshot' AND id = NEW.snapshot_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('snapshot', NEW.snapshot_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_new_facet AFTER INSERT ON facets BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_facet AFTER UPDATE OF value ON facets WHEN NEW.value <> OLD.value BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_new_artifact AFTER INSERT ON artifacts BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'run' AND id = NEW.run_id;
    INSERT INTO openlineage_changed (kind, id) VALUES ('run', NEW.run_id);
END;
CREATE TRIGGER IF NOT EXISTS forward_job AFTER UPDATE OF owner, description ON jobs
WHEN (NEW.owner, NEW.description) IS NOT (OLD.owner, OLD.description) BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'job' AND id = CAST(NEW.job_id AS TEXT);
    INSERT INTO openlineage_changed (kind, id) VALUES ('job', CAST(NEW.job_id AS TEXT));
END;
CREATE TRIGGER IF NOT EXISTS forward_table
AFTER UPDATE OF owner, description, location, expected_freshness_s, compatibility ON tables
WHEN (NEW.owner, NEW.description, NEW.location, NEW.expected_freshness_s, NEW.compatibility)
     IS NOT (OLD.owner, OLD.description, OLD.location, OLD.expected_freshness_s, OLD.compatibility) BEGIN
    DELETE FROM openlineage_changed WHERE kind = 'table' AND id = CAST(NEW.table_id AS TEXT);
    INSERT INTO openlineage_changed (kind, id) VALUES ('table', CAST(NEW.table_id AS TEXT));
END;

-- name: forwarding.listen_no_more
DROP TRIGGER IF EXISTS forward_event;
DROP TRIGGER IF EXISTS forward_new_run;
DROP TRIGGER IF EXISTS forward_run;
DROP TRIGGER IF EXISTS forward_new_data;
DROP TRIGGER IF EXISTS forward_new_snapshot;
DROP TRIGGER IF EXISTS forward_snapshot;
DROP TRIGGER IF EXISTS forward_lone_snapshot;
DROP TRIGGER IF EXISTS forward_new_facet;
DROP TRIGGER IF EXISTS forward_facet;
DROP TRIGGER IF EXISTS forward_new_artifact;
DROP TRIGGER IF EXISTS forward_job;
DROP TRIGGER IF EXISTS forward_table;

-- name: forwarding.targets
SELECT t.target, t.position, t.history, t.sent, t.refused, t.failing_since, t.trouble,
       max(coalesce((SELECT max(seq) FROM openlineage_feed), 0)
           - max(t.position, coalesce((SELECT min(seq) FROM openlineage_feed), 1) - 1), 0) AS waiting,
       (SELECT at FROM openlineage_feed f WHERE f.seq > t.position ORDER BY f.seq LIMIT 1) AS oldest_at
FROM forward_targets t ORDER BY t.target;

-- name: forwarding.want
INSERT INTO forward_targets (target, position, history, wanted_at)
VALUES (:target, coalesce((SELECT max(seq) FROM openlineage_feed), 0), :history, :now)
ON CONFLICT (target) DO UPDATE SET wanted_at = excluded.wanted_at;

-- name: forwarding.forget
DELETE FROM forward_targets WHERE wanted_at < :before;

-- name: forwarding.forget_feed
DELETE FROM openlineage_feed;

-- name: forwarding.forget_changed
DELETE FROM openlineage_changed;

-- name: forwarding.page
-- The first one however large it is, then as many as `bytes` allow.
SELECT seq, digest, body FROM (
    SELECT seq, digest, body, sum(size) OVER (ORDER BY seq) - size AS before FROM (
        SELECT f.seq, f.digest, coalesce(f.body, e.body) AS body, coalesce(length(coalesce(f.body, e.body)), 0) AS size
        FROM openlineage_feed f LEFT JOIN openlineage_events e ON f.body IS NULL AND e.digest = f.digest
        WHERE f.seq > :position ORDER BY f.seq LIMIT :limit))
WHERE before < :bytes ORDER BY seq;

-- name: forwarding.last
SELECT coalesce(max(seq), 0) AS n FROM openlineage_feed;

-- name: forwarding.advance
UPDATE forward_targets SET position = max(position, :position), sent = sent + :sent, refused = refused + :refused,
                           history = CASE WHEN history IS :seen THEN :history ELSE history END,
                           failing_since = NULL, trouble = NULL
WHERE target = :target;

-- name: forwarding.fail
UPDATE forward_targets SET failing_since = coalesce(failing_since, :now), trouble = :trouble WHERE target = :target;

-- name: forwarding.overtake
-- More waits for it than is kept: it gets the whole history again once it answers, so that nothing is lost.
UPDATE forward_targets SET history = coalesce(history, ''), position = (SELECT max(seq) FROM openlineage_feed)
WHERE position < (SELECT max(seq) FROM openlineage_feed) - :kept;

-- name: forwarding.refuse
INSERT INTO forward_refusals (target, digest, status, answer, at, body)
VALUES (:target, :digest, :status, :answer, :now, :body);

-- name: forwarding.trim_refusals
DELETE FROM forward_refusals WHERE target = :target AND refusal_id <= (
    SELECT refusal_id FROM forward_refusals WHERE target = :target ORDER BY refusal_id DESC LIMIT 1 OFFSET :kept);

-- name: forwarding.changed
SELECT change_id, kind, id FROM openlineage_changed ORDER BY change_id LIMIT :limit;

-- name: forwarding.settle
DELETE FROM openlineage_changed WHERE change_id IN (SELECT value FROM json_each(:change_ids));

-- name: forwarding.make
INSERT INTO openlineage_made (digest, at)
SELECT :digest, :now WHERE NOT EXISTS (SELECT 1 FROM openlineage_events WHERE digest = :digest) ON CONFLICT DO NOTHING;

-- name: forwarding.feed
INSERT INTO openlineage_feed (digest, at, body) VALUES (:digest, :now, :body);

-- name: forwarding.purge_feed
DELETE FROM openlineage_feed WHERE seq <= (SELECT min(position) FROM forward_targets)
                               AND seq < (SELECT min(seq) FROM openlineage_feed) + :most;

-- name: forwarding.purge_made
DELETE FROM openlineage_made WHERE digest IN (
    SELECT digest FROM openlineage_made WHERE at < :before ORDER BY at LIMIT :most);

-- name: forwarding.location_of
SELECT t.location FROM snapshots s JOIN tables t ON t.table_id = s.table_id
WHERE s.snapshot_id = :snapshot_id AND s.run_id IS NULL AND s.implied < 2;
