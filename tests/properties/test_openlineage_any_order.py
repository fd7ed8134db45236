"""Events of producers end in one state whatever the order of their arrival, however often and in whatever batches."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from datlake_sdk.errors import Conflict
from datlake_server.lake import Lake
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.properties.openlineage_fold import fold
from tests.properties.openlineage_shown import Shown, by_lake
from tests.properties.openlineage_streams import Delivery, Sent, deliveries

STREAMS = rounds(100, 10_000)
# A long round counts what differs; a short one also looks for the smallest that does.
PHASES = [Phase.generate] if IS_LONG else list(Phase)
# In memory where there is such a place: what is asked here is the order, not the disk.
PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- in a folder of our own


@given(deliveries())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_fold_of_events_itself_knows_no_order(delivery: Delivery) -> None:
    """What lakes are held against must not depend on what it is to prove."""
    assert fold(delivery.stream) == fold(delivery.arrived)


@pytest.mark.timeout(120 if not IS_LONG else 7_200)
def test_events_in_any_order_and_batches_end_as_the_fold_says(empty_lake: Path) -> None:
    """Producers retry, queue and replay; none of it must show in runs, snapshots, lineage, names or labels."""
    arrived: list[int] = []
    differing: list[Delivery] = []

    @given(delivery=deliveries())
    @settings(
        max_examples=STREAMS,
        phases=PHASES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def compare(delivery: Delivery) -> None:
        arrived.append(len(delivery.arrived))
        shown, expected = shown_after(empty_lake, delivery), fold(delivery.stream)
        if shown != expected:
            differing.append(delivery)
            if IS_LONG:  # to be told again from the text alone
                print([msgspec.json.encode(item) for item in delivery.stream], delivery.sent, delivery.in_turn)
        assert shown == expected or IS_LONG

    compare()
    keep(
        "R6 OpenLineage",
        "same truth in any order, events of producers",
        [none_of("streams that ended otherwise", len(differing))],
        [],
        [
            f"{len(arrived):,} streams of {sum(arrived):,} events and operations, permuted, repeated, in batches",
            "Two senders each, at once or one after the other",
        ],
    )
    assert not differing, differing[0]


def shown_after(empty_lake: Path, delivery: Delivery) -> Shown:
    """What a lake shows that two senders told the stream, one after the other or at once."""
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="datlake-", ignore_cleanup_errors=True) as home:
        shutil.copytree(empty_lake, home, dirs_exist_ok=True)
        if delivery.in_turn:
            for sender in (0, 1):
                _deliver(home, [sent for sent in delivery.sent if sent.sender == sender])
        else:
            _deliver(home, delivery.sent)
        return by_lake(Path(home))


def _deliver(home: str, sent: list[Sent]) -> None:
    lakes = {sender: Lake.open(home) for sender in sorted({one.sender for one in sent})}
    for one in sent:
        with suppress(Conflict):  # an end that disagrees with an earlier one is recorded all the same
            lakes[one.sender].dispatch(one.op)
    for lake in lakes.values():
        lake.close()
