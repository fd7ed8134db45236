"""The older backend's addresses at the host's root, kept while its clients move. Answered by the same endpoints."""

from __future__ import annotations

from typing import Final

from datlake_sdk.wire.operations import (
    CompleteRun,
    GetRun,
    LatestSnapshot,
    ListRuns,
    LogEvent,
    Op,
    RegisterSnapshot,
    StartRun,
)

ALIASES: Final[tuple[tuple[type[Op[object]], str], ...]] = (
    (StartRun, "/events/jobs/{job_name}/runs"),
    (ListRuns, "/events/jobs/{job_name}/runs"),
    (GetRun, "/events/jobs/{job_name}/runs/{run_id}"),
    (CompleteRun, "/events/jobs/{job_name}/runs/{run_id}/complete"),
    (LogEvent, "/events/broadcast"),
    (LatestSnapshot, "/data/v1/tables/{table_name}/snapshots/latest"),
    (RegisterSnapshot, "/data/v1/jobs/register-snapshot"),
)
