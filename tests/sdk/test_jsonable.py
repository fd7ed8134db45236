"""Whatever a user hands over becomes JSON, loses nothing in silence, and never hurts the job."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datlake_sdk.jsonable import jsonable, jsonable_counted


class Colour(enum.Enum):
    """An enum of text."""

    RED = "red"


class Level(enum.IntEnum):
    """An enum that is a number."""

    HIGH = 3


class Point(msgspec.Struct):
    """A struct with an absent field."""

    x: int
    y: float | msgspec.UnsetType = msgspec.UNSET


@dataclass
class Pair:
    """A dataclass of anything."""

    left: object
    right: object


class Silent:
    """An object that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError


class Scalar:
    """What numpy scalars and arrays have in common, so that numpy need not be installed to test it."""

    dtype = "int64"

    def __init__(self, value: object, shape: tuple[int, ...] = ()) -> None:
        self.shape = shape
        self._value = value

    def tolist(self) -> object:
        """The plain value."""
        return self._value


UUID = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({"a": 1, "b": [True, None, 1.5, "x"]}, {"a": 1, "b": [True, None, 1.5, "x"]}),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        ({1: "a", None: "b", Colour.RED: "c"}, {"1": "a", "None": "b", "red": "c"}),
        ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
        (OrderedDict(a=deque([1])), {"a": [1]}),
        ({"a": 1}.values(), [1]),
        (range(3), [0, 1, 2]),
        (b"text", "text"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.timedelta(days=1, seconds=2, milliseconds=500), "P1DT2.5S"),
        (-dt.timedelta(seconds=2), "-P0DT2S"),
        (Decimal("1.10"), "1.10"),
        (UUID, str(UUID)),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (PurePosixPath("/data/x"), "/data/x"),
        (Point(1), {"x": 1}),
        (Pair(1, Pair(2, 3)), {"left": 1, "right": {"left": 2, "right": 3}}),
        (Scalar(7), 7),
        (Scalar([1, 2], (2,)), [1, 2]),
        (2**64 - 1, 2**64 - 1),
    ],
)
def test_values_with_a_json_form_take_it_and_count_as_nothing_lost(value: object, expected: object) -> None:
    assert jsonable_counted(value) == (expected, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**64, str(2**64)),
        (b"\xff", "base64:/w=="),
        ("a\udc80", "a\\udc80"),
        (1j, "1j"),
        (Scalar(None, (100, 100)), "<Scalar: shape (100, 100), int64>"),
    ],
)
def test_values_without_a_json_form_become_text_and_are_counted(value: object, expected: str) -> None:
    """Turned into null in silence, a NaN loss is found when the model is in production."""
    assert jsonable_counted(value) == (expected, 1)
    assert jsonable_counted({"a": value}) == ({"a": expected}, 1)


def test_an_object_that_cannot_even_be_printed_is_told_by_its_type() -> None:
    class Hopeless(Silent):
        __repr__ = Silent.__str__

    assert jsonable(Hopeless()) == "<Hopeless: unprintable>"
    assert "Silent object at" in str(jsonable(Silent()))


def test_an_integer_too_long_for_decimal_text_is_still_told() -> None:
    """Python refuses str() of integers beyond 4 300 digits; a hash or a key may well be one."""
    assert str(jsonable(2**20_000)).startswith("0x1")


def test_a_value_that_contains_itself_ends() -> None:
    loop: list[object] = []
    loop.append({"again": loop})
    assert jsonable_counted(loop) == ([{"again": "<list: contains itself>"}], 1)


def test_the_same_value_twice_side_by_side_is_no_cycle() -> None:
    shared = [1]
    assert jsonable([shared, shared]) == [[1], [1]]


def test_depth_and_number_of_values_are_bounded_visibly() -> None:
    """A recursive or gigantic value must cost the job microseconds, not its memory."""
    deep: object = "end"
    for _ in range(5_000):
        deep = [deep]
    assert "nested deeper than 32" in json.dumps(jsonable(deep))
    wide = jsonable({"rows": range(10**9)})
    text = json.dumps(wide)
    assert "cut: more than 10000 values" in text
    assert len(text) < 100_000


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 50_000, "\udc80" * 50_000])
def test_a_long_text_is_cut_visibly(text: str) -> None:
    answer, lost = jsonable_counted(text)
    assert isinstance(answer, str)
    assert len(answer.encode()) <= 64 * 1024
    assert answer.endswith(f"[cut: {len(text)} characters in all]")
    assert lost == 1


def test_code_of_the_user_that_raises_costs_only_its_own_value() -> None:
    class Broken(dict[str, object]):
        def items(self) -> object:  # type: ignore[override] # a user's class may well be wrong
            raise ZeroDivisionError

    assert jsonable({"a": 1, "b": Broken(x=1)}) == {"a": 1, "b": "{'x': 1}"}


def test_the_answer_is_a_copy() -> None:
    """The job goes on changing its dict while the event waits to be sent."""
    given = {"a": 1, "b": [1]}
    answer = jsonable(given)
    given["a"] = 2
    given["b"] = []
    assert answer == {"a": 1, "b": [1]}


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(),
    st.decimals(allow_nan=False), st.uuids(),
    st.complex_numbers(), st.timedeltas(), st.text(alphabet=st.characters(categories=["Cs"])),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(LEAVES, inner) | st.frozensets(LEAVES) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(value=VALUES)
def test_every_answer_is_strict_json_and_converting_it_again_changes_nothing(value: object) -> None:
    answer = jsonable(value)
    text = json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    assert msgspec.json.encode(answer)
    assert json.loads(text) == answer
    assert jsonable_counted(answer) == (answer, 0)
