"""No object is ever seen in part or changed, whatever breaks while it travels (R13)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from datlake_sdk import DatlakeClient, DatlakeError, NotFound, ServerError
from tests.faults.mounts import small_disk
from tests.faults.objects import payload, wrongs
from tests.faults.oracle import eventually, passes_afresh
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.rounds import IS_LONG, dice, keep, none_of, rounds
from tests.faults.servers import Served

KILLS = rounds(2, 100)
FLIPS = rounds(8, 500)
MIB = 1 << 20
LIMIT_S = 120 if not IS_LONG else 3600

UPLOAD = """
import sys
from datlake_sdk import DatlakeClient
DatlakeClient(sys.argv[1], timeout=20).put_object("b", sys.argv[2], sys.argv[3])
print("acknowledged", flush=True)
"""


def kept(row: str, title: str, found: list[str], told: str) -> None:
    """The row is filed, and nothing was wrong."""
    keep(row, title, [none_of("objects in part, changed or lost", len(found))], [], [told])
    assert found == [], told


def has_more_connections(proxy: FaultProxy, before: int) -> bool:
    """True once somebody has connected since."""
    return proxy.counts.connections > before


@pytest.mark.timeout(LIMIT_S)
def test_an_upload_whose_sender_is_killed_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """The bytes that came are no object; nothing of them stays on the server's disk."""
    chance, expected, acked = dice(13), dict[str, str](), set[str]()
    with Served(tmp_path / "lake") as server, FaultProxy(server.port, Fault(bytes_per_s=8 * MIB)) as proxy:
        for number in range(KILLS):
            name = f"o{number}"
            expected[name] = payload(tmp_path / "file", chance, MIB)
            before = proxy.counts.connections
            sender = subprocess.Popen(
                [sys.executable, "-c", UPLOAD, proxy.url, name, str(tmp_path / "file")], stdout=subprocess.PIPE
            )
            assert eventually(partial(has_more_connections, proxy, before), 20)
            time.sleep(chance.uniform(0, 0.4))
            sender.kill()
            if b"acknowledged" in sender.communicate(timeout=20)[0]:
                acked.add(name)
        assert eventually(lambda: not list((server.home / "objects" / "tmp").iterdir()), 20), "bytes stayed behind"
        with server.client() as client:
            found = wrongs(client, expected, acked)
            assert passes_afresh(client)
    kept("R13 sender killed", "uploads, the sender killed", found, f"{KILLS} kills, {len(acked)} acknowledged before")


@pytest.mark.timeout(LIMIT_S)
def test_an_upload_to_a_server_that_is_killed_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """The sender begins anew where it may; what it is told is true."""
    chance, expected, acked = dice(14), dict[str, str](), set[str]()
    with Served(tmp_path / "lake") as server, FaultProxy(server.port, Fault(bytes_per_s=8 * MIB)) as proxy:

        def send(name: str) -> None:
            with DatlakeClient(proxy.url, timeout=20) as client:
                try:
                    client.put_object("b", name, tmp_path / name)
                    acked.add(name)
                except DatlakeError:
                    return

        for number in range(KILLS):
            name = f"o{number}"
            expected[name] = payload(tmp_path / name, chance, MIB)
            sender = threading.Thread(target=send, args=(name,))
            sender.start()
            time.sleep(chance.uniform(0, 0.25))
            server.restart_after_kill()
            sender.join(60)
            (tmp_path / name).unlink()
        with server.client() as client:
            found = wrongs(client, expected, acked)
            assert passes_afresh(client)
    kept("R13 server killed", "uploads, the server killed", found, f"{KILLS} kills, {len(acked)} acknowledged")


@pytest.mark.timeout(LIMIT_S)
def test_bytes_that_change_on_the_way_up_or_down_are_never_taken_for_the_object(tmp_path: Path) -> None:
    """One bit of the body up, one bit of anything down: an error, or the very bytes."""
    chance, expected, acked, found = dice(15), dict[str, str](), set[str](), list[str]()
    source, target = tmp_path / "file", tmp_path / "back"
    with Served(tmp_path / "lake") as server, FaultProxy(server.port) as proxy:
        for number in range(FLIPS):
            name = f"o{number}"
            expected[name] = payload(source, chance, 100_000)
            proxy.switch(Fault(flips_request_at=chance.randrange(1_000, 100_000)))
            with DatlakeClient(proxy.url, timeout=5) as client:
                try:
                    client.put_object("b", name, source, retries=number % 2 == 0)  # mended by another attempt, or not
                    acked.add(name)
                except DatlakeError:
                    pass
            with server.client() as client:
                client.put_object("whole", name, source)
            proxy.switch(Fault(flips_answer_at=chance.randrange(100_000)))
            with DatlakeClient(proxy.url, timeout=2) as client:
                try:
                    client.download_object(f"datlake://whole/{name}", target)
                    found += [name] * (hashlib.sha256(target.read_bytes()).hexdigest() != expected[name])
                    target.unlink()
                except DatlakeError:
                    found += [f"{name} left a file"] * target.exists()
        with server.client() as client:
            found += wrongs(client, expected, acked)
            assert passes_afresh(client)
    assert proxy.counts.flipped >= FLIPS
    kept(
        "R13 bit flips", "transfers, a bit flipped", found, f"{2 * FLIPS} transfers, {len(acked)} uploads acknowledged"
    )


def test_a_full_disk_is_told_and_when_it_has_room_again_work_goes_on(tmp_path: Path) -> None:
    """507 for what needs room, answers for what needs none; no restart and no repair."""
    chance = dice(16)
    with small_disk(tmp_path / "disk", 24) as disk, Served(disk / "lake") as server, server.client() as client:
        expected = {"small": payload(tmp_path / "small", chance, MIB)}
        payload(tmp_path / "large", chance, 30 * MIB)
        client.put_object("b", "small", tmp_path / "small")
        assert passes_afresh(client)
        with pytest.raises(ServerError) as refused:
            client.put_object("b", "large", tmp_path / "large", retries=False)
        assert (refused.value.code, refused.value.status) == ("disk_full", 507)
        told = fill_up(disk / "filler", client)
        assert (told.code, told.status) == ("disk_full", 507)
        assert wrongs(client, expected, {"small"}) == []
        with pytest.raises(NotFound):
            client.latest_snapshot("none")
        (disk / "filler").unlink()
        assert passes_afresh(client)
        found = wrongs(client, expected, {"small"})
    kept("R13 disk full", "the server's disk full", found, "507 while full, reads answered, work went on by itself")


def fill_up(filler: Path, client: DatlakeClient) -> ServerError:
    """What the lake says once nothing more fits on its disk."""
    with filler.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    with pytest.raises(ServerError) as told:  # noqa: PT012 -- which of them is the first that does not fit is not known
        for number in range(1000):
            client.register_snapshot("t", f"s3://b/{number}", "csv", metadata={"x": "y" * 4000}, retries=False)
    return told.value
