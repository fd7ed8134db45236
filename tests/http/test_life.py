"""A server tells living runs from dead ones by what it hears, from when it began to listen."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from datlake_sdk.errors import ConfigError
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.processes import own_identity
from datlake_server.settings import LOST_AFTER, lost_after_s
from tests.http.served import SERVE, Server

LIMIT_S = 1


def state(server: Server, run_id: str) -> str:
    """The run's state; the lists say the same."""
    shown = str(server.ask("GET", f"/api/v1/runs/{run_id}").json["state"])
    listed = server.ask("GET", f"/api/v1/runs?state={shown}").json["items"]
    assert isinstance(listed, list)
    assert run_id in [run["run_id"] for run in listed]
    return shown


def until(server: Server, run_id: str, wanted: str) -> None:
    """Returns once the run shows this state."""
    end = time.monotonic() + 20
    while server.ask("GET", f"/api/v1/runs/{run_id}").json["state"] != wanted:
        assert time.monotonic() < end, f"never {wanted}"
        time.sleep(0.05)


def test_a_run_that_falls_silent_is_lost_and_no_other(tmp_path: Path) -> None:
    """Not while it beats, not when the server was away, and not for ever: any sign of life ends it."""
    run_id, quiet = new_id(), new_id()
    server = Server(tmp_path, DATLAKE_LOST_AFTER_S=str(LIMIT_S))
    try:
        start = {"run_id": run_id, "heartbeat_interval_s": 0.01, "process": _process()}
        server.ask("POST", "/api/v1/jobs/j/runs", start)
        server.ask("POST", "/api/v1/jobs/j/runs", {"run_id": quiet, "process": _process()})
        end = time.monotonic() + 2 * LIMIT_S
        while time.monotonic() < end:
            server.ask("POST", "/api/v1/events/broadcast", {"event_type": "heartbeat", "run_id": run_id})
            assert state(server, run_id) == "running"
            time.sleep(0.1)
        until(server, run_id, "lost")
        assert [state(server, each) for each in (run_id, quiet)] == ["lost", "running"]
        server.ask("POST", "/api/v1/events/broadcast", {"event_type": "heartbeat", "run_id": run_id})
        until(server, run_id, "running")
        until(server, run_id, "lost")
    finally:
        server.stop()
    server = Server(tmp_path, DATLAKE_LOST_AFTER_S="60")
    try:
        assert state(server, run_id) == "running"  # it may have tried to be heard while nobody listened
        done = server.ask("PUT", f"/api/v1/jobs/j/runs/{run_id}/complete", {"success": True})
        assert done.json["state"] == state(server, run_id) == "completed"
    finally:
        server.stop()


def test_a_limit_that_is_none_is_refused(tmp_path: Path) -> None:
    """A typing mistake must not make every run lost, nor hide that one is."""
    for text in ("soon", "0", "-1", "nan", "inf", "1e999"):
        with pytest.raises(ConfigError, match=LOST_AFTER):
            lost_after_s({LOST_AFTER: text})
    assert [lost_after_s({LOST_AFTER: text}) for text in ("", " 90 ", "0.5")] == [600, 90, 0.5]
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    done = subprocess.run(command, env={LOST_AFTER: "soon"}, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, LOST_AFTER in done.stderr) == (1, True)


def _process() -> object:
    """A process of this host that is gone."""
    own = own_identity()
    return msgspec.to_builtins(msgspec.structs.replace(own, started=own.started + 1))
