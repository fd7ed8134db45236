"""Files of events: whatever their form, each event is read once, and what cannot be read is told by its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from datlake_sdk.cli.importing import batches
from datlake_sdk.cli.json_events import PIECE_CHARACTERS, Found, events_in, opened

EVENTS: list[dict[str, object]] = [
    {"eventTime": "2026-11-23T03:00:00Z", "job": {"namespace": "é 表 🙂", "name": 'a "b" [c] {d}, \\'}},
    {"eventTime": "2026-11-23T03:01:00Z", "run": {"runId": "r", "facets": {"nested": [[{}], []]}}},
    {"eventTime": "2026-11-23T03:02:00Z", "number": 12345678901234567890, "text": "line\nbreak ]}"},
]


def in_lines(events: list[dict[str, object]]) -> str:
    """One on a line."""
    return "".join(f"{json.dumps(event)}\n" for event in events)


FORMS: dict[str, Callable[[list[dict[str, object]]], str]] = {
    "lines": in_lines,
    "lines, not ASCII": lambda events: "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events),
    "lines without a last break": lambda events: in_lines(events).rstrip(),
    "lines of Windows, with blank ones": lambda events: "\ufeff\r\n" + in_lines(events).replace("\n", "\r\n\r\n"),
    "an array": json.dumps,
    "an array over many lines": lambda events: json.dumps(events, indent=2, ensure_ascii=False),
    "arrays on lines": lambda events: "".join(f"{json.dumps([event, event][:1])}\n" for event in events),
    "values over many lines": lambda events: "\n".join(json.dumps(event, indent=4) for event in events),
}


def read(path: Path) -> list[Found]:
    """What is found in the file."""
    source = opened(str(path))
    with source.packed:
        return list(events_in(source.file))


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_of_a_file_holds_the_same_events(form: str, is_packed: bool, tmp_path: Path) -> None:
    """Nobody knows of a file that was sent to him how it was written."""
    data = FORMS[form](EVENTS).encode()
    file = tmp_path / "events"
    file.write_bytes(gzip.compress(data) if is_packed else data)
    found = read(file)
    assert [each.error for each in found] == [""] * 3
    assert [json.loads(each.data) for each in found] == EVENTS


@pytest.mark.parametrize("form", FORMS)
def test_events_that_lie_across_the_pieces_of_a_file_are_whole(form: str, tmp_path: Path) -> None:
    """A file is read in pieces; where one ends says nothing about where an event does."""
    events = [{"at": number, "text": "表]}\\" * 8_000} for number in range(40)]
    file = tmp_path / "events"
    file.write_text(FORMS[form](events))
    assert file.stat().st_size > 2 * PIECE_CHARACTERS
    assert [json.loads(each.data) for each in read(file)] == events


def test_an_event_larger_than_a_piece_is_read(tmp_path: Path) -> None:
    """A job with ten thousand columns tells a long event."""
    event: dict[str, object] = {"text": "x" * (3 * PIECE_CHARACTERS)}
    for form in ("lines", "an array over many lines"):
        file = tmp_path / form
        file.write_text(FORMS[form]([event, EVENTS[0]]))
        assert [json.loads(each.data) for each in read(file)] == [event, EVENTS[0]]


def test_a_line_that_is_no_json_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    """A logger that was killed leaves one half line, not a useless file."""
    file = tmp_path / "events"
    file.write_text(f'{{"a": 1}}\n\n{{"b": oops}}\n{in_lines(EVENTS)}{{"cut": "in the mid')
    found = read(file)
    assert [each.where for each in found if each.error] == ["line 3", "line 7"]
    assert all("this is no JSON" in each.error for each in found if each.error)
    assert '{"b": oops}' in found[1].error
    assert len([each for each in found if not each.error]) == 4


def test_an_array_is_read_until_what_is_no_json(tmp_path: Path) -> None:
    """Behind it nothing says where an event begins; what was read is told, and that there is more."""
    file = tmp_path / "events"
    file.write_text('[\n{"a": 1},\n{"b": 2},\n{"c": oops},\n{"d": 4}\n]')
    *good, bad = read(file)
    assert [json.loads(each.data) for each in good] == [{"a": 1}, {"b": 2}]
    assert bad.where == "event 3, line 4"
    assert bad.error.endswith("the rest of the file was not read")


@pytest.mark.parametrize("text", ['[{"a": 1}, {"b"', '[{"a": 1},', '[{"a": 1}'], ids=["event", "comma", "bracket"])
def test_an_array_that_was_cut_is_told(text: str, tmp_path: Path) -> None:
    """A download that broke off must not look whole."""
    file = tmp_path / "events"
    file.write_text(text)
    good, bad = read(file)
    assert json.loads(good.data) == {"a": 1}
    assert bad.error


def test_a_gzipped_file_that_was_cut_is_told(tmp_path: Path) -> None:
    """What came before is read."""
    file = tmp_path / "events.gz"
    file.write_bytes(gzip.compress(in_lines(EVENTS * 1000).encode())[:-20])
    found = read(file)
    assert found[-1].where == "at the end"
    assert "was cut" in found[-1].error


def test_a_file_of_nothing_holds_nothing(tmp_path: Path) -> None:
    for text in ("", " \n\n", "[]", "[\n]"):
        file = tmp_path / "events"
        file.write_text(text)
        assert read(file) == []


def test_what_is_nested_without_end_is_told(tmp_path: Path) -> None:
    """A file may be anything; it must not end the program."""
    file = tmp_path / "events"
    file.write_text('{"a":\n' + "[" * 200_000)
    (found,) = read(file)
    assert "the rest of the file was not read" in found.error


def test_batches_hold_no_more_than_a_lake_takes() -> None:
    """Neither events nor bytes; one that is too large alone goes alone, and the lake says so."""
    found = [Found(str(number), b"x" * size) for number, size in enumerate([10, 10, 10, 90, 200, 10])]
    assert [[each.where for each in batch] for batch in batches(found, 2, 1000)] == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert [[each.where for each in batch] for batch in batches(found, 10, 100)] == [
        ["0", "1", "2"],
        ["3"],
        ["4"],
        ["5"],
    ]
