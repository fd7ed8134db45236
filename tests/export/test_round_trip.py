"""What a lake gives as OpenLineage makes another lake the same, whatever the order in which it is taken."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from datlake_sdk.errors import Conflict
from datlake_sdk.wire.models import Page
from datlake_sdk.wire.operations import ExportOpenLineage, Op, RecordLineageBatch
from datlake_server.lake import Lake
from tests.faults.rounds import rounds
from tests.properties import shown, streams

STREAMS = rounds(40, 3_000)
# What differs is rare and small as it is; looking for the smallest takes minutes.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- in a folder of our own

Event = dict[str, object]


class Trip(NamedTuple):
    """What a lake is told, and how what it gives is taken: the size of its pages, and whether it is shuffled."""

    stream: list[Op[object]]
    page: int
    dice: Random


trips = st.builds(Trip, streams.streams(), st.sampled_from([1, 3, 1000]), st.randoms(use_true_random=False))


@pytest.fixture(scope="module")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake that holds nothing: copying it is quicker than making one."""
    folder = tmp_path_factory.mktemp("empty")
    Lake.open(str(folder)).close()
    return folder


@contextmanager
def lake_at(home: Path) -> Iterator[Lake]:
    """The lake in that folder."""
    lake = Lake.open(str(home))
    try:
        yield lake
    finally:
        lake.close()


@contextmanager
def two_lakes(empty_lake: Path) -> Iterator[tuple[Path, Path]]:
    """The folders of two lakes that hold nothing."""
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="datlake-", ignore_cleanup_errors=True) as folder:
        homes = Path(folder, "one"), Path(folder, "other")
        for home in homes:
            shutil.copytree(empty_lake, home)
        yield homes


def tell(lake: Lake, stream: list[Op[object]]) -> None:
    """The lake has been told all of it."""
    for op in stream:
        with suppress(Conflict):  # an end that disagrees with an earlier one is recorded all the same
            lake.dispatch(op)


def exported(lake: Lake, limit: int) -> list[Event]:
    """All that the lake gives, page by page."""
    events: list[Event] = []
    page: Page[Event] = lake.dispatch(ExportOpenLineage(limit=limit))
    events += page.items
    while page.next_cursor is not None:
        page = lake.dispatch(ExportOpenLineage(limit=limit, cursor=page.next_cursor))
        assert len(page.items) <= limit
        events += page.items
    return events


def take(lake: Lake, events: list[Event], *, strict: bool = True) -> None:
    """The lake has taken the events."""
    for first in range(0, len(events), 50):
        batch = [msgspec.Raw(msgspec.json.encode(event)) for event in events[first : first + 50]]
        answer = lake.dispatch(RecordLineageBatch(events=batch, strict=strict))
        assert answer.status == "success", answer.failed_events


def test_what_sdks_told_is_the_same_in_a_lake_that_takes_the_export(empty_lake: Path) -> None:
    """Runs, snapshots, events and every graph; taken in any order, and once again."""

    @given(trip=trips)
    @settings(max_examples=STREAMS, phases=PHASES, deadline=None)
    def compare(trip: Trip) -> None:
        with two_lakes(empty_lake) as (one, other):
            with lake_at(one) as lake:
                tell(lake, trip.stream)
                events = exported(lake, trip.page)
                expected = shown.by_lake(lake)
            with lake_at(other) as lake:
                taken = list(events)
                trip.dice.shuffle(taken)
                take(lake, taken)
                assert shown.by_lake(lake) == expected
                assert exported(lake, 1000) == exported(lake, 2)

    compare()
