"""The table of endings: however a process ends, its run is told right and what it had said is there, each thing once.

Each cell is a real process, beside one of the same program without Datlake. A short round asks for each ending once;
`make faults` fills the whole table: every ending, with `with` and without, for few events and many, in every place.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from datlake_sdk import DatlakeClient
from datlake_sdk.wire.models import Run
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.places import Place, serve, stop

DATLAKE = "from datlake_sdk import JobContext"
NOTHING = """
class JobContext:
    def __init__(self, name): pass
    def __enter__(self): return self
    def __exit__(self, *left): pass
    def log_event(self, kind, data): pass
    @classmethod
    def start(cls, name): return cls(name)
"""
PROGRAM = """
import os, sys, time
{library}
def work(job):
    for n in range({count}):
        job.log_event("told", {{"n": n}})
    {end}
{use}
"""
USES = {
    "with": "with JobContext({name!r}) as job: work(job)",
    "start": "work(JobContext.start({name!r}))",
}
FLUSH = "import sys; from datlake_sdk.cli.main import main; sys.exit(main(['outbox', 'flush', '--json']))"
# A signal comes once the run's thread has made known that it is open, which takes it a few milliseconds.
AWAIT = "time.sleep(0.3); print('ready', flush=True); time.sleep(60)"


class Ending(NamedTuple):
    """How a process ends, and the states that are right for it: left a `with` block, and started without one."""

    code: str
    left: str
    started: str
    signal: signal.Signals | None = None


# Nobody is told of some ends. A server waits for signs of life; an embedded lake sees that the process is gone.
UNTOLD = "running or lost"
ENDINGS = {
    "normal": Ending("pass", "completed", "aborted"),
    "exception": Ending("raise ValueError('x')", "failed", "aborted"),
    "exit-0": Ending("sys.exit(0)", "completed", "aborted"),
    "exit-3": Ending("sys.exit(3)", "failed", "aborted"),
    "ctrl-c": Ending(AWAIT, "aborted", "aborted", signal.SIGINT),
    "sigterm": Ending(AWAIT, "aborted", "aborted", signal.SIGTERM),
    "sigkill": Ending(AWAIT, UNTOLD, UNTOLD, signal.SIGKILL),
    "_exit-0": Ending("os._exit(0)", UNTOLD, UNTOLD),
    "_exit-3": Ending("os._exit(3)", UNTOLD, UNTOLD),
}
PLACES = ("embedded", "served", "away")
COUNTS = (1, 50, 5000)
# So drawn that three endings meet each place, and each place each count.
SHORT = [(name, PLACES[at % 3], (COUNTS[(at + at // 3) % 3],)) for at, name in enumerate(ENDINGS)]
TABLE = [(name, place, COUNTS) for name, place in product(ENDINGS, PLACES)] if IS_LONG else SHORT


class Program(NamedTuple):
    """One cell of the table: a job that says so much and then ends."""

    ending: str
    use: str
    events: int

    @property
    def job(self) -> str:
        """The name of its job, which no other cell of the same lake has."""
        return "-".join(map(str, self))

    def start(self, library: str, place: Place) -> subprocess.Popen[str]:
        """The process, on its way to its end."""
        use, end = USES[self.use].format(name=self.job), ENDINGS[self.ending].code
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(library=library, count=self.events, end=end, use=use)],
            env=place.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Wrong(NamedTuple):
    """Something that is not as it should be."""

    what: str
    where: str


told: list[Program] = []
busy: list[int] = []
told_wrong: list[Wrong] = []


def status(process: subprocess.Popen[str], ending: Ending) -> int:
    """The exit status of the program, which the signal ends where there is one."""
    if ending.signal is not None:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(ending.signal)
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode


@contextmanager
def a_lake(kind: str, home: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Place, Callable[[], object]]]:
    """A lake of the kind, and what makes it reachable where it is not."""
    if kind == "embedded":
        yield Place(str(home), home, "default"), lambda: None
    elif kind == "served":
        url, folder = request.getfixturevalue("served")
        yield Place(url, folder, f"endings-{uuid.uuid4()}"), lambda: None
    else:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        servers: list[subprocess.Popen[str]] = []
        try:
            yield Place(f"http://127.0.0.1:{port}", home, "default"), lambda: servers.append(serve(home, port)[0])
        finally:
            for server in servers:
                stop(server)


def judge(program: Program, run: Run, client: DatlakeClient, place: Place) -> Iterator[Wrong]:
    """What the lake tells wrong of the program."""
    ending, where = ENDINGS[program.ending], program.job
    right = ending.left if program.use == "with" else ending.started
    if right == UNTOLD and not place.address.startswith("http"):
        right = "lost"
    if run.state not in right.split(" or "):
        yield Wrong("state", f"{where}: {run.state}, not {right}")
    if ending.signal is signal.SIGTERM and (run.error is None or run.error.type != "SIGTERM"):
        yield Wrong("state", f"{where}: {run.error}, not SIGTERM")
    said = Counter(event.data["n"] for event in client.events(run.run_id, event_type="told", limit=1000))
    if said != Counter(range(program.events)):
        yield Wrong("events", f"{where}: {said.total()} events, {len(said)} of {program.events}")


@pytest.mark.parametrize(("name", "kind", "counts"), TABLE, ids=[f"{name}-{kind}" for name, kind, _ in TABLE])
def test_an_ending_is_told_right_and_keeps_all_that_was_said(
    tmp_path: Path, request: pytest.FixtureRequest, name: str, kind: str, counts: tuple[int, ...]
) -> None:
    """No ending changes the status of the process, none is taken for success, and no event is lost or doubled."""
    programs = [Program(name, use, events) for use, events in product(USES, counts)]
    wrong: list[Wrong] = []
    with a_lake(kind, tmp_path / "lake", request) as (place, appear):
        processes = [(each.start(DATLAKE, place), each.start(NOTHING, place)) for each in programs]
        for program, (ours, bare) in zip(programs, processes, strict=True):
            found, expected = status(ours, ENDINGS[name]), status(bare, ENDINGS[name])
            if found != expected:
                wrong.append(Wrong("status", f"{program.job}: {found}, without Datlake {expected}"))
        appear()
        # The next process of the host, whichever it is, delivers what these could not.
        flushed = place.run(FLUSH)
        assert flushed.returncode == 0, flushed.stderr
        with place.client() as client:
            for program in programs:
                [run] = client.list_runs(program.job)
                wrong += judge(program, run, client, place)
    told.extend(programs)
    told_wrong.extend(wrong)
    assert wrong == []


BUSY = """
import faulthandler, os, random, sys, threading, time
from datlake_sdk._outbox.claims import claim
from datlake_sdk._outbox.presence import OpenRun, Presence
from datlake_sdk.wire.ids import new_id

def sorting():
    while True: sorted(range(300), key=lambda n: -n)
def looking_up():
    while True: list(map(lambda n: max(n for n in range(3)), range(20)))
def recurse(n): return n and recurse(n - 1)
def recursing():
    while True: recurse(60)

def begin(folder):
    presence = Presence.create(folder, new_id())
    presence.began(OpenRun("nightly", "default", "run", ""))
    presence.watch_signals()
    return presence

def die(work, with_run):
    if with_run: begin(folder)
    if random.random() < 0.3: threading.Thread(target=sorting, daemon=True).start()
    os.write(ready[1], b"x")
    work()

def marked():
    found = [claim(os.path.join(folder, name)) for name in os.listdir(folder) if name.endswith(".presence")]
    for each in found: each.remove()
    return [each.told.died_by for each in found]

folder, count = os.path.join(sys.argv[1], "children"), int(sys.argv[2])
os.mkdir(folder)
parent = begin(os.path.join(sys.argv[1], "parent"))
os.register_at_fork(after_in_child=parent.abandon)
ready, wrong = os.pipe(), []
for number in range(count):
    child = os.fork()
    if child == 0:
        die((sorting, looking_up, recursing)[number % 3], with_run=number % 2)
    os.read(ready[0], 1)
    time.sleep(random.uniform(0.0005, 0.003))
    signal = 1 if number % 5 == 0 else 15
    os.kill(child, signal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found, expected = (status, marked()), (-signal, [{15: "SIGTERM", 1: "SIGHUP"}[signal]] if number % 2 else [])
    if found != expected: wrong.append(found)
if any(os.stat(each).st_mtime for each in os.scandir(os.path.join(sys.argv[1], "parent")) if ".SIG" in each.name):
    wrong.append("parent marked")
print(count, wrong)
"""


@pytest.mark.timeout(1800)
def test_a_busy_process_dies_of_the_signal_and_of_nothing_else(tmp_path: Path) -> None:
    """What is done below Python as it dies must not touch what it was busy with: a crash there would be ours."""
    count = rounds(60, 3_000)
    done = subprocess.run(
        [sys.executable, "-c", BUSY, str(tmp_path), str(count)],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.stdout == f"{count} []\n", done.stderr
    busy.append(count)


@pytest.mark.skipif(not IS_LONG, reason="the short round asks for each ending once")
def test_the_whole_table_is_told_right() -> None:
    """Runs after its cells, in the same process; keeps their figures."""
    counts = Counter(wrong.what for wrong in told_wrong)
    claims = [
        none_of("false `completed`", sum(": completed" in wrong.where for wrong in told_wrong)),
        none_of("runs told wrong", counts["state"]),
        none_of("events lost or doubled, in runs", counts["events"]),
        none_of("exit statuses changed", counts["status"]),
    ]
    endings = f"{', '.join(ENDINGS)}; {' and '.join(USES)}; {COUNTS} events; {', '.join(PLACES)}"
    signals = f"{sum(busy):,} busy processes more that a signal ended, each by that signal, their runs marked"
    keep("R18", f"{len(told)} endings, each a process", claims, [], [endings, signals])
    assert len(told) == len(ENDINGS) * len(PLACES) * len(COUNTS) * len(USES)
    assert (told_wrong, len(busy)) == ([], 1)
