"""Whether a host's processes ask a destination at all: read from values, and tried with real processes on one file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from datlake_sdk.transport.breaker import ASKED_PAUSE_CAP_S, Breaker

# The longest pause that is not asked for, with its jitter.
LONGEST_S = 72.0


class Host:
    """A host's clock and its processes, which look at the file at every call; jitter stands still at 1."""

    def __init__(self, path: Path) -> None:
        self.now = 1_000_000_000.0
        self.path = path
        self._looks = count()

    def process(self) -> Breaker:
        """What another process of the host would have."""
        return Breaker(
            str(self.path), clock=lambda: self.now, chance=lambda: 0.5, monotonic=lambda: float(next(self._looks))
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "outbox" / "breaker")


def fail(breaker: Breaker, times: int = 5) -> None:
    for _ in range(times):
        breaker.failed()


class _TwoProcesses(RuleBasedStateMachine):
    """Two processes on one file agree with a model of five numbers, whatever happens to them and to the clock."""

    processes: Bundle[Breaker] = Bundle("processes")

    @initialize(target=processes)
    def begins(self) -> Breaker:
        self.folder = tempfile.TemporaryDirectory()
        self.host = Host(Path(self.folder.name) / "breaker")
        self.reset()
        return self.host.process()

    @rule(target=processes)
    def another(self) -> Breaker:
        return self.host.process()

    def reset(self) -> None:
        self.failures, self.level, self.since, self.pause_s, self.probing = 0, 0, 0.0, 0.0, False

    def refuses(self) -> bool:
        return self.pause_s > 0 and self.since - 1 <= self.host.now < self.since + self.pause_s

    def opens(self, level: int, asked_s: float) -> None:
        self.level, self.since, self.probing = level, self.host.now, False
        self.pause_s = max(min(60.0, 5.0 * 2**level), min(asked_s, 300.0))

    @rule(process=processes)
    def asks(self, process: Breaker) -> None:
        if self.pause_s == 0:
            assert process.allows()
        elif self.refuses():
            assert not process.allows()
        else:
            assert process.allows(), "the first after the pause tries"
            self.since, self.probing = self.host.now, True
            assert not process.allows(), "and no other until it has answered"

    @rule(process=processes)
    def succeeds(self, process: Breaker) -> None:
        process.succeeded()
        self.reset()

    @rule(process=processes, asked_s=st.none() | st.floats(-1, 4000), times=st.integers(1, 6))
    def fails(self, process: Breaker, asked_s: float | None, times: int) -> None:
        for _ in range(times):
            process.failed(retry_after_s=asked_s)
            self.fails_once(asked_s or 0.0)

    def fails_once(self, asked_s: float) -> None:
        if self.pause_s == 0:
            self.failures += 1
            if self.failures == 5:
                self.opens(0, asked_s)
        elif self.refuses() and not self.probing:
            if self.host.now + min(asked_s, 300.0) > self.since + self.pause_s:
                self.since, self.pause_s = self.host.now, min(asked_s, 300.0)
        else:
            self.opens(min(self.level + 1, 16), asked_s)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 7.0, 60.0, 300.0, 86_400.0, -0.5, -60.0, -86_400.0]))
    def the_clock_moves(self, seconds: float) -> None:
        self.host.now += seconds

    @rule()
    def the_file_vanishes(self) -> None:
        self.host.path.unlink(missing_ok=True)
        self.reset()

    @rule(junk=st.binary(min_size=1, max_size=600).filter(lambda data: data.strip()[:1] != b"{"))
    def the_file_is_damaged(self, junk: bytes) -> None:
        self.host.path.write_bytes(junk)
        self.reset()

    @rule(process=processes)
    def all_agree(self, process: Breaker) -> None:
        assert process.is_open == self.refuses()
        until = process.open_until
        assert until is None or until - self.host.now <= ASKED_PAUSE_CAP_S + 1

    @invariant()
    def the_file_stays_small(self) -> None:
        path = self.host.path
        assert not path.exists() or path.stat().st_size <= 600

    def teardown(self) -> None:
        self.folder.cleanup()


TestTwoProcesses = _TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_the_fifth_failure_in_a_row_opens_it_for_every_process(host: Host) -> None:
    """A thousand short jobs do not each wait for a lake that is away."""
    one, other = host.process(), host.process()
    fail(one, 2)
    fail(other, 2)
    assert one.allows()
    assert other.allows()
    one.failed()
    assert not one.allows()
    assert not other.allows()
    assert not host.process().allows()


def test_a_success_between_begins_the_count_anew(host: Host) -> None:
    """A lake that answers now and then is slow, not away."""
    breaker = host.process()
    for _ in range(3):
        fail(breaker, 4)
        breaker.succeeded()
    assert breaker.allows()


def test_the_pauses_double_to_a_minute(host: Host) -> None:
    """Coming back is noticed soon, and a long outage costs little."""
    breaker, pauses = host.process(), list[float]()
    fail(breaker)
    for _ in range(6):
        assert breaker.open_until is not None
        pauses.append(breaker.open_until - host.now)
        host.now = breaker.open_until
        assert breaker.allows()
        breaker.failed()
    assert pauses == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(("drawn", "pause_s"), [(0.0, 4.0), (0.999999, 6.0)], ids=["shortest", "longest"])
def test_pauses_are_spread_by_a_fifth(host: Host, drawn: float, pause_s: float) -> None:
    """Hosts that lost the same lake at the same moment do not come back in step."""
    breaker = Breaker(str(host.path), clock=lambda: host.now, chance=lambda: drawn)
    fail(breaker)
    assert breaker.open_until == pytest.approx(host.now + pause_s, abs=1e-3)


@pytest.mark.parametrize(("asked_s", "pause_s"), [(2.0, 5.0), (120.0, 120.0), (86_400.0, 300.0)])
def test_what_the_server_asks_for_lengthens_the_pause_up_to_five_minutes(
    host: Host, asked_s: float, pause_s: float
) -> None:
    """It knows best when it is back; but a day is a mistake, or another server's answer."""
    breaker = host.process()
    for _ in range(5):
        breaker.failed(retry_after_s=asked_s)
    assert breaker.open_until == host.now + pause_s


def test_what_is_asked_for_while_it_is_open_counts_from_then(host: Host) -> None:
    """A read that asked in spite of it may bring the news."""
    breaker = host.process()
    fail(breaker)
    host.now += 3
    breaker.failed(retry_after_s=100)
    assert breaker.open_until == host.now + 100


def test_one_caller_tries_after_the_pause_and_its_answer_counts_for_all(host: Host) -> None:
    """A lake that comes back is not met by everybody at once."""
    one, other = host.process(), host.process()
    fail(one)
    host.now += 5
    assert other.allows()
    assert not one.allows()
    assert one.is_open
    other.succeeded()
    assert one.allows()


def test_who_tried_and_died_keeps_no_one_out_for_longer_than_a_pause(host: Host) -> None:
    """Killed in the middle of the try, a process says nothing more."""
    one, other = host.process(), host.process()
    fail(one)
    host.now += 5
    assert one.allows()
    host.now += 5
    assert other.allows()


def test_a_read_that_fails_while_it_is_open_changes_nothing(host: Host) -> None:
    """Reads need an answer and ask anyway; ten of them do not make the pause a minute."""
    breaker = host.process()
    fail(breaker, 30)
    assert breaker.open_until == host.now + 5


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0], ids=["back", "forth"])
def test_a_clock_that_jumps_by_a_day_leaves_it_open_no_longer(host: Host, jump_s: float) -> None:
    """A host that was set right on waking would else not deliver before tomorrow."""
    breaker = host.process()
    fail(breaker)
    host.now += jump_s
    assert breaker.allows()
    assert not breaker.allows()
    host.now += LONGEST_S
    assert breaker.allows()


def test_a_healthy_lake_costs_no_file(host: Host) -> None:
    """Thousands of calls a second go past here."""
    breaker = Breaker(str(host.path))
    for _ in range(100):
        assert breaker.allows()
        breaker.succeeded()
    assert not host.path.parent.exists()


def test_the_file_is_looked_at_twice_a_second(host: Host) -> None:
    """Often enough to learn of an outage, seldom enough to cost nothing."""
    moment = [0.0]
    breaker = Breaker(str(host.path), clock=lambda: host.now, monotonic=lambda: moment[0])
    assert breaker.allows()
    fail(host.process())
    assert breaker.allows()
    moment[0] = 0.51
    assert not breaker.allows()


def test_who_fails_knows_it_at_once(host: Host) -> None:
    """What it has just found out itself, a process need not look up."""
    breaker = Breaker(str(host.path), monotonic=lambda: 0.0)
    assert breaker.allows()
    fail(breaker)
    assert not breaker.allows()


def test_its_file_is_for_its_owner_alone(host: Host) -> None:
    """As all that is kept beside it."""
    host.process().failed()
    assert host.path.stat().st_mode & 0o777 == 0o600
    assert host.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture(params=["below a file", "is a folder", "is a pipe", "is kept locked"])
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A path where nothing can be shared."""
    path = tmp_path / "breaker"
    if request.param == "below a file":
        (tmp_path / "file").write_text("")
        yield tmp_path / "file" / "folder" / "breaker"
    elif request.param == "is a folder":
        path.mkdir()
        yield path
    elif request.param == "is a pipe":
        os.mkfifo(path)
        yield path
    else:
        hold = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print(flush=True); input()"
        command = [sys.executable, "-c", hold, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            yield path
            holder.kill()


def test_what_cannot_be_shared_holds_for_one_process(unusable: Path) -> None:
    """A full disk, a foreign folder, a process that was stopped with the lock: the job is spared the waiting still."""
    host = Host(unusable)
    breaker = host.process()
    fail(breaker)
    assert not breaker.allows()
    host.now += 5
    assert breaker.allows()
    assert not breaker.allows()
    breaker.failed()
    assert breaker.open_until == host.now + 10
    breaker.succeeded()
    assert breaker.allows()


def test_what_could_not_be_shared_is_shared_as_soon_as_it_can_be(tmp_path: Path) -> None:
    """A disk that was full is emptied."""
    (tmp_path / "folder").write_text("in the way")
    host = Host(tmp_path / "folder" / "breaker")
    one, other = host.process(), host.process()
    fail(one)
    assert other.allows()
    (tmp_path / "folder").unlink()
    fail(one)
    assert not other.allows()
    other.succeeded()
    assert one.allows()


CHILD = """
import sys
from datlake_sdk.transport.breaker import Breaker
for line in sys.stdin:
    what, now = line.split()
    breaker = Breaker(sys.argv[1], clock=lambda: float(now), chance=lambda: 0.5)
    print(getattr(breaker, what)(), flush=True)
"""


class _Child:
    """Another process, that does what it is told at the time it is told."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", CHILD, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, what: str, now: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what} {now}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=30)


@pytest.fixture
def children(host: Host) -> Iterator[list[_Child]]:
    started = [_Child(host.path) for _ in range(20)]
    yield started
    for child in started:
        child.end()


def all_at_once(children: list[_Child], what: str, now: float) -> list[str]:
    for child in children:
        child.tell(what, now)
    return [child.answer() for child in children]


def test_twenty_processes_count_together_and_send_one_to_try(host: Host, children: list[_Child]) -> None:
    """What they write at the same moment is not lost, and not doubled."""
    all_at_once(children[:4], "failed", host.now)
    assert all_at_once(children, "allows", host.now).count("True") == 20
    all_at_once(children[4:5], "failed", host.now)
    for pause_s in (5, 10, 20, 40, 60):
        assert all_at_once(children, "allows", host.now).count("True") == 0
        host.now += pause_s
        assert all_at_once(children, "allows", host.now).count("True") == 1
        all_at_once(children, "failed", host.now)
    all_at_once(children[7:8], "succeeded", host.now)
    assert all_at_once(children, "allows", host.now).count("True") == 20
