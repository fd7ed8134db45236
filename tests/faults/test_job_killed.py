"""What a job had accepted when it was killed reaches the lake by the next process of its host, once (R3)."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient
from tests.faults.oracle import Fact, Verdict, judge_work, passes_afresh, read_work
from tests.faults.proxy import CLEAR, Fault, FaultProxy
from tests.faults.rounds import IS_LONG, dice, keep, none_of, rounds
from tests.faults.servers import Served
from tests.faults.workers import flushed, working
from tests.places import Place

KILLS = rounds(4, 500)
LIMIT_S = 120 if not IS_LONG else 3600
WEATHER = [
    CLEAR,
    Fault(refuses=True),
    Fault(holds=True),
    Fault(swallows=2),
    Fault(answer_bytes=150),
    Fault(says=b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"),
]


def killed(place: Place, ledgers: list[Path], chance: random.Random) -> None:
    """Two processes of one host have worked and are dead."""
    with working(place, ledgers[0]), working(place, ledgers[1]):
        time.sleep(chance.uniform(0, 0.5))


def told(ledgers: list[Path]) -> tuple[set[Fact], set[Fact]]:
    """What all the workers issued, and what was accepted."""
    read = [read_work(ledger) for ledger in ledgers]
    return set[Fact]().union(*(one for one, _ in read)), set[Fact]().union(*(other for _, other in read))


def kept(row: str, where: str, verdict: Verdict) -> None:
    """The row is filed, and the verdict is clean."""
    claims = [
        none_of("accepted facts lost", len(verdict.lost)),
        none_of("doubled, or never issued", len(verdict.doubled) + len(verdict.foreign) + len(verdict.broken)),
    ]
    keep(
        row,
        f"jobs killed {KILLS} times: {where}",
        claims,
        [],
        [f"{verdict.issued:,} issued, {verdict.acked:,} accepted"],
    )
    assert verdict.is_clean, str(verdict)
    assert verdict.acked > 5 * KILLS


@pytest.mark.timeout(LIMIT_S)
def test_what_killed_jobs_had_accepted_reaches_the_server_once(tmp_path: Path) -> None:
    """The server there, away, mute, forgetful or busy; two processes at a time, adopted by those that follow."""
    chance, ledgers = dice(3), [tmp_path / "one", tmp_path / "other"]
    with Served(tmp_path / "lake") as server, FaultProxy(server.port) as proxy, server.client() as client:
        place = Place(proxy.url, tmp_path / "host", "default")
        for _ in range((KILLS + 1) // 2):
            proxy.switch(chance.choice(WEATHER))
            killed(place, ledgers, chance)
        proxy.switch(CLEAR)
        flushed(place)
        verdict = judge_work(client, *told(ledgers))
        assert passes_afresh(client)
    kept("R3 server", "a server in all weathers", verdict)


@pytest.mark.timeout(LIMIT_S)
def test_what_killed_jobs_had_accepted_is_in_the_embedded_lake_once(tmp_path: Path) -> None:
    """Two processes at a time on one folder."""
    chance, ledgers = dice(33), [tmp_path / "one", tmp_path / "other"]
    place = Place(str(tmp_path / "lake"), tmp_path / "lake", "default")
    for _ in range((KILLS + 1) // 2):
        killed(place, ledgers, chance)
    flushed(place)
    with DatlakeClient(place.address) as client:
        verdict = judge_work(client, *told(ledgers))
        assert passes_afresh(client)
    kept("R3 embedded lake", "an embedded lake", verdict)
