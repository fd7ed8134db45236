-- Where events are forwarded to as OpenLineage, and what is still to be sent there. Only adds: an older reader goes on.

-- position: the last of the feed that the target has. history: where it stands in the export of what was there before;
-- null once it has all of that. failing_since: null while it answers.
CREATE TABLE forward_targets (
    target        TEXT PRIMARY KEY,
    position      INTEGER NOT NULL,
    history       TEXT,
    wanted_at     INTEGER NOT NULL,
    sent          INTEGER NOT NULL DEFAULT 0,
    refused       INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    trouble       TEXT
) STRICT, WITHOUT ROWID;

-- The latest events that a target refused for good, with its answers.
CREATE TABLE forward_refusals (
    refusal_id INTEGER PRIMARY KEY AUTOINCREMENT,
    target     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    status     INTEGER,
    answer     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX forward_refusals_of_target ON forward_refusals (target, refusal_id);

-- The events to be sent, in their order. body: null where the event came in as one and is kept with its like.
CREATE TABLE openlineage_feed (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT
) STRICT;

-- What SDKs told and has changed since events were made of it: a run, a snapshot of no run, or what is said of a job or
-- table. Triggers fill it, and the feed; they are there only while there is a target, because even where they do nothing
-- they would cost a run 3 %.
CREATE TABLE openlineage_changed (
    change_id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL,
    id        TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;

-- Events that this lake made itself: not made twice, and no news when they come back by way of others.
CREATE TABLE openlineage_made (
    digest TEXT PRIMARY KEY,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX openlineage_made_by_time ON openlineage_made (at);
