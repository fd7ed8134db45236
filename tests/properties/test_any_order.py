"""Operations end in the same state in any order and however often they arrive: the one that the fold says."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import Phase, given, settings

from datlake_sdk.errors import Conflict
from datlake_server.lake import Lake
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.properties.fold import fold
from tests.properties.shown import Shown, by_fold, by_lake
from tests.properties.streams import Delivery, Stream, deliveries

STREAMS = rounds(250, 10_000)
# A long round counts what differs; a short one also looks for the smallest that does.
PHASES = [Phase.generate] if IS_LONG else list(Phase)
# In memory where there is such a place: what is asked here is the order, not the disk.
PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- in a folder of our own


@given(deliveries())
@settings(max_examples=60, deadline=None)
def test_the_fold_itself_knows_no_order(delivery: Delivery) -> None:
    """What lakes are held against must not depend on what it is to prove."""
    assert fold(delivery.stream) == fold([*delivery.first, *delivery.second])


def test_any_order_and_any_repetition_end_as_the_fold_says(empty_lake: Path) -> None:
    """What is journaled is delivered when it can be; that must not show in what is known afterwards."""
    arrived: list[int] = []
    differing: list[Delivery] = []

    @given(delivery=deliveries())
    @settings(max_examples=STREAMS, phases=PHASES, deadline=None)
    def compare(delivery: Delivery) -> None:
        arrived.append(len(delivery.first) + len(delivery.second))
        shown, expected = _shown_after(delivery, empty_lake), by_fold(fold(delivery.stream))
        if shown != expected:
            differing.append(delivery)
        assert shown == expected or IS_LONG

    compare()
    told = f"{len(arrived):,} streams of {sum(arrived):,} operations, permuted, repeated and split over two deliveries"
    keep("R6", "same truth in any order, SQLite", [none_of("streams that ended otherwise", len(differing))], [], [told])
    assert not differing, differing[0]


def _shown_after(delivery: Delivery, empty_lake: Path) -> Shown:
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="datlake-", ignore_cleanup_errors=True) as home:
        shutil.copytree(empty_lake, home, dirs_exist_ok=True)
        _deliver(home, delivery.first)
        _deliver(home, delivery.second)
        lake = Lake.open(home)
        try:
            return by_lake(lake)
        finally:
            lake.close()


def _deliver(home: str, part: Stream) -> None:
    lake = Lake.open(home)
    for op in part:
        with suppress(Conflict):  # an end that disagrees with an earlier one is recorded all the same
            lake.dispatch(op)
    lake.close()
