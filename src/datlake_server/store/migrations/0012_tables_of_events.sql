-- Whether an event names the table: it is known then, also where nothing else is told of it. Only adds: an older reader
-- goes on.

ALTER TABLE tables ADD COLUMN by_events INTEGER NOT NULL DEFAULT 0;
UPDATE tables SET by_events = 1 WHERE table_id IN (
    SELECT table_id FROM openlineage_events UNION SELECT table_id FROM openlineage_data
    UNION SELECT subject FROM openlineage_facets WHERE kind = 'dataset');
