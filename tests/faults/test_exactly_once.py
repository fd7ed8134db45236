"""An operation that is sent again has its effect once (R5): answers are lost after the commit, and senders doubled."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults import load
from tests.faults.oracle import Ledger, judge, passes_afresh, read_ledger
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.faults.servers import Served

THREADS = 5
OPERATIONS_OF_A_LIFE = 5
LOST = rounds(10, 1_000)
DOUBLED = rounds(10, 4_000)
LIMIT_S = 120 if not IS_LONG else 3600


def held(server: Served, ledger: Ledger, row: str, how: str, told: str) -> None:
    """The oracle's verdict is clean, and everything was acknowledged in the end."""
    with server.client() as client:
        verdict = judge(client, ledger)
        assert passes_afresh(client)
    claims = [
        none_of("acknowledged operations lost", len(verdict.lost)),
        none_of("effects doubled, or never issued", len(verdict.doubled) + len(verdict.foreign)),
        none_of("answers that contradict each other", len(verdict.broken)),
    ]
    keep(row, f"effect exactly once: {how}", claims, [], [f"{told}; {verdict.acked:,} acknowledged"])
    assert verdict.is_clean, str(verdict)
    assert verdict.acked == verdict.issued, ledger.failed[:5]


def sent(lives: int, proxy: FaultProxy, took_s: float) -> str:
    """How much was sent, as a row says it."""
    operations, counts = lives * THREADS * OPERATIONS_OF_A_LIFE, proxy.counts
    assert counts.answers == counts.requests, counts
    return (
        f"{operations:,} operations sent {counts.requests:,} times in {took_s:.0f} s, {counts.swallowed:,} answers lost"
    )


@pytest.mark.timeout(LIMIT_S)
def test_operations_whose_answers_are_lost_after_the_commit_happen_once(tmp_path: Path) -> None:
    """Every second answer of a connection is lost, and with it the connection: nearly each operation is sent twice."""
    with Served(tmp_path / "lake") as server, FaultProxy(server.port, Fault(swallows=2)) as proxy:
        began = time.monotonic()
        with load.started(proxy.url, tmp_path / "ledger", threads=THREADS, lives=LOST, turns=9) as loading:
            load.ended(loading, LIMIT_S)
        told = sent(LOST, proxy, time.monotonic() - began)
        assert proxy.counts.swallowed > 0.9 * LOST * THREADS * OPERATIONS_OF_A_LIFE, told
        held(server, read_ledger(tmp_path / "ledger"), "R5 lost answers", "answers lost", told)


@pytest.mark.timeout(LIMIT_S)
def test_operations_sent_by_two_senders_at_once_happen_once(tmp_path: Path) -> None:
    """Two flushers of one outbox: the same operations, at the same moment, and each third answer lost beside."""
    with Served(tmp_path / "lake") as server, FaultProxy(server.port, Fault(swallows=3)) as proxy:
        began = time.monotonic()
        options = {"threads": THREADS, "lives": DOUBLED, "copies": 2, "turns": 9}
        with load.started(proxy.url, tmp_path / "ledger", **options) as loading:
            load.ended(loading, LIMIT_S)
        told = sent(DOUBLED, proxy, time.monotonic() - began)
        assert proxy.counts.answers >= 2 * DOUBLED * THREADS * OPERATIONS_OF_A_LIFE, told
        held(server, read_ledger(tmp_path / "ledger"), "R5 doubled senders", "two senders each, answers lost", told)
