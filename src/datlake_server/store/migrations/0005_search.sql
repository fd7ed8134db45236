-- What can be found by its name. Triggers keep it up, so that an older writer does too. Only adds.

-- kind: 1 a table, 2 a job (subject is its number, is_alias 1 for what it is also called), 3 a label (name is its key,
-- about its value) and 4 the name of columns: of labels and column names one row each, however many have them.
CREATE TABLE search_entries (
    entry_id  INTEGER PRIMARY KEY,
    kind      INTEGER NOT NULL,
    subject   INTEGER NOT NULL DEFAULT 0,
    is_alias  INTEGER NOT NULL DEFAULT 0,
    namespace TEXT NOT NULL DEFAULT '',
    name      TEXT NOT NULL,
    about     TEXT NOT NULL DEFAULT '',
    folded    TEXT AS (lower(name)) VIRTUAL
) STRICT;
CREATE INDEX search_by_name ON search_entries (folded, kind, entry_id, namespace, subject);
CREATE UNIQUE INDEX search_by_subject ON search_entries (kind, subject, is_alias, namespace, name) WHERE subject <> 0;
CREATE UNIQUE INDEX search_labels ON search_entries (name, about) WHERE kind = 3;
CREATE UNIQUE INDEX search_columns ON search_entries (name) WHERE kind = 4;

CREATE INDEX tags_by_label ON tags (key, coalesce(value, ''), kind, run_id, subject, field) WHERE deleted = 0;

-- Which tables have a column of that name, in any version since this was kept.
CREATE TABLE search_fields (
    table_id  INTEGER NOT NULL,
    entry_id  INTEGER NOT NULL,
    namespace TEXT NOT NULL,         -- the table's
    PRIMARY KEY (table_id, entry_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX search_fields_by_entry ON search_fields (entry_id, namespace, table_id);

-- The words of names and descriptions, and every three letters of names. A namespace is found as part of what is said.
CREATE VIRTUAL TABLE search_words USING fts5 (
    name, about, content = '', contentless_delete = 1, prefix = '1 2', tokenize = "unicode61 remove_diacritics 2"
);
CREATE VIRTUAL TABLE search_letters USING fts5 (
    name, content = '', contentless_delete = 1, detail = none, tokenize = "trigram remove_diacritics 1"
);

CREATE TRIGGER search_entries_added AFTER INSERT ON search_entries BEGIN
    INSERT INTO search_words (rowid, name, about)
    VALUES (NEW.entry_id, NEW.name, CASE NEW.namespace WHEN 'default' THEN '' ELSE NEW.namespace || ' ' END || NEW.about);
    INSERT INTO search_letters (rowid, name) VALUES (NEW.entry_id, NEW.name);
END;
CREATE TRIGGER search_entries_changed AFTER UPDATE OF about ON search_entries BEGIN
    UPDATE search_words
    SET name = NEW.name, about = CASE NEW.namespace WHEN 'default' THEN '' ELSE NEW.namespace || ' ' END || NEW.about
    WHERE rowid = NEW.entry_id;
END;
CREATE TRIGGER search_entries_dropped AFTER DELETE ON search_entries BEGIN
    DELETE FROM search_words WHERE rowid = OLD.entry_id;
    DELETE FROM search_letters WHERE rowid = OLD.entry_id;
END;

-- Of a table or job: what people say about it, else what producers do.
CREATE TRIGGER search_tables_added AFTER INSERT ON tables WHEN NEW.namespace <> '' BEGIN
    INSERT INTO search_entries (kind, subject, namespace, name, about)
    VALUES (1, NEW.table_id, NEW.namespace, NEW.name, coalesce(NEW.description, ''));
END;
CREATE TRIGGER search_tables_changed AFTER UPDATE OF description ON tables
WHEN NEW.description IS NOT OLD.description BEGIN
    UPDATE search_entries SET about = coalesce(NEW.description, (
        SELECT f.value ->> '$.description' FROM openlineage_facets f
        WHERE f.kind = 'dataset' AND f.run_id = '' AND f.subject = NEW.table_id AND f.name = 'documentation'
          AND f.value ->> '$._deleted' IS NOT 1
    ), '') WHERE kind = 1 AND subject = NEW.table_id AND is_alias = 0 AND subject <> 0;
END;
CREATE TRIGGER search_tables_dropped AFTER DELETE ON tables BEGIN
    DELETE FROM search_entries WHERE kind = 1 AND subject = OLD.table_id AND subject <> 0;
    DELETE FROM search_fields WHERE table_id = OLD.table_id;
END;
CREATE TRIGGER search_jobs_added AFTER INSERT ON jobs BEGIN
    INSERT INTO search_entries (kind, subject, namespace, name, about)
    VALUES (2, NEW.job_id, NEW.namespace, NEW.name, coalesce(NEW.description, ''));
END;
CREATE TRIGGER search_jobs_changed AFTER UPDATE OF description ON jobs
WHEN NEW.description IS NOT OLD.description BEGIN
    UPDATE search_entries SET about = coalesce(NEW.description, (
        SELECT f.value ->> '$.description' FROM openlineage_facets f
        WHERE f.kind = 'job' AND f.run_id = '' AND f.subject = NEW.job_id AND f.name = 'documentation'
          AND f.value ->> '$._deleted' IS NOT 1
    ), '') WHERE kind = 2 AND subject = NEW.job_id AND is_alias = 0 AND subject <> 0;
END;
CREATE TRIGGER search_jobs_dropped AFTER DELETE ON jobs BEGIN
    DELETE FROM search_entries WHERE kind = 2 AND subject = OLD.job_id AND subject <> 0;
END;
CREATE TRIGGER search_documented AFTER INSERT ON openlineage_facets
WHEN NEW.name = 'documentation' AND NEW.kind IN ('dataset', 'job') BEGIN
    UPDATE search_entries SET about = coalesce(
        CASE NEW.kind WHEN 'job' THEN (SELECT description FROM jobs WHERE job_id = NEW.subject)
                      ELSE (SELECT description FROM tables WHERE table_id = NEW.subject) END,
        CASE WHEN NEW.value ->> '$._deleted' IS NOT 1 THEN NEW.value ->> '$.description' END, '')
    WHERE kind = CASE NEW.kind WHEN 'job' THEN 2 ELSE 1 END AND subject = NEW.subject AND is_alias = 0 AND subject <> 0;
END;
CREATE TRIGGER search_documented_anew AFTER UPDATE OF value ON openlineage_facets
WHEN NEW.name = 'documentation' AND NEW.kind IN ('dataset', 'job') AND NEW.value <> OLD.value BEGIN
    UPDATE search_entries SET about = coalesce(
        CASE NEW.kind WHEN 'job' THEN (SELECT description FROM jobs WHERE job_id = NEW.subject)
                      ELSE (SELECT description FROM tables WHERE table_id = NEW.subject) END,
        CASE WHEN NEW.value ->> '$._deleted' IS NOT 1 THEN NEW.value ->> '$.description' END, '')
    WHERE kind = CASE NEW.kind WHEN 'job' THEN 2 ELSE 1 END AND subject = NEW.subject AND is_alias = 0 AND subject <> 0;
END;

CREATE TRIGGER search_aliases_added AFTER INSERT ON aliases WHEN NEW.deleted = 0 BEGIN
    INSERT INTO search_entries (kind, subject, is_alias, namespace, name)
    VALUES (1, NEW.table_id, 1, NEW.namespace, NEW.name) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_aliases_changed AFTER UPDATE OF deleted ON aliases WHEN NEW.deleted <> OLD.deleted BEGIN
    DELETE FROM search_entries WHERE NEW.deleted = 1 AND kind = 1 AND subject = NEW.table_id AND is_alias = 1
                                 AND namespace = NEW.namespace AND name = NEW.name AND subject <> 0;
    INSERT INTO search_entries (kind, subject, is_alias, namespace, name)
    SELECT 1, NEW.table_id, 1, NEW.namespace, NEW.name WHERE NEW.deleted = 0 ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER search_tags_added AFTER INSERT ON tags WHEN NEW.deleted = 0 BEGIN
    INSERT INTO search_entries (kind, name, about) VALUES (3, NEW.key, coalesce(NEW.value, '')) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_tags_changed AFTER UPDATE OF value, deleted ON tags
WHEN NEW.deleted = 0 AND (NEW.value IS NOT OLD.value OR OLD.deleted = 1) BEGIN
    INSERT INTO search_entries (kind, name, about) VALUES (3, NEW.key, coalesce(NEW.value, '')) ON CONFLICT DO NOTHING;
END;

-- Columns cost nothing while the schema stays as the version before had it. Nested ones are found by their own names.
CREATE TRIGGER search_snapshots_added AFTER INSERT ON snapshots
WHEN NEW.fields <> '[]' AND NEW.fields IS NOT (
    SELECT p.fields FROM snapshots p WHERE p.table_id = NEW.table_id AND p.version = NEW.version - 1
) BEGIN
    INSERT INTO search_entries (kind, name)
    SELECT 4, j.atom FROM json_tree(NEW.fields) j WHERE j.key = 'name' AND j.type = 'text' ON CONFLICT DO NOTHING;
    INSERT INTO search_fields (table_id, entry_id, namespace)
    SELECT t.table_id, e.entry_id, t.namespace
    FROM tables t CROSS JOIN json_tree(NEW.fields) j CROSS JOIN search_entries e ON e.kind = 4 AND e.name = j.atom
    WHERE t.table_id = NEW.table_id AND j.key = 'name' AND j.type = 'text' ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_snapshots_changed AFTER UPDATE OF fields ON snapshots WHEN NEW.fields <> OLD.fields BEGIN
    INSERT INTO search_entries (kind, name)
    SELECT 4, j.atom FROM json_tree(NEW.fields) j WHERE j.key = 'name' AND j.type = 'text' ON CONFLICT DO NOTHING;
    INSERT INTO search_fields (table_id, entry_id, namespace)
    SELECT t.table_id, e.entry_id, t.namespace
    FROM tables t CROSS JOIN json_tree(NEW.fields) j CROSS JOIN search_entries e ON e.kind = 4 AND e.name = j.atom
    WHERE t.table_id = NEW.table_id AND j.key = 'name' AND j.type = 'text' ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_schemas_added AFTER INSERT ON openlineage_facets
WHEN NEW.name = 'schema' AND NEW.kind = 'dataset' BEGIN
    INSERT INTO search_entries (kind, name)
    SELECT 4, j.atom FROM json_tree(NEW.value, '$.fields') j WHERE j.key = 'name' AND j.type = 'text'
    ON CONFLICT DO NOTHING;
    INSERT INTO search_fields (table_id, entry_id, namespace)
    SELECT t.table_id, e.entry_id, t.namespace FROM tables t CROSS JOIN json_tree(NEW.value, '$.fields') j
           CROSS JOIN search_entries e ON e.kind = 4 AND e.name = j.atom
    WHERE t.table_id = NEW.subject AND j.key = 'name' AND j.type = 'text' ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER search_schemas_changed AFTER UPDATE OF value ON openlineage_facets
WHEN NEW.name = 'schema' AND NEW.kind = 'dataset' AND NEW.value <> OLD.value BEGIN
    INSERT INTO search_entries (kind, name)
    SELECT 4, j.atom FROM json_tree(NEW.value, '$.fields') j WHERE j.key = 'name' AND j.type = 'text'
    ON CONFLICT DO NOTHING;
    INSERT INTO search_fields (table_id, entry_id, namespace)
    SELECT t.table_id, e.entry_id, t.namespace FROM tables t CROSS JOIN json_tree(NEW.value, '$.fields') j
           CROSS JOIN search_entries e ON e.kind = 4 AND e.name = j.atom
    WHERE t.table_id = NEW.subject AND j.key = 'name' AND j.type = 'text' ON CONFLICT DO NOTHING;
END;

-- A lake that is there already.
INSERT INTO search_entries (kind, subject, namespace, name, about)
SELECT 1, table_id, namespace, name, coalesce(description, '') FROM tables WHERE namespace <> '';
INSERT INTO search_entries (kind, subject, namespace, name, about)
SELECT 2, job_id, namespace, name, coalesce(description, '') FROM jobs;
INSERT INTO search_entries (kind, name)
SELECT DISTINCT 4, j.atom FROM tables t JOIN snapshots s ON s.snapshot_id = t.latest_id JOIN json_tree(s.fields) j
WHERE j.key = 'name' AND j.type = 'text';
INSERT INTO search_fields (table_id, entry_id, namespace)
SELECT DISTINCT t.table_id, e.entry_id, t.namespace
FROM tables t JOIN snapshots s ON s.snapshot_id = t.latest_id JOIN json_tree(s.fields) j
     JOIN search_entries e ON e.kind = 4 AND e.name = j.atom
WHERE j.key = 'name' AND j.type = 'text';

-- Runs are found by the beginning of their ids.
CREATE INDEX runs_by_external_id ON runs (external_id, run_id) WHERE external_id IS NOT NULL;
CREATE INDEX snapshots_by_store_version_alone ON snapshots (store_version) WHERE store_version IS NOT NULL;
