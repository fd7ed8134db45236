-- The parent that an SDK told: what events tell of it counts where there is none. Only adds: an older reader goes on.

ALTER TABLE runs ADD COLUMN told_parent_id TEXT;
UPDATE runs SET told_parent_id = parent_run_id WHERE parent_run_id IS NOT NULL AND origin & 1;
