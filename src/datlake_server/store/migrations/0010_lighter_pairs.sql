-- One end of half of all pairs is nothing (0), and nobody asks what comes from it or goes into it: an older reader goes on,
-- and reads more than it needs where it walks over runs.
DROP INDEX pairs_by_target;
DROP INDEX pairs_by_source;
CREATE INDEX pairs_by_target ON pairs (target, target_snapshot, run_id) WHERE target <> 0;
CREATE INDEX pairs_by_source ON pairs (source, source_snapshot, run_id) WHERE source <> 0;
