"""What fed what in a run, as pairs, and the same over all runs of a job, as edges. Follows from what is on the run.

Each input is paired with each output that states no inputs of its own, and those with what they state. Past a bound
the run itself stands between them, as a table of no namespace. 0 means nothing: a run that only reads has a pair
(source, 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from datlake_server.services.places import Role, table_row
from datlake_server.services.records import RunRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_server.store.base import Tx, Value

NOTHING: Final = 0
RUN_HUB: Final = ""  # the namespace of the tables that stand for runs
PAIRS_PER_RUN: Final = 10_000


class End(Struct, frozen=True):
    """One end of a pair: an input or output of the run, and since when it is known."""

    table_id: int
    snapshot_id: str
    at: int


class _Sides(Struct, frozen=True):
    hub: int
    others: int
    own: int


class _Seen(Struct, frozen=True):
    source: int
    target: int
    first_seen: int
    last_seen: int


_NO_END: Final = End(NOTHING, "", 0)


def pair(tx: Tx, run: RunRow, role: Role, new: Sequence[End]) -> None:
    """Pairs what is new on one side of the run with the other side."""
    other: Role = "output" if role == "input" else "input"
    most = PAIRS_PER_RUN + 1
    sides = tx.one(_Sides, "pairs.sides", run_id=run.run_id, role=role, other=other, most=most) or _Sides(0, 0, 0)
    if sides.others * sides.own > PAIRS_PER_RUN:
        pair_anew(tx, run)
        return
    # With a hub what is on the other side is not read: a run with thousands of inputs would read them for each output.
    others = [_NO_END]
    if sides.hub:
        others.append(End(sides.hub, "", 0))
    elif sides.others:
        others += tx.all(End, "lineage.unstated_data", run_id=run.run_id, role=other)
    ends = [(one, another) for one in new for another in others]
    _link(tx, run, ends if role == "input" else [(another, one) for one, another in ends])


def pair_first(tx: Tx, run: RunRow, inputs: Sequence[End], outputs: Sequence[End]) -> None:
    """Pairs the first inputs and outputs that are told of a run."""
    if len(inputs) * len(outputs) > PAIRS_PER_RUN:
        pair_anew(tx, run)
        return
    halves = [*((one, _NO_END) for one in inputs), *((_NO_END, one) for one in outputs)]
    _link(tx, run, [*halves, *((one, other) for one in inputs for other in outputs)])


def pair_stated(tx: Tx, run: RunRow, output: End) -> None:
    """Pairs a new output with what it was stated to be made from, and with nothing else."""
    sources = tx.all(End, "pairs.sources_of", run_id=run.run_id, output=output.snapshot_id)
    _link(tx, run, [(source, output) for source in (_NO_END, *sources)])


def pair_anew(tx: Tx, run: RunRow) -> None:
    """The run's pairs and their part in the edges are as if all had been told at once."""
    before = _seen(tx, run)
    tx.do("pairs.drop", run_id=run.run_id)
    tx.do("pairs.add_all", run_id=run.run_id, hub=_hub(tx, run))
    after = _seen(tx, run)
    for source, target in sorted(ends for ends in before.keys() | after.keys() if before.get(ends) != after.get(ends)):
        _count_anew(tx, source, run.job_id, target)


def unpair(tx: Tx, run: RunRow) -> None:
    """The run has no part in the edges of its job any more: before it becomes a run of another one."""
    before = _seen(tx, run)
    tx.do("pairs.drop", run_id=run.run_id)
    for source, target in sorted(before):
        _count_anew(tx, source, run.job_id, target)


def _count_anew(tx: Tx, source: int, job_id: int, target: int) -> None:
    tx.do("pairs.drop_edge", source=source, job_id=job_id, target=target)
    tx.do("pairs.leave_declared", source=source, job_id=job_id, target=target)
    tx.do("pairs.count_edge_anew", source=source, job_id=job_id, target=target)


def _hub(tx: Tx, run: RunRow) -> int:
    """The table that stands for the run where it has too many pairs, else 0."""
    most = PAIRS_PER_RUN + 1
    tx.do("tables.drop_hub", run_id=run.run_id)
    sides = tx.one(_Sides, "pairs.sides", run_id=run.run_id, role="input", other="output", most=most)
    if sides is None or sides.others * sides.own <= PAIRS_PER_RUN:
        return NOTHING
    return table_row(tx, RUN_HUB, run.run_id).table_id


def _seen(tx: Tx, run: RunRow) -> dict[tuple[int, int], _Seen]:
    return {(one.source, one.target): one for one in tx.all(_Seen, "pairs.edges_of_run", run_id=run.run_id)}


def _link(tx: Tx, run: RunRow, ends: Sequence[tuple[End, End]]) -> None:
    # One by one: a statement over JSON costs as much as five of these, and most runs have few pairs.
    for source, target in ends:
        pair: dict[str, Value] = {
            "run_id": run.run_id,
            "source": source.table_id,
            "target": target.table_id,
            "at": max(source.at, target.at),
        }
        tx.do("pairs.count_edge", job_id=run.job_id, **pair)
        tx.do("pairs.add", source_snapshot=source.snapshot_id, target_snapshot=target.snapshot_id, **pair)
