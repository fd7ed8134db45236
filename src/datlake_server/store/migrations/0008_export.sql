-- What an export walks beside runs: events and snapshots of no run. Only adds: an older reader goes on.

CREATE INDEX openlineage_events_of_no_run ON openlineage_events (event_at, digest) WHERE run_id IS NULL;
CREATE INDEX snapshots_of_no_run ON snapshots (created_at, snapshot_id) WHERE run_id IS NULL;
