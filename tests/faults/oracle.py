"""The oracle of every fault test: what was acknowledged is there, what is there was issued, equal, and once.

An operation leaves facts, with its payload in them. The facts of what was acknowledged are held against the facts that
a lake shows. Used by the fault tests after the fault is over; it reads through the public client alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from datlake_sdk import DatlakeClient, JobContext
from datlake_sdk.wire import codec
from datlake_sdk.wire.models import Run, Snapshot
from datlake_sdk.wire.operations import (
    AddInputs,
    CompleteRun,
    LogEvent,
    LogEvents,
    Op,
    RegisterSnapshot,
    StartRun,
)

Fact = tuple[object, ...]
SHOWN = 5


class Ledger(NamedTuple):
    """What a load issued, and of it what was acknowledged, both by key."""

    issued: dict[str, Op[object]]
    acked: set[str]
    contradicted: list[str]
    failed: list[str]


class Verdict(NamedTuple):
    """What the oracle found; clean where it found nothing."""

    issued: int
    acked: int
    facts: int
    lost: list[Fact]
    foreign: list[Fact]
    doubled: list[Fact]
    broken: list[str]

    @property
    def is_clean(self) -> bool:
        """True where each acknowledged operation is there, once and whole, and nothing else is."""
        return not (self.lost or self.foreign or self.doubled or self.broken)

    def __str__(self) -> str:
        """The counts, and the first of each kind of trouble."""
        kinds: dict[str, Sequence[object]] = {
            "lost": self.lost, "foreign": self.foreign, "doubled": self.doubled, "broken": self.broken,
        }  # fmt: skip
        told = [f"{len(found)} {name}: {found[:SHOWN]}" for name, found in kinds.items() if found]
        return f"{self.issued} issued, {self.acked} acknowledged, {self.facts} facts seen; {'; '.join(told) or 'clean'}"


def read_ledger(*paths: Path, upto: Mapping[Path, int] | None = None) -> Ledger:
    """What the loads of these files wrote; a last line that is not whole counts for nothing.

    Of the files in `upto` what was acknowledged after so many bytes counts for nothing either: the machine was off.
    """
    ledger = Ledger({}, set(), [], [])
    for path in paths:
        at, last = 0, (upto or {}).get(path)
        for line in path.read_bytes().split(b"\n")[:-1]:
            at += len(line) + 1
            kind, _, what = line.partition(b" ")
            if kind == b"issued":
                op = codec.decode_operation(what)
                ledger.issued[str(op.key)] = op
            elif kind == b"acked":
                if last is None or at <= last:
                    ledger.acked.add(what.decode())
            else:
                (ledger.contradicted if kind == b"contradicted" else ledger.failed).append(what.decode())
    return ledger


def read_work(path: Path, upto: int | None = None) -> tuple[set[Fact], set[Fact]]:
    """The facts that a worker issued, and of them what was accepted within the first `upto` bytes of its ledger."""
    issued, accepted, data = set[Fact](), set[Fact](), path.read_bytes() if path.exists() else b""
    at = 0
    for line in data.split(b"\n")[:-1]:
        kind, _, what = line.partition(b" ")
        at += len(line) + 1
        fact = tuple(msgspec.json.decode(what, type=list[object]))
        if kind == b"issued":
            issued.add(fact)
        elif upto is None or at <= upto:
            accepted.add(fact)
    return issued, accepted


def judge(client: DatlakeClient, ledger: Ledger) -> Verdict:
    """The lake that `client` shows, held against the ledger. The lake holds nothing but what the ledger's loads did."""
    runs = list(client.list_runs(limit=1000))
    snapshots = [each for table in client.list_tables() for each in client.list_snapshots(table.table_name, limit=1000)]
    seen = Counter(seen_facts(client, runs, snapshots))
    issued = {fact for op in ledger.issued.values() for fact in facts_of(op)}
    acked = {fact for key in ledger.acked for fact in facts_of(ledger.issued[key])}
    broken = [*broken_versions(snapshots), *ledger.contradicted]
    return compared(issued, acked, seen, broken)._replace(issued=len(ledger.issued), acked=len(ledger.acked))


def judge_work(client: DatlakeClient, issued: set[Fact], accepted: set[Fact]) -> Verdict:
    """The lake that `client` shows, held against what `worker.py` wrote down; it holds nothing but that."""
    seen = Counter[Fact]()
    for run in client.list_runs(limit=1000):
        seen["run", run.run_id] += 1
        seen.update(("input", run.run_id, item.uri) for item in run.inputs)
        seen.update(("output", run.run_id, item.uri) for item in run.outputs)
        seen.update(("ending", run.run_id, end.state) for end in run.endings)
        seen.update(("event", run.run_id, event.data["n"]) for event in client.events(run.run_id, limit=1000))
    snapshots = [each for table in client.list_tables() for each in client.list_snapshots(table.table_name, limit=1000)]
    return compared(issued, accepted, seen, broken_versions(snapshots))


def compared(issued: set[Fact], acked: set[Fact], seen: Counter[Fact], broken: list[str]) -> Verdict:
    """The verdict on what is seen, where so much was issued and acknowledged."""
    return Verdict(
        issued=len(issued),
        acked=len(acked),
        facts=len(seen),
        lost=sorted(acked - seen.keys(), key=repr),
        foreign=sorted(seen.keys() - issued, key=repr),
        doubled=[fact for fact, count in seen.items() if count > 1],
        broken=broken,
    )


def passes_afresh(client: DatlakeClient) -> bool:
    """True where a whole run goes through now that the fault is over, and its snapshot is read back."""
    with JobContext(client, "afresh") as job:
        made = job.register_snapshot("afresh", f"s3://b/{job.run_id}", "csv")
        job.log_event("told")
    run = client.get_run(job.run_id)
    return (run.state, run.outputs[0].snapshot_id, client.latest_snapshot("afresh").uri) == (
        "completed", made["snapshot_id"], f"s3://b/{job.run_id}",
    )  # fmt: skip


def eventually(reached: Callable[[], bool], within_s: float) -> bool:
    """True once `reached` says so, false where it did not within this time."""
    import time

    end_s = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


# --- facts ------------------------------------------------------------------------------------------------------------


def facts_of(op: Op[object]) -> Iterator[Fact]:
    """What a lake shows once the operation is done."""
    match op:
        case StartRun():
            yield "start", op.run_id, op.job_name, op.started_at, _text(op.metadata)
        case AddInputs():
            for item in op.items:
                yield "input", op.run_id, item.uri
        case RegisterSnapshot():
            yield (
                "snapshot", op.snapshot_id, op.table_name, op.uri, op.format, op.run_id, op.job_name, op.row_count,
                _text(op.schema), _text(op.metadata), op.created_at,
            )  # fmt: skip
            yield "output", op.run_id, op.snapshot_id
        case LogEvents():
            for event in op.events:
                yield "event", event.event_id, event.run_id, event.event_type, _text(event.data), event.created_at
        case LogEvent():
            yield "event", op.event_id, op.run_id, op.event_type, _text(op.data), op.created_at
        case CompleteRun():
            state = "completed" if op.success else "aborted" if op.aborted else "failed"
            yield "ending", op.run_id, state, op.ended_at
        case _:
            message = f"nobody issues {type(op).__name__} here; say what it leaves behind"
            raise TypeError(message)


def seen_facts(client: DatlakeClient, runs: Iterable[Run], snapshots: Iterable[Snapshot]) -> Iterator[Fact]:
    """The facts that the lake shows, each as often as it shows them."""
    for run in runs:
        if run.metadata:  # else no start has arrived, and what it would say is not known
            yield "start", run.run_id, run.job_name, run.started_at, _text(run.metadata)
        for item in run.inputs:
            yield "input", run.run_id, item.uri
        for item in run.outputs:
            yield "output", run.run_id, item.snapshot_id
        for end in run.endings:
            yield "ending", run.run_id, end.state, end.ended_at
        for event in client.events(run.run_id, limit=1000):
            yield "event", event.event_id, run.run_id, event.event_type, _text(event.data), event.created_at
    for one in snapshots:
        yield (
            "snapshot", one.snapshot_id, one.table_name, one.uri, one.format, one.run_id, one.job_name, one.row_count,
            _text(one.schema), _text(one.metadata), one.created_at,
        )  # fmt: skip


def broken_versions(snapshots: Iterable[Snapshot]) -> list[str]:
    """The tables whose versions are not 1, 2, 3 and so on."""
    tables: dict[str, list[int]] = {}
    for one in snapshots:
        tables.setdefault(one.table_name, []).append(one.version)
    return [
        f"table {name} has {len(versions)} snapshots and versions up to {max(versions)}"
        for name, versions in tables.items()
        if sorted(versions) != list(range(1, len(versions) + 1))
    ]


def _text(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
