-- What a lake must know to tell living runs from dead ones, and to answer the same request twice alike.

-- The answers of writes that came with a key of their sender's and have no natural one. Kept for a month.
CREATE TABLE receipts (
    namespace   TEXT NOT NULL,
    key         TEXT NOT NULL,
    op          TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT;
CREATE INDEX receipts_by_time ON receipts (at);

-- Which process a run lives in, as JSON, where its start told of one.
ALTER TABLE runs ADD COLUMN process TEXT;

-- How an input was read while the lake was away: of several tellings the freshest.
ALTER TABLE run_data ADD COLUMN stale INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_data ADD COLUMN age_s REAL;
ALTER TABLE run_data ADD COLUMN deferred INTEGER NOT NULL DEFAULT 0;
