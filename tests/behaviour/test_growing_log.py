"""A job's log grows in the lake while the job goes: it can be followed, and a killed job leaves what it said."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datlake_sdk import Artifact, AsyncDatlakeClient, Conflict, DatlakeClient, JobContext
from datlake_sdk._connection import transport_of
from datlake_sdk.logs.growing import GrowingLog
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.wire.ids import new_id, object_uri, run_log_key
from datlake_sdk.wire.models import LogState, Run
from datlake_server.lake import Lake
from datlake_server.run_logs import LogPlace
from tests.places import Place, serve, stop
from tests.sdk.scripted import Scripted, problem

HOW = CallOptions(timeout_s=5, retries=False)
SAYS = """
import logging, sys, time
from datlake_sdk import JobContext
with JobContext("nightly", ship_logs=True, log_level="INFO") as job:
    print(job.run_id, flush=True)
    logging.info("loading %s", "x" * 100)
    time.sleep(60)
"""
APPENDS = """
import sys
from datlake_sdk import Conflict, DatlakeClient
from datlake_sdk._connection import transport_of
from datlake_sdk.transport.base import CallOptions
home, run_id, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
said, at = b"".join(b"line %d\\n" % number for number in range(3000)), 0
with DatlakeClient(home) as client:
    while at < len(said):
        piece = said[at : at + step]
        there = transport_of(client).append_log("default", run_id, at, piece, CallOptions(timeout_s=9), job_name="j")
        at = there.size_bytes
"""


def until(is_so: Callable[[], bool]) -> None:
    """Returns once it is so; what never comes to be fails the test."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def said_in(client: DatlakeClient, run_id: str) -> bytes:
    return b"".join(client.read_log(run_id))


class Job:
    """A run whose log is a file that this test writes, and the shipment of it."""

    def __init__(self, place: Place, client: DatlakeClient, path: Path) -> None:
        self.client = client
        self.path = path
        self.file = place.home / "logs"
        self.run = client.start_run("nightly")
        self.sent: list[tuple[int, bytes]] = []
        self.log = self.shipment()

    def shipment(self) -> GrowingLog:
        """A new try to ship the file as the run's log."""
        return GrowingLog(str(self.path), self.send, interval_s=0)

    def send(self, offset: int, data: bytes) -> LogState:
        """As a run sends it."""
        self.sent.append((offset, data))
        run = self.run
        return transport_of(self.client).append_log(run.namespace, run.run_id, offset, data, HOW, job_name="nightly")

    def says(self, text: str) -> None:
        """The file grows, and what is due is shipped."""
        with self.path.open("a") as file:
            file.write(text)
        self.log.pass_on()

    def ends(self, *, size_bytes: int, sha256: str) -> Run:
        """The run ends and names a log like this."""
        key = run_log_key("nightly", self.run.run_id)
        log = Artifact(type="log", uri=object_uri("b", key), name="run.log", size_bytes=size_bytes, sha256=sha256)
        return self.client.complete_run("nightly", self.run.run_id, artifacts=[log])

    @property
    def told(self) -> str:
        """What the lake has."""
        return said_in(self.client, self.run.run_id).decode()


@pytest.fixture
def job(place: Place, client: DatlakeClient, tmp_path: Path) -> Job:
    return Job(place, client, tmp_path / "job.log")


# --- whole jobs -------------------------------------------------------------------------------------------------------


def test_a_killed_job_leaves_what_it_said(place: Place, client: DatlakeClient) -> None:
    """Nobody is left who could ship it at the end."""
    process = subprocess.Popen([sys.executable, "-c", SAYS], env=place.environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    until(lambda: b"loading xxx" in said_in(client, run_id))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert said_in(client, run_id).endswith(b"x\n")
    assert client.get_run(run_id).artifacts == []


def test_what_was_shipped_is_not_uploaded_again_at_the_end(place: Place, client: DatlakeClient, tmp_path: Path) -> None:
    """The log becomes the object that the run names."""
    said = tmp_path / "said.log"
    with JobContext(client, "nightly", ship_logs=True, log_path=said) as job:
        said.write_text("loading\n")
        until(lambda: said_in(client, job.run_id) == b"loading\n")
        with said.open("a") as file:
            file.write("loaded\n")
    (log,) = client.get_run(job.run_id).artifacts
    assert b"".join(client.read_object(log.uri)) == said_in(client, job.run_id) == b"loading\nloaded\n"
    assert not (place.home / "logs" / f"{job.run_id}.log").exists()


def test_two_processes_that_send_the_same_log_at_once_write_it_once(tmp_path: Path) -> None:
    """A sender that was thought dead, and the one that took over from it."""
    run_id = new_id()
    steps = [subprocess.Popen([sys.executable, "-c", APPENDS, str(tmp_path), run_id, step]) for step in ("997", "1501")]
    assert [process.wait(60) for process in steps] == [0, 0]
    with DatlakeClient(tmp_path) as client:
        assert said_in(client, run_id) == b"".join(b"line %d\n" % number for number in range(3000))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=30))
def test_a_log_is_always_a_beginning_of_what_was_said(lake_of: Lake, slices: list[tuple[int, int]]) -> None:
    """In any order and any number of times: no byte is missing in the middle, none is there twice."""
    said, run_id, there = bytes(range(48, 108)), new_id(), 0
    for offset, size in slices:
        place, data = LogPlace("default", run_id, offset, "j"), said[offset : offset + size]
        if offset > there:
            with pytest.raises(Conflict, match=f"go on from {there} "):
                lake_of.append_log(place, data)
        else:
            there = max(there, offset + len(data))
            assert lake_of.append_log(place, data).size_bytes == there
    if there:
        assert lake_of.read_log("default", run_id)[0] == said[:there]


@pytest.fixture(scope="module")
def lake_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake.open(str(tmp_path_factory.mktemp("lake")))
    yield lake
    lake.close()


# --- the shipment -----------------------------------------------------------------------------------------------------


def test_a_log_is_shipped_line_by_line(job: Job) -> None:
    """Whoever follows reads whole lines; one without an end waits for it once and no longer."""
    job.log.pass_on()
    assert job.told == ""
    job.says("one\ntw")
    assert job.told == "one\n"
    job.says("o\nthree")
    assert job.told == "one\ntwo\n"
    job.log.pass_on()
    assert job.told == "one\ntwo\nthree"


def test_what_arrived_whole_is_sealed_by_the_ending(job: Job) -> None:
    job.says("one\ntwo")
    shipped = job.log.finish(2)
    assert (shipped.is_whole, shipped.size_bytes) == (True, 7)
    assert shipped.sha256 == hashlib.sha256(b"one\ntwo").hexdigest()
    run = job.ends(size_bytes=shipped.size_bytes, sha256=shipped.sha256)
    assert b"".join(job.client.read_object(run.artifacts[0].uri)) == b"one\ntwo"


def test_nothing_is_sent_twice(job: Job) -> None:
    """A job that logs for a week sends what it logs, not what it logged."""
    for number in range(5):
        job.says(f"line {number}\n")
    job.log.finish(2)
    job.log.pass_on()
    assert [offset for offset, _ in job.sent] == [0, 7, 14, 21, 28]


def rotated(path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    path.write_text("another\n")


def truncated(path: Path) -> None:
    path.write_text("")


def rewritten(path: Path) -> None:
    path.write_text("another log, and longer than the one before\n")


@pytest.mark.parametrize("change", [rotated, truncated, rewritten, Path.unlink], ids=lambda change: change.__name__)
def test_a_file_that_became_another_is_not_shipped_on(job: Job, change: Callable[[Path], None]) -> None:
    """What follows is no continuation. What was said before stays, and the file is uploaded at the end."""
    job.says("one\ntwo\n")
    change(job.path)
    job.log.pass_on()
    assert not job.log.finish(2).is_whole
    assert (job.told, len(job.sent)) == ("one\ntwo\n", 1)


def test_a_lake_that_lost_the_log_gets_it_again(job: Job) -> None:
    """It was restored from last night's backup."""
    job.says("one\ntwo\n")
    (job.file / f"{job.run.run_id}.log").write_text("on")
    job.says("three\n")
    assert job.told == "one\ntwo\nthree\n"
    shipped = job.log.finish(2)
    assert (shipped.is_whole, shipped.sha256) == (True, hashlib.sha256(job.told.encode()).hexdigest())


def test_a_second_try_of_a_run_does_not_mix_with_the_first(job: Job) -> None:
    """Its log is uploaded whole at the end, instead of the first one's."""
    job.says("the first try\n")
    job.path.write_text("2nd try\nwhich says more than the first\n")
    job.log = job.shipment()
    job.log.pass_on()
    assert not job.log.finish(2).is_whole
    assert job.told == "the first try\n"


def test_a_lake_that_is_away_costs_the_log_nothing(tmp_path: Path) -> None:
    """It is told that the log did not arrive, and what is left to do."""
    with DatlakeClient("http://127.0.0.1:9", timeout=1) as client:
        log = GrowingLog(
            str(tmp_path / "job.log"),
            lambda offset, data: transport_of(client).append_log("default", str(uuid.uuid4()), offset, data, HOW),
            interval_s=0,
        )
        (tmp_path / "job.log").write_text("one\n")
        log.pass_on()
        assert (log.finish(1).is_whole, log.shipped_bytes) == (False, 0)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "no_such_address"), (404, "run_not_found"), (413, "log_full"), (409, "log_differs")]
)
def test_a_lake_that_refuses_the_log_is_not_asked_again(tmp_path: Path, status: int, code: str) -> None:
    """An older server would refuse it once a second."""
    server = Scripted(problem(status, code))
    with DatlakeClient(server.url) as client:
        log = GrowingLog(
            str(tmp_path / "job.log"),
            lambda offset, data: transport_of(client).append_log("default", str(uuid.uuid4()), offset, data, HOW),
            interval_s=0,
        )
        (tmp_path / "job.log").write_text("one\n")
        for _ in range(3):
            log.pass_on()
        assert (log.finish(1).is_whole, len(server.requests)) == (False, 1)
    server.close()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_log_is_read_from_any_byte_and_awaited(job: Job) -> None:
    """The same call for those who have an event loop."""
    job.says("one\ntwo\n")

    async def awaited() -> bytes:
        async with AsyncDatlakeClient(transport=transport_of(job.client), namespace=job.run.namespace) as client:
            return b"".join([piece async for piece in client.read_log(job.run.run_id, offset=4)])

    assert b"".join(job.client.read_log(job.run.run_id, offset=4)) == asyncio.run(awaited()) == b"two\n"


def test_a_log_is_followed_to_the_end_of_the_run(job: Job) -> None:
    pieces = job.client.read_log(job.run.run_id, follow=True)
    job.says("one\n")
    assert next(pieces) == b"one\n"
    job.says("two\n")
    shipped = job.log.finish(2)
    job.ends(size_bytes=shipped.size_bytes, sha256=shipped.sha256)
    assert list(pieces) == [b"two\n"]


def test_following_outlasts_a_restart_of_the_server(tmp_path: Path) -> None:
    """Nothing of the log is missing, and nothing is there twice."""
    process, url = serve(tmp_path / "lake")
    place, heard = Place(url, tmp_path / "lake", "default"), list[bytes]()
    with place.client() as client, place.client() as other:
        job = Job(place, client, tmp_path / "job.log")
        reading = threading.Thread(
            target=lambda: heard.extend(other.read_log(job.run.run_id, follow=True, retries=False))
        )
        job.says("before\n")
        reading.start()
        until(lambda: heard == [b"before\n"])
        stop(process)
        job.says("meanwhile\n")
        process, _ = serve(tmp_path / "lake", int(url.rpartition(":")[2]))
        until(lambda: job.log.finish(5).is_whole)
        job.ends(size_bytes=17, sha256=hashlib.sha256(b"before\nmeanwhile\n").hexdigest())
        reading.join(30)
        assert b"".join(heard) == b"before\nmeanwhile\n"
    stop(process)


def test_a_run_that_ended_and_left_its_log_to_an_upload_is_followed_no_longer(job: Job) -> None:
    """The upload may come tomorrow, out of an outbox."""
    job.says("one\n")
    job.ends(size_bytes=99, sha256="0" * 64)
    assert list(job.client.read_log(job.run.run_id, follow=True)) == [b"one\n"]
