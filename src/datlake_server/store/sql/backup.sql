-- What a backup tells of the records in it, and which bytes they name.

-- name: backup.counts
SELECT
    (SELECT count(*) FROM jobs) AS jobs,
    (SELECT count(*) FROM runs) AS runs,
    (SELECT count(*) FROM tables) AS tables,
    (SELECT count(*) FROM snapshots) AS snapshots,
    (SELECT count(*) FROM events) AS events,
    (SELECT count(*) FROM objects) AS objects;

-- name: backup.digests
SELECT DISTINCT sha256 FROM objects ORDER BY sha256;
