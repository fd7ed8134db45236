"""How an input was read while the lake was away stands beside it, and a late sign of life changes no ending."""

from __future__ import annotations

from itertools import permutations

import pytest

from datlake_sdk import DataRef, DatlakeClient
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import RunData
from datlake_sdk.wire.operations import EventItem, LogEvent, StartRun

# From the freshest to what is known least.
TELLINGS = [
    {},
    {"deferred": True},
    {"stale": True, "age_s": 5.5},
    {"stale": True, "age_s": 60.0},
    {"stale": True},
    {"stale": True, "age_s": 1.0, "deferred": True},
]


# Only a read that names what it got can say how.
SNAPSHOT = "01a20668-0000-7000-8000-000000000001"


def marks(data: RunData) -> dict[str, object]:
    """The marks that are set."""
    return {
        name: value for name in ("stale", "age_s", "deferred") if (value := getattr(data, name)) not in {None, False}
    }


@pytest.mark.parametrize("told", TELLINGS, ids=str)
def test_an_input_shows_how_it_was_read(client: DatlakeClient, told: dict[str, object]) -> None:
    """Who looks at a strange result sees that the job worked on yesterday's data."""
    run_id = new_id()
    item = DataRef(table_name="t", snapshot_id=SNAPSHOT, **told)  # type: ignore[arg-type]
    run = client.add_inputs("j", run_id, [item])
    assert [marks(data) for data in run.inputs] == [told]
    assert client.get_run(run_id).inputs == run.inputs


@pytest.mark.parametrize(("better", "worse"), [(0, 1), (0, 3), (1, 2), (2, 3), (3, 4), (4, 5)])
def test_of_several_tellings_the_freshest_is_shown(client: DatlakeClient, better: int, worse: int) -> None:
    """A run that read a table twice had it fresh at least once; in whatever order that arrives, it says the same."""
    for order in permutations((better, worse)):
        run_id = new_id()
        for number in (*order, *order):
            item = DataRef(table_name="t", snapshot_id=SNAPSHOT, **TELLINGS[number])  # type: ignore[arg-type]
            client.add_inputs("j", run_id, [item])
        assert [marks(data) for data in client.get_run(run_id).inputs] == [TELLINGS[better]]
        assert len(client.lineage(kind="run", run_id=run_id).edges) == 1


def test_an_input_that_a_snapshot_names_keeps_its_marks(client: DatlakeClient) -> None:
    stale = DataRef(table_name="t", snapshot_id=SNAPSHOT, stale=True, age_s=7.0)
    run_id = new_id()
    client.register_snapshot("out", "s3://b/1", "csv", job_name="j", run_id=run_id, inputs=[stale])
    run = client.get_run(run_id)
    assert ([marks(data) for data in run.inputs], [marks(data) for data in run.outputs]) == (
        [{"stale": True, "age_s": 7.0}],
        [{}],
    )


@pytest.mark.parametrize("ending", ["completed", "failed", "aborted"])
def test_a_late_sign_of_life_reopens_nothing(client: DatlakeClient, ending: str) -> None:
    """The heartbeat that was on its way, the start that an outbox still held: an end is an end."""
    run = client.start_run("j", heartbeat_interval_s=30)
    client.complete_run("j", run.run_id, success=ending == "completed", aborted=ending == "aborted")
    before = client.get_run(run.run_id)
    client.log_event("heartbeat", run_id=run.run_id)
    client.log_events([EventItem(event_type="heartbeat", run_id=run.run_id, job_name=name) for name in ("j", None)])
    client.call(LogEvent(namespace=run.namespace, event_type="heartbeat", job_name="j", run_id=run.run_id))
    client.call(StartRun(namespace=run.namespace, job_name="j", run_id=run.run_id, heartbeat_interval_s=1.0))
    after = client.get_run(run.run_id)
    assert (after.state, after.ended_at, after.endings) == (ending, before.ended_at, before.endings)
    assert client.events(run.run_id).items == []
    assert [found.run_id for found in client.list_runs(state="running")] == []
