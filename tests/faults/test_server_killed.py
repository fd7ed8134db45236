"""A server that dies under load has kept what it acknowledged, and is back at once (R7)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.figures import Claim, figure
from tests.faults import load
from tests.faults.oracle import eventually, judge, passes_afresh, read_ledger
from tests.faults.rounds import IS_LONG, dice, keep, none_of, rounds
from tests.faults.servers import Served

KILLS = rounds(3, 200)
RATE = 200


@pytest.mark.timeout(120 if not IS_LONG else 3600)
def test_a_server_killed_under_load_loses_and_doubles_nothing_it_acknowledged(tmp_path: Path) -> None:
    """SIGKILL at any moment: within a commit, between a commit and its answer, at start."""
    chance = dice(7)
    with Served(tmp_path / "lake") as server:
        with load.started(server.url, tmp_path / "ledger", rate=RATE, threads=16) as loading:
            assert eventually((tmp_path / "ledger").exists, 20)
            began = time.monotonic()
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.3, 1.2))
                server.restart_after_kill()
            took_s = time.monotonic() - began
            time.sleep(0.3)
            load.ended(loading, 60)
        with server.client() as client:
            ledger = read_ledger(tmp_path / "ledger")
            verdict = judge(client, ledger)
            assert passes_afresh(client)
    ready = figure("ready after SIGKILL", "s", server.ready_s[1:])
    claims = [
        none_of("acknowledged operations lost", len(verdict.lost)),
        none_of("doubled, or never issued", len(verdict.doubled) + len(verdict.foreign) + len(verdict.broken)),
        Claim("ready, slowest", "s", ready.high, 2),
    ]
    rate = verdict.issued / took_s
    told = f"{verdict.issued:,} operations issued, {rate:.0f} a second; {verdict.acked:,} acknowledged"
    keep("R7", f"server killed {KILLS} times under load", claims, [ready], [told])
    assert verdict.is_clean, str(verdict)
    assert verdict.acked > 20 * KILLS, ledger.failed[:5]
