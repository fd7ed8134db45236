"""What was acknowledged survives the loss of power (R4), which a killed process proves nothing about.

A file system on an image is shut down as if its power were cut: what had not been synced is gone. The machine lives on,
so what was acknowledged after that moment counts for nothing. Skipped where there are no root, no loop devices or no
`xfs_io`.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, DatlakeError
from tests.faults import load
from tests.faults.mounts import powerless_disk
from tests.faults.objects import payload, wrongs
from tests.faults.oracle import Fact, Verdict, eventually, judge, judge_work, passes_afresh, read_ledger, read_work
from tests.faults.proxy import CLEAR, Fault, FaultProxy
from tests.faults.rounds import IS_LONG, dice, keep, none_of, rounds
from tests.faults.servers import Served
from tests.faults.workers import flushed, working
from tests.places import Place

CUTS = rounds(2, 100)
LIMIT_S = 120 if not IS_LONG else 3600


def kept(row: str, where: str, verdict: Verdict, objects: list[str]) -> None:
    """The row is filed, and the verdict is clean."""
    claims = [
        none_of("acknowledged operations lost", len(verdict.lost)),
        none_of("doubled, or never issued", len(verdict.doubled) + len(verdict.foreign) + len(verdict.broken)),
        none_of("objects lost or in part", len(objects)),
    ]
    told = f"{verdict.issued:,} operations issued, {verdict.acked:,} acknowledged"
    keep(row, f"power cut {CUTS} times: {where}", claims, [], [told])
    assert verdict.is_clean, str(verdict)
    assert objects == []
    assert verdict.acked > 3 * CUTS


class Uploader(threading.Thread):
    """Sends one small object after another until a send fails."""

    def __init__(self, url: str, folder: Path, seed: int, expected: dict[str, str], acked: set[str]) -> None:
        super().__init__()
        self._url, self._folder, self._chance = url, folder, dice(seed)
        self._seed, self._expected, self._acked = seed, expected, acked

    def run(self) -> None:
        """Until the power is gone."""
        with DatlakeClient(self._url, timeout=5) as client:
            for number in range(1_000):
                name = f"o{self._seed}-{number}"
                self._expected[name] = payload(self._folder / "source", self._chance, 20_000)
                try:
                    client.put_object("b", name, self._folder / "source", retries=False)
                except DatlakeError:
                    return
                self._acked.add(name)
                time.sleep(0.01)


@pytest.mark.timeout(LIMIT_S)
def test_a_server_whose_disk_loses_power_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    """Records and the bytes of objects; the folder is served again as it is found."""
    chance, upto, expected, acked = dice(4), dict[Path, int](), dict[str, str](), set[str]()
    with powerless_disk(tmp_path, 512) as disk:
        for number in range(CUTS):
            ledger, sent = tmp_path / f"ledger{number}", set[str]()
            with Served(disk.at / "lake") as server:
                uploader = Uploader(server.url, tmp_path, number, expected, sent)
                with load.started(server.url, ledger, rate=400, threads=8, timeout=2) as loading:
                    assert eventually(ledger.exists, 20)
                    uploader.start()
                    time.sleep(chance.uniform(0.2, 0.8))
                    acked |= sent
                    upto[ledger] = ledger.stat().st_size
                    disk.cut()
                    server.kill()
                    load.ended(loading, 60)
                uploader.join(60)
            disk.power_on()
        with Served(disk.at / "lake") as server, server.client() as client:
            verdict, objects = judge(client, read_ledger(*upto, upto=upto)), wrongs(client, expected, acked)
            assert passes_afresh(client)
    kept("R4 server", "a server's disk", verdict, objects)


@pytest.mark.timeout(LIMIT_S)
def test_an_embedded_lake_whose_disk_loses_power_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    """Two processes share it, and die with it."""
    chance, upto = dice(5), dict[Path, int]()
    with powerless_disk(tmp_path, 512) as disk:
        lake = str(disk.at / "lake")
        for number in range(CUTS):
            mine = [tmp_path / f"ledger{number}-{writer}" for writer in range(2)]
            with (
                load.started(lake, mine[0], rate=200, threads=2) as one,
                load.started(lake, mine[1], rate=200, threads=2) as other,
            ):
                assert eventually(mine[0].exists, 20)
                assert eventually(mine[1].exists, 20)
                time.sleep(chance.uniform(0.2, 0.8))
                upto |= {ledger: ledger.stat().st_size for ledger in mine}
                disk.cut()
                one.kill()
                other.kill()
            disk.power_on()
        with DatlakeClient(lake) as client:
            verdict = judge(client, read_ledger(*upto, upto=upto))
            assert passes_afresh(client)
    kept("R4 embedded lake", "an embedded lake's disk", verdict, [])


@pytest.mark.timeout(LIMIT_S)
def test_what_a_job_kept_for_later_survives_the_power_of_its_disk(tmp_path: Path) -> None:
    """The server is away, so control operations are on the disk before a call returns; events may be 200 ms late."""
    chance, issued, accepted = dice(6), set[Fact](), set[Fact]()
    with powerless_disk(tmp_path, 256) as disk, Served(tmp_path / "lake") as server, FaultProxy(server.port) as proxy:
        place = Place(proxy.url, disk.at / "host", "default")
        proxy.switch(Fault(refuses=True))
        for number in range(CUTS):
            ledger = tmp_path / f"worker{number}"
            with working(place, ledger):
                time.sleep(chance.uniform(0, 0.5))
                upto = ledger.stat().st_size
                disk.cut()
            told, taken = read_work(ledger, upto)
            issued |= told
            accepted |= {fact for fact in taken if fact[0] != "event"}
            disk.power_on()
        proxy.switch(CLEAR)
        flushed(place)
        with server.client() as client:
            verdict = judge_work(client, issued, accepted)
            assert passes_afresh(client)
    kept("R4 outbox", "a job's disk, the server away", verdict, [])
