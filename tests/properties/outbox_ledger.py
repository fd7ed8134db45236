"""What the outbox's machine was promised, held against what became of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from msgspec import Struct

from datlake_sdk._outbox import dead
from datlake_sdk.wire.operations import CompleteRun, LogEvent, Op, RegisterSnapshot, StartRun
from tests.properties.outbox_host import Host, frames_of, key_of
from tests.properties.outbox_lake import Lake

Safety = Literal["nowhere", "memory", "kernel", "disk"]
# As often as this a lake has to fail at an operation before it may be given up.
GIVEN_UP_AFTER = 8
RUN = "0190c6a0-0000-7000-8000-ffffffffffff"


class Issued(Struct):
    """One thing that was handed to an outbox, and how safe it said it is.

    `group` names the life of the process that took it; `may_be_lost` says why it may be nowhere.
    """

    key: str
    content: bytes
    group: int
    safety: Safety
    is_log: bool = False
    may_be_lost: str = ""
    may_overtake: bool = False
    flipped_in: str = ""
    flipped_bytes: int = 0


class Ledger:
    """All that was issued, in order."""

    def __init__(self, host: Host, lake: Lake) -> None:
        self._host = host
        self._lake = lake
        self.issued: dict[str, Issued] = {}
        self._open: dict[str, Issued] = {}
        self._seen = 0
        self._settled_losses = 0
        self.refused: set[str] = set()
        # A dead letter needs a disk, and so does the note that it could not be kept.
        self.was_full = False

    def add(self, item: Issued) -> None:
        """The item was handed over."""
        self.issued[item.key] = self._open[item.key] = item

    # --- what happens to it -------------------------------------------------------------------------------------------

    def synced(self, group: int) -> None:
        """What this life of a process has given to the kernel is on the disk."""
        for item in self._of(group):
            if item.safety == "kernel":
                item.safety = "disk"

    def a_sync_failed(self) -> None:
        """What is written anew for that may come behind what is younger."""
        for item in self._open.values():
            item.may_overtake |= item.safety == "kernel"

    def died(self, group: int) -> None:
        """Its memory is gone."""
        for item in self._of(group):
            if item.safety == "memory":
                item.may_be_lost = "it was in the memory of a process that ended"

    def power_was_cut(self) -> None:
        """What was not synced is nowhere for certain."""
        for item in self._open.values():
            if item.safety == "kernel":
                item.may_be_lost, item.flipped_bytes = "it was not synced when the power was cut", 0

    def damaged(self, path: Path, first: int, end: int, *, is_flip: bool) -> None:
        """The bytes of the file from `first` to `end` are to be damaged: the frames that they belong to may be lost."""
        for frame in frames_of(path):
            item = self.issued.get(key_of(frame))
            if item is not None and frame.start < end and first < frame.end:
                item.may_be_lost = "its frame was damaged"
                item.may_overtake = True  # where it was written again, for a sync that failed
                item.flipped_in, item.flipped_bytes = path.name, frame.end - frame.start
        for item in self._open.values():
            if item.flipped_in == path.name and not is_flip:
                item.flipped_bytes = 0  # cut off, it can no longer be counted

    def refuse(self, key: str) -> None:
        """The lake refuses it for good, until it is healed."""
        self.refused.add(key)
        self.issued[key].may_overtake = True

    def dropped(self, key: str) -> None:
        """Somebody has thrown it away."""
        if key in self.issued:
            self.issued[key].may_be_lost = "it was dropped from the dead letters"

    def retried(self, key: str) -> None:
        """It waits again, out of its turn."""
        self.issued[key].may_overtake = True

    # --- what must hold -----------------------------------------------------------------------------------------------

    def check_the_lake(self) -> None:
        """Nothing came that was never issued, and nothing came changed."""
        assert self._lake.changed == []
        for key in self._lake.order[self._seen :]:
            assert key in self.issued, f"{key} was never issued"
            assert self._lake.kept[key] == self.issued[key].content
        self._seen = len(self._lake.order)

    def check_settled(self) -> None:
        """All that was accepted is delivered, among the dead letters, or gone for a reason; in order."""
        letters = self._host.letters()
        losses = dead.losses(str(self._host.folder))
        lost = [item for item in self._open.values() if not self._is_somewhere(item, letters)]
        shed = sum(loss.count for loss in losses if loss.what == "log")
        for item in lost:
            is_explained = item.safety == "nowhere" or item.may_be_lost or (item.is_log and shed)
            is_explained = is_explained or (self.was_full and self._is_given_up(item.key))
            assert is_explained, f"{item.key} of group {item.group}, which was on {item.safety}, is lost"
        self._check_letters(letters)
        self._check_order()
        damaged = sum(loss.count for loss in losses if loss.what == "bytes")
        flipped = sum(item.flipped_bytes for item in lost)
        assert self.was_full or damaged - self._settled_losses >= flipped, "damage was not told"
        self._settled_losses = damaged
        self.was_full = False
        self._open = {key: item for key, item in self._open.items() if key in letters}

    def _of(self, group: int) -> list[Issued]:
        return [item for item in self._open.values() if item.group == group]

    def _is_somewhere(self, item: Issued, letters: dict[str, dead.DeadLetter]) -> bool:
        return item.key in self._lake.kept or item.key in letters

    def _check_letters(self, letters: dict[str, dead.DeadLetter]) -> None:
        for key, letter in letters.items():
            assert self._is_given_up(key), f"{key} was buried: {letter.message}"

    def _is_given_up(self, key: str) -> bool:
        return key in self.refused or self._lake.failures[key] >= GIVEN_UP_AFTER

    def _check_order(self) -> None:
        places = {key: place for place, key in enumerate(self._lake.order)}
        last = Counter[int]()
        for item in self._open.values():
            place = places.get(item.key)
            if place is None or item.may_overtake or self._lake.failures[item.key]:
                continue
            assert place >= last[item.group], f"{item.key} of group {item.group} came too early"
            last[item.group] = place


# --- things to hand over ----------------------------------------------------------------------------------------------


def event(key: str, word: str) -> LogEvent:
    """An event of its own."""
    return LogEvent(event_type="told", data={"word": word}, job_name="j", run_id=RUN, event_id=key)


def registration(key: str, word: str) -> Op[object]:
    """A snapshot of its own."""
    return RegisterSnapshot(table_name="t", uri="s3://b/t", format="csv", metadata={"word": word}, snapshot_id=key)


def start(key: str, word: str) -> Op[object]:
    """A run of its own."""
    return StartRun(job_name="j", run_id=key, metadata={"word": word})


def end(key: str, word: str) -> Op[object]:
    """The end of a run of its own."""
    return CompleteRun(job_name="j", run_id=key, success=True, metadata={"word": word})
