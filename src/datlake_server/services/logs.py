"""What is recorded of a run's log: whether the run has ended, which log its ending names, and whether that is there.

The bytes of a log that grows are no record: `run_logs` calls this around its files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from datlake_sdk.wire.ids import object_uri, run_log_key
from datlake_sdk.wire.models import LakeObject
from datlake_server.services.catalog import ObjectRow, object_of, put_object
from datlake_server.services.records import run_row
from datlake_server.services.stubs import ensured_run

if TYPE_CHECKING:
    from datlake_server.store.base import Tx


class NamedLog(Struct, frozen=True):
    """The log that a run's ending names as its own."""

    bucket: str
    object: str
    size_bytes: int | None
    sha256: str | None


class LogFacts(Struct, frozen=True, kw_only=True):
    """A run as far as its log goes. `stored` is the object that `named` names, null while its bytes are to come."""

    run_id: str
    job_name: str
    namespace: str
    has_ended: bool
    last_seen_at: int
    now: int
    named: NamedLog | None = None
    stored: LakeObject | None = None

    @property
    def is_final(self) -> bool:
        """True where nothing will be added: the run has ended, and the log that it named is there, if it named one."""
        return self.has_ended and (self.named is None or self.stored is not None)


class _ArtifactRow(Struct, frozen=True):
    type: str
    uri: str
    size_bytes: int | None
    sha256: str | None


def log_facts(tx: Tx, namespace: str, run_id: str, job_name: str | None = None) -> LogFacts:
    """What is known of the run's log. Raises `NotFound`, also for a run that another namespace or job owns."""
    run = run_row(tx, run_id, namespace, job_name)
    found = _named(tx, run.run_id, run_log_key(run.job_name, run.run_id))
    stored = [_stored(tx, namespace, each) for each in found]
    best = next((at for at, each in enumerate(stored) if each is not None), 0)
    return LogFacts(
        run_id=run.run_id,
        job_name=run.job_name,
        namespace=namespace,
        has_ended=run.state != "running",
        last_seen_at=run.last_seen_at,
        now=tx.now,
        named=found[best] if found else None,
        stored=stored[best] if stored else None,
    )


def show_life(tx: Tx, namespace: str, job_name: str, run_id: str) -> None:
    """The run was heard of now; it is made as a stub where nothing was heard of it before."""
    ensured_run(tx, namespace, job_name, run_id, tx.now)


def store_log(tx: Tx, namespace: str, named: NamedLog, size_bytes: int, sha256: str) -> LakeObject:
    """The object of the log that a run named: these bytes."""
    return put_object(tx, namespace, named.bucket, named.object, size_bytes=size_bytes, sha256=sha256)


def _named(tx: Tx, run_id: str, key: str) -> list[NamedLog]:
    rows = tx.all(_ArtifactRow, "runs.artifacts", run_ids=msgspec.json.encode([run_id]).decode())
    found = [(row, _bucket(row.uri)) for row in rows if row.type == "log"]
    return [
        NamedLog(bucket, key, row.size_bytes, row.sha256) for row, bucket in found if row.uri == object_uri(bucket, key)
    ]


def _bucket(uri: str) -> str:
    from urllib.parse import unquote  # 7 ms, which no embedded run without a log should pay

    return unquote(uri.removeprefix("datlake://").partition("/")[0])


def _stored(tx: Tx, namespace: str, log: NamedLog) -> LakeObject | None:
    row = tx.one(ObjectRow, "objects.get", namespace=namespace, bucket=log.bucket, object=log.object)
    return None if row is None else object_of(row)
