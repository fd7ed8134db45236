-- How columns were declared to be made, which counts again when no run tells of them any more. Only adds: an older reader
-- goes on.

ALTER TABLE column_edges ADD COLUMN declared TEXT;
UPDATE column_edges SET declared = transformations WHERE declared_at IS NOT NULL;
