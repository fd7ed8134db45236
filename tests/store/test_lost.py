"""A run that nobody ended is `running` while it lives and `lost` when it does not, in lists as by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from datlake_sdk import DatlakeClient
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import ProcessIdentity, Run, RunState
from datlake_sdk.wire.operations import (
    CompleteRun,
    GetJob,
    GetRun,
    Lineage,
    ListRuns,
    LogEvent,
    RegisterSnapshot,
    StartRun,
)
from datlake_sdk.wire.processes import is_alive, own_identity
from datlake_server.lake import Lake
from datlake_server.services.presence import PROCESSES_MOST, Watch, joined, processes_text

MINUTE_US = 60_000_000
START_US = 1_790_000_000_000_000

SELF = own_identity()
DEAD = replace(SELF, started=SELF.started + 1)
FOREIGN = replace(SELF, host="elsewhere")
CHILD = """
import signal, sys
from datlake_sdk import DatlakeClient
from datlake_sdk.wire.operations import StartRun
from datlake_sdk.wire.processes import own_identity
with DatlakeClient(sys.argv[1]) as client:
    start = StartRun(job_name="j", run_id=sys.argv[2], process=own_identity(), heartbeat_interval_s=30)
    client.call(start)
print("there", flush=True)
signal.pause()
"""


class Time:
    """A clock on the wall, and the time that passed; whoever sets the one does not change the other."""

    def __init__(self) -> None:
        self.wall_us = START_US
        self.passed_us = 0

    def passes(self, minutes: float) -> None:
        """That long later."""
        self.wall_us += int(minutes * MINUTE_US)
        self.passed_us += int(minutes * MINUTE_US)

    def clock(self) -> int:
        """What the wall says, in microseconds since 1970."""
        return self.wall_us

    def monotonic(self) -> float:
        """The seconds that passed."""
        return self.passed_us / 1e6


@pytest.fixture
def time() -> Time:
    """The time of the test's lakes."""
    return Time()


@pytest.fixture
def embedded(tmp_path: Path, time: Time) -> Iterator[Lake]:
    """A lake that looks processes up."""
    watch = Watch(time.clock, time.monotonic, look_up=is_alive)
    lake = Lake.open(str(tmp_path), clock=time.clock, watch=watch)
    yield lake
    lake.close()


@pytest.fixture
def serving(tmp_path: Path, time: Time) -> Iterator[Callable[..., Lake]]:
    """Makes lakes that listen as servers do; each one that is made takes the place of the one before."""
    made: list[Lake] = []

    def start(least_s: float = 600) -> Lake:
        for old in made:
            old.close()
        watch = Watch(time.clock, time.monotonic, least_s=least_s, listens=True)
        made.append(Lake.open(str(tmp_path), clock=time.clock, watch=watch, serves=True))
        return made[-1]

    yield start
    made[-1].close()


def started(lake: Lake, **told: object) -> str:
    """The id of a run that was just started."""
    run = lake.dispatch(StartRun(job_name="j", run_id=new_id(), **told))  # type: ignore[arg-type]
    return run.run_id


def shown(lake: Lake, run_id: str) -> RunState:
    """The state of a run by itself; every list and graph says the same."""
    state = lake.dispatch(GetRun(run_id=run_id)).state
    for other in get_args(RunState):
        found = {run.run_id for run in lake.dispatch(ListRuns(state=other)).items}
        assert (run_id in found) == (other == state), other
    return state


@pytest.fixture
def child(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has started a run in the embedded lake, and that run's id."""
    run_id = new_id()
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), run_id], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    yield process, run_id
    process.kill()
    process.wait(timeout=20)
    process.stdout.close()


def test_a_run_of_a_killed_process_is_lost_at_once(child: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    """Nobody should wait ten minutes to learn what this host knows already."""
    process, run_id = child
    with DatlakeClient(tmp_path) as client:
        assert [run.run_id for run in client.list_runs(state="running")] == [run_id]
    process.kill()
    process.wait(timeout=20)
    with DatlakeClient(tmp_path) as client:
        assert client.get_run(run_id).state == "lost"
        assert [run.run_id for run in client.list_runs(state="lost")] == [run_id]
        assert client.list_runs(state="running").items == []
        assert client.get_job("j").latest_run == client.get_run(run_id)
        assert client.complete_run("j", run_id).state == "completed"  # its outbox had it


def test_a_process_that_is_held_up_is_not_lost(
    child: tuple[subprocess.Popen[str], str], embedded: Lake, time: Time
) -> None:
    """A debugger, a suspended laptop, a job that waits for memory: it is there, however silent."""
    process, run_id = child
    process.send_signal(signal.SIGSTOP)
    time.passes(minutes=10_000)
    assert shown(embedded, run_id) == "running"
    process.kill()
    process.wait(timeout=20)
    assert shown(embedded, run_id) == "running"  # it was looked up within the last second
    time.passes(minutes=1 / 60)
    assert shown(embedded, run_id) == "lost"


@pytest.mark.parametrize(
    "changes",
    [{"host": "elsewhere"}, {"pid_namespace": SELF.pid_namespace + 1}, {"pid_namespace": 0}, {"boot_id": ""}],
    ids=["host", "container", "unknown-container", "unknown-boot"],
)
def test_where_a_process_cannot_be_seen_silence_alone_counts(
    embedded: Lake, time: Time, changes: dict[str, str | int]
) -> None:
    """Processes of several containers may share one folder."""
    process = replace(SELF, **changes)
    run_id = started(embedded, process=process, heartbeat_interval_s=30)
    never = started(embedded, process=process)
    time.passes(minutes=10)
    assert shown(embedded, run_id) == "running"
    time.passes(minutes=0.01)
    assert (shown(embedded, run_id), shown(embedded, never)) == ("lost", "running")


def test_what_ended_has_ended_whatever_became_of_its_process(embedded: Lake) -> None:
    run_id = started(embedded, process=DEAD)
    assert shown(embedded, run_id) == "lost"
    embedded.dispatch(CompleteRun(job_name="j", run_id=run_id, success=True))
    assert shown(embedded, run_id) == "completed"


def test_a_run_lives_while_one_of_the_processes_does_that_started_it(embedded: Lake) -> None:
    """A job that is started again under its old run id goes on in the new process."""
    for processes in ((DEAD, SELF), (SELF, DEAD)):
        run_id = started(embedded, process=processes[0])
        embedded.dispatch(StartRun(job_name="j", run_id=run_id, process=processes[1]))
        assert shown(embedded, run_id) == "running"
    run_id = started(embedded, process=DEAD)
    embedded.dispatch(StartRun(job_name="j", run_id=run_id))
    assert shown(embedded, run_id) == "lost"


identities = st.builds(
    ProcessIdentity, host=st.sampled_from("ab"), boot_id=st.just("b"), pid=st.integers(0, 30), started=st.integers(0, 2)
)


@given(st.lists(identities.map(processes_text) | st.none(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_processes_of_a_run_are_the_same_in_any_order(told: list[str | None], random: object) -> None:
    """What is journaled arrives when it can, and more than once; and no run collects processes without end."""
    whole: str | None = None
    for each in told:
        whole = joined(whole, each)
    mixed: str | None = None
    again = [*told, *told]
    random.shuffle(again)  # type: ignore[attr-defined]
    for each in again:
        mixed = joined(each, mixed)
    assert mixed == whole
    assert whole is None or whole.count('"pid"') <= PROCESSES_MOST


@pytest.mark.parametrize(
    ("interval_s", "least_s", "minutes"),
    [(30, 600, 10), (0.1, 600, 10), (90, 600, 15), (30, 60, 5), (0.1, 60, 1), (86_400, 600, 14_400)],
)
def test_the_limit_is_ten_intervals_and_never_less_than_the_server_says(
    serving: Callable[..., Lake], time: Time, interval_s: float, least_s: float, minutes: float
) -> None:
    """A busy host is late, not dead."""
    lake = serving(least_s)
    run_id = started(lake, heartbeat_interval_s=interval_s)
    time.passes(minutes)
    assert shown(lake, run_id) == "running"
    time.wall_us += 1
    assert shown(lake, run_id) == "lost"
    lake.dispatch(LogEvent(event_type="heartbeat", run_id=run_id))
    assert shown(lake, run_id) == "running"


@pytest.mark.parametrize("told", [{}, {"heartbeat_interval_s": 0.0}], ids=["none", "off"])
def test_a_run_that_announced_no_heartbeat_is_never_lost(
    serving: Callable[..., Lake], time: Time, told: dict[str, float]
) -> None:
    """Older clients and streaming jobs are silent for months."""
    lake = serving()
    run_id = started(lake, **told)
    time.passes(minutes=1_000_000)
    assert shown(lake, run_id) == "running"


def test_nothing_is_lost_in_the_first_limit_after_a_server_starts(serving: Callable[..., Lake], time: Time) -> None:
    """While it was down nobody could be heard."""
    run_id = started(serving(), heartbeat_interval_s=30)
    time.passes(minutes=600)
    lake = serving()
    assert shown(lake, run_id) == "running"
    time.passes(minutes=10)
    assert shown(lake, run_id) == "running"
    time.wall_us += 1
    assert shown(lake, run_id) == "lost"


def test_a_server_goes_by_what_it_hears(serving: Callable[..., Lake], time: Time) -> None:
    """Another host may have its name, and a process that is gone may have left an ending in its outbox."""
    lake = serving()
    runs = [started(lake, process=process, heartbeat_interval_s=30) for process in (DEAD, SELF)]
    assert [shown(lake, run_id) for run_id in runs] == ["running", "running"]
    time.passes(minutes=11)
    assert [shown(lake, run_id) for run_id in runs] == ["lost", "lost"]


@pytest.mark.parametrize("minutes", [90, -90])
def test_a_clock_that_is_set_makes_no_run_lost_and_keeps_none(
    serving: Callable[..., Lake], time: Time, minutes: int
) -> None:
    """What is silent is so from the moment on at which the clock was set, or the host woke up."""
    lake = serving()
    time.passes(minutes=5)
    run_id = started(lake, heartbeat_interval_s=30)
    time.wall_us += minutes * MINUTE_US
    assert shown(lake, run_id) == "running"
    time.passes(minutes=10)
    assert shown(lake, run_id) == "running"
    time.wall_us += 1
    assert shown(lake, run_id) == "lost"


@pytest.mark.parametrize("minutes", [90, -90])
def test_a_run_that_shows_life_lives_on_whatever_becomes_of_the_clock(
    serving: Callable[..., Lake], time: Time, minutes: int
) -> None:
    """Its last sign of life lay in what was now the future, and none that came later counted."""
    lake = serving()
    run_id = started(lake, heartbeat_interval_s=30)
    time.wall_us += minutes * MINUTE_US
    for _ in range(30):
        time.passes(minutes=1)
        lake.dispatch(LogEvent(event_type="heartbeat", run_id=run_id))
        assert shown(lake, run_id) == "running"
    time.passes(minutes=11)
    assert shown(lake, run_id) == "lost"


def test_a_clock_that_drifts_sets_nothing_back(serving: Callable[..., Lake], time: Time) -> None:
    lake = serving()
    run_id = started(lake, heartbeat_interval_s=30)
    for _ in range(11):
        time.passes(minutes=1)
        time.wall_us += MINUTE_US // 20
        lake.dispatch(GetRun(run_id=run_id))
    assert shown(lake, run_id) == "lost"


def test_the_graph_of_runs_says_the_same(embedded: Lake) -> None:
    run_id = started(embedded, process=DEAD)
    embedded.dispatch(RegisterSnapshot(table_name="t", uri="s3://b/1", format="csv", job_name="j", run_id=run_id))
    [node] = [node for node in embedded.dispatch(Lineage(kind="run", run_id=run_id)).nodes if node.kind == "run"]
    latest = embedded.dispatch(GetJob(job_name="j")).latest_run
    assert latest is not None
    assert (node.state, latest.state) == ("lost", "lost")


starts = st.lists(
    st.tuples(
        st.sampled_from([None, 0.0, 30.0, 90.0]),
        st.sampled_from([None, SELF, DEAD, FOREIGN]),
        st.sampled_from([0.0, 4.0, 8.0]),
        st.booleans(),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Time, list[Lake]]]:
    """A lake that looks processes up and one that listens, for many examples, and their time."""
    time = Time()
    watches = [
        Watch(time.clock, time.monotonic, look_up=is_alive),
        Watch(time.clock, time.monotonic, listens=True),
    ]
    lakes = [
        Lake.open(str(tmp_path_factory.mktemp("lake")), clock=time.clock, watch=watch, serves=not watch.sees_processes)
        for watch in watches
    ]
    yield time, lakes
    for lake in lakes:
        lake.close()


@given(starts, st.integers(0, 1), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_a_list_holds_the_runs_that_show_its_state(
    both: tuple[Time, list[Lake]],
    runs: list[tuple[float | None, ProcessIdentity | None, float, bool]],
    which: int,
    limit: int,
) -> None:
    """Page by page, each once, the latest first: as if all were looked at one by one."""
    time, lake, namespace = both[0], both[1][which], new_id()
    for interval_s, process, minutes, ends in runs:
        run_id = started(lake, namespace=namespace, heartbeat_interval_s=interval_s, process=process)
        if ends:
            lake.dispatch(CompleteRun(namespace=namespace, job_name="j", run_id=run_id, success=True))
        time.passes(minutes)
    every = pages(lake, ListRuns(namespace=namespace, limit=1000))
    for state in get_args(RunState):
        found = pages(lake, ListRuns(namespace=namespace, state=state, limit=limit))
        assert found == [run for run in every if run.state == state]


def pages(lake: Lake, op: ListRuns) -> list[Run]:
    """All the runs of a list."""
    found: list[Run] = []
    cursor: str | None = None
    while True:
        page = lake.dispatch(replace(op, cursor=cursor))
        assert len(page.items) <= op.limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_a_list_looks_at_so_many_at_once(tmp_path: Path, embedded: Lake, time: Time) -> None:
    """However many dead runs a lake has gathered, a page costs what a page may; the next one goes on behind it."""
    living = started(embedded, process=SELF)
    time.passes(minutes=1)
    with ThreadPoolExecutor(32) as pool:  # for they share their commits
        for _ in pool.map(lambda pid: started(embedded, process=replace(DEAD, pid=pid)), range(1, 1_005)):
            pass
    with DatlakeClient(tmp_path) as client:
        first = client.list_runs(state="running", limit=2)
        assert (first.items, first.next_cursor is None) == ([], False)
        assert [run.run_id for run in client.list_runs(state="running", limit=2)] == [living]
