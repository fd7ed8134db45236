-- name: receipts.get
SELECT op, fingerprint, answer FROM receipts WHERE namespace = :namespace AND key = :key AND at >= :since;

-- name: receipts.put
INSERT INTO receipts (namespace, key, op, fingerprint, answer, at)
VALUES (:namespace, :key, :op, :fingerprint, :answer, :now)
ON CONFLICT (namespace, key) DO UPDATE SET
    op = excluded.op, fingerprint = excluded.fingerprint, answer = excluded.answer, at = excluded.at;

-- name: receipts.purge
DELETE FROM receipts WHERE rowid IN (SELECT rowid FROM receipts WHERE at < :before ORDER BY at LIMIT :limit);
