"""Makes what an operation refers to when the operation arrives first: any order of arrival ends in the same state."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import asdict

from datlake_sdk.errors import NotFound
from datlake_sdk.wire.times import micros
from datlake_server.services.claims import BY_SDK, claim
from datlake_server.services.records import JobRow, RunRow, json_text, owned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from datlake_server.store.base import Tx


def at_most_now(tx: Tx, stated: datetime | None) -> int:
    """The stated moment in microseconds, never later than its arrival; the arrival where nothing is stated."""
    return tx.now if stated is None else min(micros(stated), tx.now)


class Told(Struct, frozen=True, kw_only=True):
    """What a start tells of its run beside its name; a run that is made as a stub has none of it yet."""

    lost_after_us: int | None = None
    parent_run_id: str | None = None
    process: str | None = None


_NOTHING: Final = Told()


def ensured_run(tx: Tx, namespace: str, job_name: str, run_id: str, started: int, *, told: Told = _NOTHING) -> RunRow:
    """The run, made as a stub if it is not known yet: operations may arrive in any order. Marks a sign of life.

    The run started at the earliest `started` of all that was told of it, whatever was told first. `told` is part of a
    run that is made here, and not merged into one that is known.
    """
    run_id = run_id.lower()
    row = tx.one(RunRow, "runs.get", run_id=run_id)
    if row is not None and not row.origin & BY_SDK and row.namespace == namespace:
        row = _claimed(tx, row, ensured_job(tx, namespace, job_name))
    if row is not None:
        owned(row, run_id, namespace, job_name)  # first: another namespace's run shows no sign of life by this
        tx.do("runs.seen", run_id=run_id, now=tx.now)
        if started < row.started_at:
            tx.do("runs.begin_earlier", run_id=run_id, at=started)
        return row
    job = ensured_job(tx, namespace, job_name)
    tx.do(
        "runs.insert",
        run_id=run_id,
        job_id=job.job_id,
        namespace=namespace,
        started_at=started,
        now=tx.now,
        **asdict(told),
    )
    return RunRow(
        run_id=run_id,
        job_id=job.job_id,
        job_name=job_name,
        namespace=namespace,
        started_at=started,
        last_seen_at=tx.now,
        **asdict(told),
    )


def put_facets(tx: Tx, run_id: str, section: str, values: Mapping[str, object], at: int) -> None:
    """The run has these values in that section, each unless a later one is there."""
    rows = [
        (run_id, section, key, text := json_text(value), at, sha256(text.encode()).hexdigest())
        for key, value in values.items()
    ]
    if rows:
        tx.do_each("runs.put_facet", rows)


def _claimed(tx: Tx, row: RunRow, job: JobRow) -> RunRow:
    """The run that events alone told of, of that job: an SDK knows it better."""
    claimed = claim(tx, row, job, 0, mark=BY_SDK)
    if claimed.job_id != row.job_id:
        # Here, because events make runs and jobs by what is told in this file.
        from datlake_server.services.openlineage.batch import Batch
        from datlake_server.services.openlineage.explicit import relink

        relink(Batch(tx), claimed)
    return claimed


def ensured_job(tx: Tx, namespace: str, name: str) -> JobRow:
    """The job of that name, made if it is not known yet."""
    row = tx.one(JobRow, "jobs.get", namespace=namespace, name=name)
    if row is None:
        tx.do("jobs.insert", namespace=namespace, name=name, now=tx.now)
    return row or job_row(tx, namespace, name)


def job_row(tx: Tx, namespace: str, name: str) -> JobRow:
    """The job of that name. Raises `NotFound`."""
    row = tx.one(JobRow, "jobs.get", namespace=namespace, name=name)
    if row is None:
        message = f"there is no job {name!r} in namespace {namespace!r}; `datlake jobs` lists those there are"
        raise NotFound(message, code="job_not_found")
    return row
