"""A write that is sent again is answered as the first time, and done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.operations import OPERATIONS
from tests.http.served import Reply, Server


def keyed(server: Server, method: str, target: str, body: object, key: str) -> Reply:
    """One request with a key."""
    return server.ask(method, f"/api/v1{target}", body, {"Idempotency-Key": key})


def requests(run_id: str) -> dict[str, tuple[str, str, object]]:
    """A request of each kind that takes a key."""
    items = {"items": [{"uri": "s3://b/x"}]}
    snapshot = {"table_name": f"t-{run_id}", "uri": "s3://b/1", "format": "csv"}
    event = {"event_type": "told", "job_name": "again", "run_id": run_id}
    job = {"namespace": "again", "name": "again"}
    told = {"eventType": "START", "eventTime": "2026-01-01T00:00:00Z", "run": {"runId": f"ol-{run_id}"}, "job": job}
    return {
        "StartRun": ("POST", "/jobs/again/runs", {"metadata": {"a": 1}}),
        "CompleteRun": ("PUT", f"/jobs/again/runs/{run_id}/complete", {"success": True}),
        "AddInputs": ("POST", f"/jobs/again/runs/{run_id}/inputs", items),
        "AddOutputs": ("POST", f"/jobs/again/runs/{run_id}/outputs", items),
        "RegisterSnapshot": ("POST", "/jobs/register-snapshot", snapshot),
        "LogEvent": ("POST", "/events/broadcast", event),
        "LogEvents": ("POST", "/events/batch", {"events": [event, event]}),
        "RecordLineage": ("POST", "/lineage", told),
        "RecordLineageBatch": ("POST", "/lineage/batch", [told, {}]),  # one is refused, so that there is an answer
    }


def code_of(reply: Reply) -> tuple[int, object]:
    """Status and error code."""
    return reply.status, reply.json["code"]


@pytest.mark.parametrize("name", requests(""))
def test_a_request_that_is_sent_again_is_answered_again(server: Server, name: str) -> None:
    """Who lost the answer on the way gets the very same one, byte for byte, and is told that nothing was done now."""
    method, target, body = requests(new_id())[name]
    key = f"mine-{name}"
    first, again = (keyed(server, method, target, body, key) for _ in range(2))
    assert first.status == next(op.http.status for op in OPERATIONS if op.__name__ == name)
    assert (again.status, again.body) == (first.status, first.body)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_what_was_done_once_is_there_once(server: Server) -> None:
    """Runs, events and snapshots alike."""
    run_id = new_id()
    for name, (method, target, body) in requests(run_id).items():
        for _ in range(3):
            keyed(server, method, target, body, f"{run_id}-{name}")
    events = server.ask("GET", f"/api/v1/runs/{run_id}/events").json["items"]
    assert isinstance(events, list)
    assert len(events) == 3  # one alone, two in the batch
    assert server.ask("GET", f"/api/v1/tables/t-{run_id}").json["snapshot_count"] == 1


def test_the_answer_is_the_one_of_then(server: Server) -> None:
    """Else a sender could not tell what its request did from what others did since."""
    key = new_id()
    first = keyed(server, "POST", "/jobs/moving/runs", {}, key)
    server.ask("PUT", f"/api/v1/jobs/moving/runs/{first.json['run_id']}/complete", {"success": True})
    again = keyed(server, "POST", "/jobs/moving/runs", {}, key)
    assert (again.json["state"], again.json) == ("running", first.json)


def test_a_key_belongs_to_one_request(server: Server) -> None:
    """A key that is used twice by mistake would else swallow a write, and say that it went well."""
    key = new_id()
    assert keyed(server, "POST", "/jobs/one/runs", {"metadata": {"day": "mon"}}, key).status == 201
    for target, body in (
        ("/jobs/one/runs", {"metadata": {"day": "tue"}}),
        ("/jobs/other/runs", {"metadata": {"day": "mon"}}),
        ("/events/broadcast", {"event_type": "told"}),
    ):
        assert code_of(keyed(server, "POST", target, body, key)) == (422, "idempotency_key_reused")
    same = keyed(server, "POST", "/jobs/one/runs", {"metadata": {"day": "mon"}, "unknown": 1}, key)
    assert same.headers["idempotency-replayed"] == "true"
    other = keyed(server, "POST", "/jobs/one/runs?namespace=theirs", {"metadata": {"day": "tue"}}, key)
    assert other.status == 201


def test_a_key_that_follows_from_the_request_is_no_receipt(server: Server) -> None:
    """The rows themselves say what was made, for ever: the answer shows the run as it is now."""
    run_id = new_id()
    target, body = "/jobs/natural/runs", {"run_id": run_id}
    assert keyed(server, "POST", target, body, run_id).json["state"] == "running"
    keyed(server, "PUT", f"{target}/{run_id}/complete", {"success": True}, f"{run_id}:complete")
    again = keyed(server, "POST", target, body, run_id)
    assert (again.status, again.json["state"]) == (201, "completed")
    assert "idempotency-replayed" not in again.headers


def test_a_failure_is_not_remembered(server: Server) -> None:
    """What was refused may be mended and sent again; what went wrong may go right."""
    key, body = new_id(), {"table_name": "guarded", "uri": "s3://b/2", "format": "csv", "expected_version": 1}
    assert code_of(keyed(server, "POST", "/jobs/register-snapshot", body, key)) == (409, "version_conflict")
    server.ask("POST", "/api/v1/jobs/register-snapshot", {"table_name": "guarded", "uri": "s3://b/1", "format": "csv"})
    done = keyed(server, "POST", "/jobs/register-snapshot", body, key)
    assert (done.status, done.json["version"]) == (201, 2)


def test_an_ending_that_disagrees_is_told_so_each_time(server: Server) -> None:
    """It is recorded all the same, and once."""
    run_id, key = new_id(), new_id()
    target = f"/jobs/ends/runs/{run_id}/complete"
    at = {"ended_at": "2026-01-01T00:00:00Z"}
    server.ask("PUT", f"/api/v1{target}", {"success": True, **at})
    for _ in range(2):
        late = {"success": False, "ended_at": "2026-01-02T00:00:00Z"}
        assert code_of(keyed(server, "PUT", target, late, key)) == (409, "run_already_ended")
    endings = server.ask("GET", f"/api/v1/runs/{run_id}").json["endings"]
    assert isinstance(endings, list)
    assert len(endings) == 2


def test_of_many_at_once_one_is_done(server: Server) -> None:
    """A proxy that gives up and sends again does not wait for the first to end."""
    key = new_id()
    body = {"table_name": "rush", "uri": "s3://b/1", "format": "csv"}
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(lambda _: keyed(server, "POST", "/jobs/register-snapshot", body, key), range(16), timeout=30)
        )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in replies) == 1


def test_an_older_address_keeps_the_promise_too(server: Server) -> None:
    """The older clients are those that mint keys of their own."""
    key, body = new_id(), {"event_type": "told", "data": {}}
    replies = [server.ask("POST", "/events/broadcast", body, {"Idempotency-Key": key}) for _ in range(2)]
    assert replies[0].body == replies[1].body
    assert replies[1].headers["idempotency-replayed"] == "true"


def test_an_object_is_its_bytes_and_needs_no_receipt(server: Server) -> None:
    """The same bytes under the same name are the same object; other bytes replace them."""
    for body in (b"one", b"two"):
        reply = server.ask("PUT", "/api/v1/datasets/b/o", body, {"Idempotency-Key": "same"})
        assert (reply.status, "idempotency-replayed" in reply.headers) == (201, False)
    assert server.ask("GET", "/api/v1/datasets/b/o").body == b"two"


def test_how_long_a_key_is_known_is_told(server: Server) -> None:
    """An outbox that is older than that must rely on the ids in it."""
    limits = server.ask("GET", "/api/v1/config").json["limits"]
    assert isinstance(limits, dict)
    assert limits["idempotency_window_s"] == 30 * 24 * 3600


def test_the_document_says_which_operations_take_a_key(server: Server) -> None:
    """And what a replay looks like."""
    paths = server.ask("GET", "/api/v1/openapi.json").json["paths"]
    assert isinstance(paths, dict)
    for op in OPERATIONS:
        described = paths[f"/api/v1{op.http.path}"][op.http.method.lower()]
        takes_key = any(each["name"] == "Idempotency-Key" for each in described["parameters"])
        replays = "Idempotency-Replayed" in described["responses"][str(op.http.status)]["headers"]
        assert takes_key == replays == (op.__name__ in requests("")), op.__name__
        assert "422" in described["responses"]
