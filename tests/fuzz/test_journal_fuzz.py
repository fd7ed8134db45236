"""Whatever lies in a journal file: readers end, and give out exactly the frames that check out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from datlake_sdk._outbox.journal import OPERATION, Header, SegmentReader, SegmentWriter
from tools.fuzz_journal import FIRST_LINE, MAGIC, OPENING, check, file_from, frame_of, memory_file

ROOT = Path(__file__).parent.parent.parent
FEW = settings(max_examples=200, deadline=None)
HEADER = Header(destination="d", writer="w", number=1, created_at="2026-01-02T03:04:05Z", sdk="1")

payloads = st.lists(st.binary(max_size=60) | st.sampled_from([MAGIC, b"\xfd\x00", b"x" * 300]), min_size=1, max_size=6)
damage = st.one_of(
    st.binary(max_size=80),
    st.lists(st.sampled_from([MAGIC, b"\xfd", frame_of(1, b"claim", length=70_000), FIRST_LINE]), max_size=4).map(
        b"".join
    ),
)


@FEW
@given(st.binary(max_size=400))
@example(b"")
@example(FIRST_LINE)
@example(OPENING + MAGIC)
def test_any_bytes_are_a_file_that_is_read_or_refused(data: bytes) -> None:
    check(data)
    check(OPENING + data)


@FEW
@given(st.binary(max_size=400))
def test_frames_among_damage_are_found_as_the_simplest_reader_finds_them(script: bytes) -> None:
    check(file_from(script))


@FEW
@given(payloads, damage, st.data())
def test_bytes_spliced_into_a_segment_cost_only_the_frames_they_hit(
    payloads: list[bytes], damage: bytes, data: st.DataObject
) -> None:
    """Wherever they are put in, and however many they take the place of."""
    whole, ends = segment(payloads)
    first = data.draw(st.integers(ends[0], len(whole)))
    last = data.draw(st.integers(first, min(first + 50, len(whole))))
    untouched = [
        payload for payload, start, end in zip(payloads, ends, ends[1:], strict=False) if end <= first or start >= last
    ]
    found = read(whole[:first] + damage + whole[last:])
    rest = iter(found)
    assert all(payload in rest for payload in untouched)
    assert len(found) <= len(payloads)


def segment(payloads: list[bytes]) -> tuple[bytes, list[int]]:
    """A segment, and where its header and each of its frames end."""
    with memory_file(b"") as path:
        writer = SegmentWriter(path, os.open(path, os.O_WRONLY | os.O_APPEND), 0)
        ends = [len(OPENING)]
        for payload in payloads:
            writer.append(OPERATION, payload)
            ends.append(len(OPENING) + writer.size_bytes)
        writer.close()
        return OPENING + Path(path).read_bytes(), ends


def read(data: bytes) -> list[bytes]:
    """The payloads of a sealed segment."""
    with memory_file(data) as path:
        return [frame.payload for frame in SegmentReader.open(path).read(0, is_sealed=True).frames]


def test_the_fuzzer_says_what_it_needs() -> None:
    """It is no dependency: it has wheels for few platforms, and an hour of it is nothing for a test run."""
    command = [sys.executable, "-S", str(ROOT / "tools" / "fuzz_journal.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "atheris is not installed" in done.stderr
