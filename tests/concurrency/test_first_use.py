"""Threads that use a type of the contract for the first time at the same moment."""

from __future__ import annotations

import subprocess
import sys

# Each type is learned by eight threads at once, which lose the interpreter as often as it can be lost. Those that hold
# others come first: the window is while what they hold is learned.
FIRST_USES = """
import sys, threading, msgspec
from datlake_sdk.wire import codec, operations
from datlake_sdk.wire.models import (
    DataRef, Difference, Ending, EventResult, EventResults, Field, Graph, GraphEdge, GraphNode, Page, Run, RunData,
    RunDiff, RunError, Snapshot, Table,
)
from datlake_sdk.wire.operations import AddInputs, EventItem, LogEvents
from datlake_sdk.wire.times import utc_now

now, name = utc_now(), dict(namespace="n", table_name="t")
run = Run(run_id="r", job_name="j", namespace="n", state="failed", started_at=now, inputs=[RunData(**name)],
          endings=[Ending(state="failed", ended_at=now, received_at=now, error=RunError(type="T", message="m"))])
snapshot = Snapshot(**name, snapshot_id="s", version=1, uri="u", format="csv", schema=None, created_at=now,
                    fields=[Field(name="a", type="int", fields=[Field(name="b", type="int")])])
node = GraphNode(id="1", kind="run", namespace="n", name="x")
edge = GraphEdge(source="1", target="1", first_seen=now, last_seen=now, count=1)
values = [
    Page[Run](items=[run]), Table(**name, created_at=now, latest=snapshot), Graph(root="1", nodes=[node], edges=[edge]),
    RunDiff(left="1", right="2", differences=[Difference(path="p")]),
    EventResults(accepted=1, items=[EventResult(index=0)]),
]
ops = [
    LogEvents(events=[EventItem(event_type="e")]),
    AddInputs(job_name="j", run_id="0" * 8 + "-0000" * 3 + "-" + "0" * 12, items=[DataRef(uri="u")]),
]
work = [(lambda data=codec.encode(value), kind=kind: codec.decode(data, kind))
        for value, kind in zip(values, [Page[Run], Table, Graph, RunDiff, EventResults])]
work += [lambda op=op: codec.operation_from(msgspec.to_builtins(op), type(op)) for op in ops]
sys.setswitchinterval(1e-6)

def use(one, gate):
    gate.wait()
    one()

for one in work:
    gate = threading.Barrier(8)
    threads = [threading.Thread(target=use, args=(one, gate)) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_a_type_may_be_used_for_the_first_time_by_many_threads() -> None:
    """While one thread learned a type, others found it half learned, and the process died of it."""
    processes = [subprocess.Popen([sys.executable, "-c", FIRST_USES], stderr=subprocess.PIPE) for _ in range(8)]
    told = [process.communicate(timeout=60)[1] for process in processes]
    assert ([process.returncode for process in processes], told) == ([0] * 8, [b""] * 8)
