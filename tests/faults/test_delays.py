"""What a broken backend costs a job in time (R2), and that its end is bounded (R10). Figures are the long round's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.figures import Claim, figure
from datlake_sdk._outbox.places import folder_of
from datlake_sdk.settings import load_settings
from datlake_sdk.transport.breaker import Breaker
from tests.faults.load import ROOT
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.faults.servers import Served
from tests.faults.workers import on_host
from tests.places import Place

TURNS = rounds(1, 21)
EXITS = rounds(1, 34)
LIMIT_S = 120 if not IS_LONG else 3600
# A run's end waits so long for a lake that says nothing; a signal ends the process at once.
DEADLINE_S = 2.0
SLACK_S = 0.5
# No figure: only that a short round on a busy machine would see a wait that has no end.
FAR_S = 30.0
# Python itself misses a Ctrl-C that comes between its last look and the system call it waits in (11 of 1,500 here).
SETTLED_S = 0.2
# A job that is to find the breaker open has to begin and end within this.
OPEN_S = 3.0


class Took(NamedTuple):
    """Seconds of one job: the whole process, and within it the beginning, the calls and the end."""

    whole: float
    enter: float
    calls: float
    leave: float


def command(*arguments: str) -> list[str]:
    """The timed job."""
    return [sys.executable, "-X", "faulthandler", "-m", "tests.faults.timed_job", *arguments]


def timed(url: str, host: Path, **more: str) -> Took:
    """How long a job took on this host."""
    environment = on_host(Place(url, host, "default"), host, **more)
    began = time.monotonic()
    done = subprocess.run(command(), env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return Took(time.monotonic() - began, *map(float, done.stdout.split()))


def open_breaker(proxy: FaultProxy, fault: Fault, host: Path) -> Took:
    """How long a job took on a host that knows the backend to be away, by the jobs before it, which were refused."""
    settings = load_settings(environ=on_host(Place(proxy.url, host, "default"), host)).settings
    breaker = Breaker(str(Path(folder_of(settings)) / "breaker"))
    proxy.switch(Fault(refuses=True))
    for _ in range(50):
        timed(proxy.url, host)
        if (breaker.open_until or 0.0) > time.time() + OPEN_S:
            break
    proxy.switch(fault)
    return timed(proxy.url, host)


@pytest.mark.timeout(LIMIT_S)
def test_a_job_is_hardly_slower_for_a_broken_backend(tmp_path: Path) -> None:
    """Beside the very same job with recording disabled, in turns; each on a host of its own, but where told."""
    took: dict[str, list[Took]] = {
        name: [] for name in ("disabled", "refused", "black hole", "open, refused", "open, hole")
    }
    with FaultProxy(1, Fault(refuses=True)) as refused, FaultProxy(1, Fault(holds=True)) as hole, FaultProxy(1) as away:
        for turn in range(TURNS):
            host = tmp_path / str(turn)
            took["disabled"].append(timed(refused.url, host / "disabled", DATLAKE_DISABLED="1"))
            took["refused"].append(timed(refused.url, host / "refused"))
            took["black hole"].append(timed(hole.url, host / "hole"))
            if IS_LONG:
                took["open, refused"].append(open_breaker(away, Fault(refuses=True), host / "open"))
                took["open, hole"].append(open_breaker(away, Fault(holds=True), host / "open hole"))
    assert all(one.whole < FAR_S for some in took.values() for one in some)
    if IS_LONG:
        keep_delays(took)


def keep_delays(took: dict[str, list[Took]]) -> None:
    """The medians beside those of the disabled job."""
    whole = {name: figure(f"{name}: whole job", "s", [one.whole for one in some]) for name, some in took.items()}
    enter = {
        name: figure(f"{name}: start", "s", [one.enter + one.calls for one in some]) for name, some in took.items()
    }
    leave = {name: figure(f"{name}: end", "s", [one.leave for one in some]) for name, some in took.items()}
    claims = [
        Claim("refused, added in all", "s", whole["refused"].median - whole["disabled"].median, 0.25),
        Claim("black hole, added at start", "s", enter["black hole"].median - enter["disabled"].median, 1),
        Claim("black hole, added at exit", "s", leave["black hole"].median - leave["disabled"].median, 2),
        Claim("breaker open, refused, in all", "s", whole["open, refused"].median - whole["disabled"].median, 0.25),
        Claim("breaker open, black hole, in all", "s", whole["open, hole"].median - whole["disabled"].median, 0.25),
    ]
    figures = [*whole.values(), enter["black hole"], leave["black hole"]]
    keep("R2", "what a broken backend adds to a job without reads", claims, figures)


# --- R10 --------------------------------------------------------------------------------------------------------------

ENDS = {"end of the block": None, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
STATUS = {"end of the block": 0, "SIGTERM": -signal.SIGTERM, "Ctrl-C": -signal.SIGINT}
BOUND_S = {"end of the block": DEADLINE_S + SLACK_S, "SIGTERM": SLACK_S, "Ctrl-C": DEADLINE_S + SLACK_S}


def started(proxy: FaultProxy, host: Path) -> subprocess.Popen[bytes]:
    """The timed job, which waits within its block."""
    environment = on_host(Place(proxy.url, host, "default"), host)
    pipe = subprocess.PIPE
    return subprocess.Popen(command("wait"), env=environment, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def seconds_to_end(server: Served, host: Path, how: str) -> float:
    """How long the job takes to end, once the backend has become a black hole and the job is told to end."""
    with FaultProxy(server.port) as proxy, started(proxy, host) as job:
        assert job.stdout is not None
        assert job.stdin is not None
        assert job.stdout.readline() == b"in\n"
        proxy.switch(Fault(holds=True))
        time.sleep(SETTLED_S)
        number, began = ENDS[how], time.monotonic()
        if number is None:
            job.stdin.write(b"\n")
            job.stdin.flush()
        else:
            job.send_signal(number)
        try:
            job.wait(FAR_S)
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGABRT)  # says where every thread stands
            raise AssertionError(f"{how}: still there: {job.communicate()[1].decode()}") from None
        took_s = time.monotonic() - began
        assert job.returncode == STATUS[how], job.communicate()[1].decode()
        return took_s


@pytest.mark.timeout(LIMIT_S)
def test_the_end_of_a_job_is_bounded_and_its_own(tmp_path: Path) -> None:
    """A black hole at exit, SIGTERM and Ctrl-C within one; the exit status is what it would have been."""
    took: dict[str, list[float]] = {how: [] for how in ENDS}
    with Served(tmp_path / "lake") as server, ThreadPoolExecutor(1 if IS_LONG else len(ENDS)) as pool:
        asked = [(how, tmp_path / f"{turn}-{how}") for turn in range(EXITS) for how in ENDS]
        times = pool.map(lambda one: seconds_to_end(server, one[1], one[0]), asked)
        for (how, _), took_s in zip(asked, times, strict=True):
            took[how].append(took_s)
    late = [f"{how}: {one:.2f} s" for how, some in took.items() for one in some if one > BOUND_S[how]]
    figures = [figure(f"{how} into a black hole, to the end of the process", "s", some) for how, some in took.items()]
    count = sum(len(some) for some in took.values())
    keep("R10", "exit is bounded", [none_of(f"of {count} exits later than deadline + {SLACK_S} s", len(late))], figures)
    assert all(one < FAR_S for some in took.values() for one in some)
