"""Which job a run is of, where several were told: what feeds what counts for that job, and for no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from datlake_server.services import columns
from datlake_server.services.pairs import pair_anew, unpair
from datlake_server.services.records import JobRow, RunRow

if TYPE_CHECKING:
    from datlake_server.store.base import Tx

R = TypeVar("R", bound=RunRow)
# The marks on a run that an SDK told of it, and that events did; see `runs.origin`.
BY_SDK = 1
BY_EVENTS = 2


def claim(tx: Tx, run: R, job: JobRow, claimed_at: int, *, mark: int = 0) -> R:
    """The run, of that job from now on; an SDK claims as of 0, before all others."""
    moves = run.job_id != job.job_id
    if moves:
        unpair(tx, run)
    tx.do(
        "openlineage.claim_run",
        run_id=run.run_id,
        job_id=job.job_id,
        namespace=job.namespace,
        claimed_at=claimed_at,
        mark=mark,
    )
    claimed = replace(run, job_id=job.job_id, job_name=job.name, namespace=job.namespace, origin=run.origin | mark)
    if moves:
        tx.do("openlineage.name_writer", run_id=run.run_id, job_name=job.name)
        pair_anew(tx, claimed)
        columns.move(tx, claimed, run.job_id)
    return claimed
