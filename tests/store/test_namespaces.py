"""What one namespace holds is neither shown nor changed through another, even by who knows the ids."""

from __future__ import annotations

from pathlib import Path

from datlake_sdk import DatlakeClient
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import DataRef
from datlake_sdk.wire.operations import AddInputs, LogEvent


def test_an_event_that_came_before_its_run_stays_in_the_namespace_that_sent_it(tmp_path: Path) -> None:
    """Else anyone who guesses a run's id could put words into its mouth before it starts."""
    run_id = new_id()
    with DatlakeClient(tmp_path, namespace="theirs") as theirs, DatlakeClient(tmp_path, namespace="mine") as mine:
        theirs.call(LogEvent(namespace="theirs", event_type="planted", data={}, run_id=run_id))
        mine.start_run("job", run_id=run_id)
        mine.call(LogEvent(namespace="mine", event_type="own", data={}, run_id=run_id))
        assert [event.event_type for event in mine.events(run_id)] == ["own"]


def test_a_snapshot_of_another_namespace_shows_nothing_but_the_id_that_was_given(tmp_path: Path) -> None:
    """Naming its id as the input of one's own table would tell where it lies and how large it is."""
    with DatlakeClient(tmp_path, namespace="theirs") as theirs, DatlakeClient(tmp_path, namespace="mine") as mine:
        secret = theirs.register_snapshot("secret", "file:///secret", "parquet", row_count=7)
        run = mine.start_run("job")
        claimed = DataRef(table_name="own", snapshot_id=secret.snapshot_id)
        told = mine.call(AddInputs(namespace="mine", job_name="job", run_id=run.run_id, items=[claimed]))
        assert [(item.table_name, item.uri, item.row_count) for item in told.inputs] == [("own", None, None)]
        nodes = mine.lineage(run_id=run.run_id, kind="run").nodes
        assert all(node.version is None for node in nodes)
