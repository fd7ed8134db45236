"""No run gets an end that it did not have (R11): the server away or stopped, the job stopped, clocks that jump.

Signs of life come every 0.2 s here and the limit is 2 s, so that an outage longer than the limit is a short one.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.figures import Claim, figure
from datlake_sdk import DatlakeError
from datlake_sdk.wire.models import Event
from tests.faults.load import ROOT
from tests.faults.oracle import eventually
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.faults.servers import Served
from tests.faults.workers import on_host
from tests.places import Place

LIMIT_S = 2.0
OUTAGE_S = LIMIT_S * 1.5
# Longer than the limit: what a jump does may show only then.
LOOKED_S = LIMIT_S * 1.3
TURNS = rounds(1, 25)
OFFSETS = ["+3600", "-3600", "+0"] if IS_LONG else ["+3600", "+0"]
TEST_LIMIT_S = 120 if not IS_LONG else 3600
# As it is known to the one that is called by name: where `faketime` is, its library lies under one of these.
FAKETIME = [
    Path(f"/usr/lib/{kind}faketime/libfaketimeMT.so.1") for kind in ("x86_64-linux-gnu/", "aarch64-linux-gnu/", "")
]


class Beating:
    """A running job that shows life."""

    def __init__(self, server: Served, host: Path, **environment: str) -> None:
        place = Place(server.url, host, "default")
        self.client = server.client()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.beating"],
            env=on_host(place, host, **environment),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self.run_id = self.process.stdout.readline().decode().strip()

    def state(self) -> str:
        """As the server tells it."""
        return self.client.get_run(self.run_id).state

    def tick(self) -> Event:
        """An event that the job logs now."""
        assert self.process.stdin is not None
        count = len(self.ticks())
        self.process.stdin.write(b"tick\n")
        self.process.stdin.flush()
        assert eventually(lambda: len(self.ticks()) > count, 10)
        return self.ticks()[-1]

    def ticks(self) -> list[Event]:
        """The events that the job was told to log."""
        return list(self.client.events(self.run_id, event_type="tick"))

    def becomes(self, state: str, within_s: float = 10) -> bool:
        """True once the server tells this state."""
        return eventually(lambda: self.state() == state, within_s)

    def ends_well(self) -> bool:
        """True where the job has ended and is told so; what was kept for later is waited for."""
        self.process.communicate(timeout=30)
        return self.becomes("completed")

    def close(self) -> None:
        """The job is no more."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()
        self.client.close()


@contextmanager
def beating(server: Served, host: Path, **environment: str) -> Iterator[Beating]:
    """A job at work within the block."""
    job = Beating(server, host, **environment)
    try:
        yield job
    finally:
        job.close()


def wrongs(seconds: float, **jobs: Beating) -> list[str]:
    """What is told wrong of the jobs' runs within so long; what a server cannot answer it does not tell."""
    seen: dict[str, set[str]] = {name: set() for name in jobs}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, job in jobs.items():
            with suppress(DatlakeError):
                seen[name].add(job.client.get_run(job.run_id, retries=False, timeout=1).state)
        time.sleep(0.02)
    return [f"{name}: told {told}" for name, told in seen.items() if told != {"running"}]


def served(home: Path, **environment: str) -> Served:
    """A server that presumes a run lost after a short silence."""
    return Served(home, DATLAKE_LOST_AFTER_S=str(LIMIT_S), **environment)


@pytest.mark.timeout(TEST_LIMIT_S)
def test_an_outage_of_the_server_makes_no_zombies_and_a_dead_job_is_seen(tmp_path: Path) -> None:
    """Killed and started again, stopped and going on; the job stopped and going on; the job killed."""
    wrong, seen_after = list[str](), list[float]()
    for turn in range(TURNS):
        with ExitStack() as stack:
            servers = [stack.enter_context(served(tmp_path / f"lake{turn}-{n}")) for n in range(3)]
            jobs = [stack.enter_context(beating(servers[min(n, 2)], tmp_path / f"host{turn}-{n}")) for n in range(4)]
            killed, stopped, paused_job, dead_job = jobs
            assert all(job.becomes("running") for job in jobs)
            servers[0].kill()
            servers[1].pause()
            paused_job.process.send_signal(signal.SIGSTOP)
            dead_job.process.kill()
            began = time.monotonic()
            time.sleep(OUTAGE_S)
            servers[0].start()
            servers[1].go_on()
            wrong += wrongs(LOOKED_S, server_killed=killed)
            assert dead_job.becomes("lost", 60 + LIMIT_S)
            seen_after.append(time.monotonic() - began - LIMIT_S)
            paused_job.process.send_signal(signal.SIGCONT)
            # One was silent, one unheard: a server that stood still does not know it. They are lost until they speak.
            wrong += ["still lost"] * (not (paused_job.becomes("running") and stopped.becomes("running")))
            wrong += [f"ended {job.state()}" for job in (killed, stopped, paused_job) if not job.ends_well()]
    late = figure("a real loss is seen, beyond the limit, at most", "s", seen_after)
    claims = [none_of("wrong states", len(wrong)), Claim("a real loss is seen, beyond the limit", "s", late.high, 60)]
    title = f"no false zombies: outages of {OUTAGE_S:g} s at a limit of {LIMIT_S:g} s"
    keep(
        "R11 outages", title, claims, [late], [f"{TURNS} times: server killed, server stopped, job stopped, job killed"]
    )
    assert wrong == []


@pytest.mark.timeout(TEST_LIMIT_S)
def test_clocks_that_jump_make_no_zombies(tmp_path: Path) -> None:
    """An hour forward and an hour back, at the server of one job and at the process of another, within their runs."""
    library = next((path for path in FAKETIME if path.exists()), None)
    if shutil.which("faketime") is None or library is None:
        pytest.skip("needs faketime, not found on this machine")
    clock, wrong = tmp_path / "clock", list[str]()
    clock.write_text("+0\n")
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    faked |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    with served(tmp_path / "one", **faked) as odd, served(tmp_path / "other") as right:
        for turn in range(TURNS):
            with beating(odd, tmp_path / f"a{turn}") as one, beating(right, tmp_path / f"b{turn}", **faked) as other:
                assert one.becomes("running")
                assert other.becomes("running")
                for offset in OFFSETS:
                    clock.write_text(f"{offset}\n")
                    wrong += jumped(one, other, int(offset))
                wrong += ["not ended well"] * (not (one.ends_well() and other.ends_well()))
    told = f"{TURNS} runs each at a server and in a job whose clock is an hour ahead, an hour behind, right again"
    keep("R11 clocks", "no false zombies: clocks that jump", [none_of("wrong states", len(wrong))], [], [told])
    assert wrong == []


def jumped(of_server: Beating, of_job: Beating, offset_s: int) -> Iterator[str]:
    """What is told wrong while these clocks are off; that they are is made sure of."""
    yield from wrongs(LOOKED_S, clock_of_server=of_server, clock_of_job=of_job)
    assert abs(of_server.tick().received_at.timestamp() - time.time() - offset_s) < 60
    if offset_s <= 0:  # an event from the future is one of now
        assert abs(of_job.tick().created_at.timestamp() - time.time() - offset_s) < 60
