"""The outbox under every order of accepting, sending, crashing, damage and recovery that hypothesis thinks of.

The queue, the courier, recovery and their files are real, and so are full disks and forks; the lake is scripted. The
machine takes the steps of the courier's thread, so that a failure happens again.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from datlake_sdk._outbox import overview
from datlake_sdk._outbox.parcels import UploadParcel
from datlake_sdk.wire import codec
from datlake_sdk.wire.operations import Op
from tests.faults.rounds import IS_LONG, rounds
from tests.properties.outbox_host import Host, Process, forked, frames_of
from tests.properties.outbox_lake import STORMS, Lake, Weather
from tests.properties.outbox_ledger import Issued, Ledger, Safety, end, event, registration, start

EXAMPLES: Final = rounds(80, 1_000)
STEPS: Final = rounds(40, 60)
MOST_PROCESSES: Final = 3
A_WHILE_S: Final = 10_000.0
BULK: Final = "x" * 350_000

taken = [0]

which = st.integers(0, MOST_PROCESSES - 1)
words = st.text(max_size=30)
fractions = st.floats(0, 1, exclude_max=True)
curses = st.sampled_from([None, None, "refused", "failing", "contradicted"])
storms = st.sampled_from(sorted(STORMS))


class OutboxMachine(RuleBasedStateMachine):
    """One host with some processes, and the lake that they all tell."""

    def __init__(self) -> None:
        super().__init__()
        self.lake = Lake()
        self.host = Host(self.lake)
        self.ledger = Ledger(self.host, self.lake)
        self.processes: list[Process] = []
        self.groups: list[int] = []
        self.lives = 0
        self.ids = 0

    # --- processes ----------------------------------------------------------------------------------------------------

    @initialize()
    def first_process(self) -> None:
        """There is one."""
        self.begin_process()

    @precondition(lambda self: len(self.processes) < MOST_PROCESSES)
    @rule()
    def begin_process(self) -> None:
        """Another process begins."""
        self.processes.append(Process(self.host))
        self.groups.append(self.next_life())

    @rule(at=which, count=st.integers(0, 4))
    def close(self, at: int, count: int) -> None:
        """A client is closed, mostly after some sending, and may be used again."""
        process = self.process(at)
        self.send(at, count, adopts=False)
        with self.host.disk():
            failing = self.host.failing_syncs
            process.close()
        self.count_failed_syncs(failing)
        self.ledger.died(self.group(at))
        self.groups[at % len(self.groups)] = self.next_life()

    @rule(at=which)
    def kill(self, at: int) -> None:
        """SIGKILL."""
        self.process(at).die()
        self.ledger.died(self.group(at))
        self.processes.pop(at % len(self.processes))
        self.groups.pop(at % len(self.groups))
        if not self.processes:
            self.begin_process()

    @rule(data=st.data())
    def cut_power(self, data: st.DataObject) -> None:
        """All processes are gone; a part of what was not synced is there, and what was removed may be there again."""
        for _ in list(self.processes):
            self.kill(0)
        for path in self.host.segments():
            synced, size = self.host.synced.get(path.name, 0), path.stat().st_size
            if size > synced:
                os.truncate(path, data.draw(st.integers(synced, size), label="left of a segment"))
        for name in self.host.removed():
            if data.draw(st.booleans(), label="its removal is undone"):
                self.host.restore(name)
        for path in sorted(self.host.folder.glob("*.presence")):
            if data.draw(st.booleans(), label="a presence is emptied"):
                os.truncate(path, 0)
        self.ledger.power_was_cut()

    @precondition(lambda self: self.lake.weather == "fine")
    @rule(at=which, count=st.integers(0, 5), word=words, closes=st.booleans())
    def fork(self, at: int, count: int, word: str, closes: bool) -> None:
        """A child says something through what it inherited, and ends; its parent goes on."""
        process, life = self.process(at), self.next_life()
        events = [event(self.next_id(), word) for _ in range(count)]
        op = registration(self.next_id(), word)

        def work() -> bool:
            with self.host.disk():
                are_taken = [process.post(each) for each in events]
                is_kept = process.keep(op) == "disk"
                if closes:
                    process.close()
            return is_kept and all(are_taken)

        are_on_disk = forked(work)
        self.host.next_writer()  # the child's
        for each in [*events, op]:
            self.hand_over(each, "disk" if are_on_disk else "nowhere", life)
        self.host.all_is_synced()

    # --- accepting ----------------------------------------------------------------------------------------------------

    @rule(at=which, count=st.integers(1, 25), word=words, curse=curses)
    def post(self, at: int, count: int, word: str, curse: str | None) -> None:
        """Events are logged; the lake may have something against the first."""
        process = self.process(at)
        events = [event(self.next_id(), word) for _ in range(count)]
        for each in events:
            with self.host.disk():
                is_taken = process.post(each)
            self.hand_over(each, self.safety_of(process, is_taken=is_taken), self.group(at))
        self.curse(events[0].key or "", curse)

    @rule(at=which, count=st.integers(1, 6))
    def post_much(self, at: int, count: int) -> None:
        """Events that fill the outbox."""
        self.post(at, count, BULK, None)

    @rule(at=which, kind=st.sampled_from(["start", "register", "end"]), word=words, curse=curses)
    def keep(self, at: int, kind: str, word: str, curse: str | None) -> None:
        """An operation that could not be sent is on the disk, with all before it; or in memory, and that is said."""
        op = {"start": start, "register": registration, "end": end}[kind](self.next_id(), word)
        failing = self.host.failing_syncs
        with self.host.disk():
            kept = self.process(at).keep(op)
        self.count_failed_syncs(failing)
        assert kept != "lost"
        self.hand_over(op, "memory" if kept == "memory" else "disk", self.group(at))
        self.curse(op.key or "", curse)
        if kept == "disk":
            self.ledger.synced(self.group(at))

    @rule(at=which, content=st.binary(max_size=40), is_log=st.booleans(), curse=curses)
    def keep_file(self, at: int, content: bytes, is_log: bool, curse: str | None) -> None:
        """A file that could not be uploaded is kept."""
        name = f"object-{self.next_id()}"
        path = self.host.files / "file"
        path.write_bytes(content)
        parcel = UploadParcel(
            namespace="default",
            bucket="artifacts",
            object_name=name,
            spool="",
            size_bytes=0,
            sha256="",
            run_id=self.next_id(),
            is_log=is_log,
        )
        failing = self.host.failing_syncs
        with self.host.disk():
            kept = self.process(at).keep_file(parcel, str(path))
        self.count_failed_syncs(failing)
        safety: Safety = "nowhere" if kept is None else "disk"
        self.ledger.add(Issued(name, content, self.group(at), safety, is_log=is_log))
        self.curse(name, curse)
        if kept is not None:
            self.ledger.synced(self.group(at))

    @rule(at=which)
    def sync(self, at: int) -> None:
        """What the thread does that keeps events on the disk."""
        failing = self.host.failing_syncs
        with self.host.disk():
            is_synced = self.process(at).depot.synced()
        self.count_failed_syncs(failing)
        if is_synced:
            self.ledger.synced(self.group(at))

    # --- sending ------------------------------------------------------------------------------------------------------

    @rule(at=which, count=st.integers(1, 12), adopts=st.booleans())
    def send(self, at: int, count: int, adopts: bool) -> None:
        """The courier goes some rounds, and when it has nothing of its own to send, delivers what others left."""
        if adopts:
            self.process(at).adopt_soon()
        for _ in range(count):
            with self.host.disk():
                self.process(at).depot.round()

    @rule(at=which, chores_s=st.sampled_from([0.0, 5.0]))
    def flush(self, at: int, chores_s: float) -> None:
        """A run ends: all is sent that can be."""
        process = self.process(at)
        with self.host.disk():
            is_done = process.flush(5.0, chores_s)
        assert process.is_empty or not is_done

    @rule(within_s=st.sampled_from([-1.0, 10.0]))
    def flush_by_hand(self, within_s: float) -> None:
        """`datlake outbox flush`, interrupted at once or not."""
        with self.host.disk():
            overview.flush(self.host.settings, lambda: self.lake, within_s)

    @rule(data=st.data(), drops=st.booleans())
    def clear_dead(self, data: st.DataObject, drops: bool) -> None:
        """`datlake outbox retry` or `drop`, of one dead letter or all."""
        letters = self.host.letters()
        if not letters:
            return
        chosen = data.draw(st.sampled_from([None, *letters]), label="letter")
        ids = [] if chosen is None else [letters[chosen].id]
        clear = overview.drop if drops else overview.retry
        try:
            with self.host.disk():
                clear(self.host.settings, ids)
        except OSError:
            assert self.host.room is not None
            assert self.host.letters().keys() == letters.keys(), "a full disk has taken dead letters away"
            return
        for key in letters if chosen is None else [chosen]:
            (self.ledger.dropped if drops else self.ledger.retried)(key)
        self.host.all_is_synced()

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(weather=storms)
    def weather_turns(self, weather: Weather) -> None:
        """The lake answers otherwise from now on."""
        self.lake.weather = weather

    @rule()
    def lake_is_well(self) -> None:
        """The lake is well again."""
        self.lake.weather = "fine"
        self.host.now += A_WHILE_S

    @rule(seconds=st.sampled_from([1.0, 6.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        """Pauses end."""
        self.host.now += seconds

    @rule(count=st.integers(1, 3))
    def answers_are_lost(self, count: int) -> None:
        """The next effects happen, and nobody hears of them."""
        self.lake.silent = count

    @rule(refuses_whole=st.booleans(), most=st.sampled_from([1, 3, 1_000]))
    def batches_are_taken_otherwise(self, refuses_whole: bool, most: int) -> None:
        """Another version of the server, or another proxy before it."""
        self.lake.refuses_whole, self.lake.most_events = refuses_whole, most

    @rule()
    def curses_end(self) -> None:
        """The lake takes what it refused, or failed at."""
        self.lake.refused.clear()
        self.lake.failing.clear()

    @rule(room=st.sampled_from([None, None, 0, 300, 1_000, 2_500]))
    def disk_fills(self, room: int | None) -> None:
        """No file can grow beyond this; or each can again."""
        self.host.room = room
        self.ledger.was_full |= room is not None

    @rule()
    def sync_fails(self) -> None:
        """The next sync says that the disk did not take it."""
        self.host.failing_syncs = 1

    @rule(data=st.data(), at=fractions, how=st.sampled_from(["flip", "zeros", "cut"]))
    def damage(self, data: st.DataObject, at: float, how: str) -> None:
        """A byte, or some, or the end of a journal is lost by the disk."""
        living = {process.writer for process in self.processes}
        found = [path for path in self.host.segments() if how != "cut" or path.name.partition(".")[0] not in living]
        frames = {path: each for path in found if (each := frames_of(path))}
        if not frames:
            return
        path = sorted(frames)[data.draw(st.integers(0, len(frames) - 1), label="segment")]
        frame = frames[path][int(at * len(frames[path]))]
        first = data.draw(st.integers(frame.start, frame.end - 1), label="byte")
        end = {"flip": first + 1, "zeros": frame.end, "cut": path.stat().st_size}[how]
        self.host.is_damaged = True
        self.ledger.damaged(path, first, end, is_flip=how != "cut")
        with path.open("r+b") as file:
            file.seek(first)
            old = file.read(end - first)
            file.seek(first)
            file.write(bytes([old[0] ^ 1]) if how == "flip" else bytes(len(old)) if how == "zeros" else b"")
            if how == "cut":
                file.truncate(first)

    # --- the end ------------------------------------------------------------------------------------------------------

    @rule()
    def settle(self) -> None:
        """The lake is well, the processes end, what they left is flushed: all is somewhere, and no file is left."""
        self.lake.weather, self.lake.silent, self.lake.most_events = "fine", 0, 1_000
        self.lake.failing.clear()
        self.host.room, self.host.failing_syncs = None, 0
        self.host.now += A_WHILE_S
        for process, group in zip(self.processes, self.groups, strict=True):
            process.flush(5.0)
            process.close()
            self.ledger.died(group)
        self.processes, self.groups = [], []
        self.begin_process()
        self.host.hours_pass()
        progress = overview.flush(self.host.settings, lambda: self.lake, 60.0)
        assert (progress.stopped_by, progress.left) == (None, [])
        assert self.host.left() == []
        self.ledger.check_the_lake()
        self.ledger.check_settled()
        self.host.forget_removed()

    @invariant()
    def the_lake_knows_only_what_was_issued(self) -> None:
        """At every moment."""
        taken[0] += 1
        self.ledger.check_the_lake()

    @invariant()
    def nothing_waits_for_what_is_answered(self) -> None:
        """Else a run would defer all that it says, for ever."""
        for process in self.processes:
            if process.is_empty and not self.host.is_damaged:
                assert not process.depot._waiting

    def teardown(self) -> None:
        """Every story has this end."""
        try:
            self.settle()
        finally:
            for process in self.processes:
                process.die()
            self.host.close()

    # --- small parts --------------------------------------------------------------------------------------------------

    def process(self, at: int) -> Process:
        """One of the processes."""
        return self.processes[at % len(self.processes)]

    def group(self, at: int) -> int:
        """Its life."""
        return self.groups[at % len(self.groups)]

    def next_life(self) -> int:
        """A name for what one process accepts between its beginning and its end."""
        self.lives += 1
        return self.lives

    def next_id(self) -> str:
        """An id that no other has."""
        self.ids += 1
        return f"0190c6a0-0000-7000-8000-{self.ids:012x}"

    def curse(self, key: str, how: str | None) -> None:
        """The lake has this against one operation."""
        if how is not None:
            getattr(self.lake, how).add(key)
        if how == "refused":
            self.ledger.refuse(key)

    def hand_over(self, what: Op[object], safety: Safety, group: int) -> None:
        """The ledger knows what was said of `what`."""
        self.ledger.add(Issued(what.key or "", codec.encode(what), group, safety))

    def count_failed_syncs(self, before: int) -> None:
        """Whether one failed since there were `before` to fail."""
        if self.host.failing_syncs < before:
            self.ledger.a_sync_failed()

    def safety_of(self, process: Process, *, is_taken: bool) -> Safety:
        """Where an event is that was just posted."""
        if not is_taken:
            return "nowhere"
        return "memory" if process.depot.appends_to_memory else "kernel"


@pytest.mark.timeout(120 if not IS_LONG else 7_200)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_an_outbox_accepts_arrives_whatever_happens_on_the_way() -> None:
    """Delivered, waiting, a dead letter, or damaged and counted: nothing else ever becomes of it."""
    taken[0] = 0
    run_state_machine_as_test(
        OutboxMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=not IS_LONG,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            print_blob=True,
        ),
    )
    print(f"{taken[0]} steps")
    assert taken[0] > rounds(1_000, 20_000)
