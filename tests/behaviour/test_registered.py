"""What `register_snapshot` answers has the same keys whether the lake answered or is still to be asked."""

from __future__ import annotations

from datlake_sdk import DatlakeClient, JobContext


def test_a_registration_that_waits_has_the_keys_of_one_that_was_answered(client: DatlakeClient) -> None:
    with JobContext(client, "keys") as job:
        answered = job.register_snapshot("table", "file:///x.csv", "csv", {"a": "int64"})
    nowhere = DatlakeClient("http://127.0.0.1:9")
    with JobContext(nowhere, "keys") as job:
        waiting = job.register_snapshot("table", "file:///x.csv", "csv", {"a": "int64"})
    assert waiting.keys() == answered.keys()
    assert (answered["deferred"], waiting["deferred"], waiting["version"]) == (False, True, None)
    assert answered["fields"] == [{"name": "a", "type": "int64"}]
