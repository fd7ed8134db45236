"""Tells all in which an OpenLineage event departs from the specification, each with its JSON path. Pure.

The strict ingestion calls it; the lenient one takes what this refuses, as long as it can be used at all.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from msgspec import json

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.lineage.shapes import TRUTH, ByType, Facets, Later, ListOf, Object, Scalar
from datlake_sdk.lineage.shapes_events import DATASET_EVENT, JOB_EVENT, NO_EVENT, RUN_EVENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datlake_sdk.lineage.shapes import Shape

# As many as a person mends in one go; a hostile event may have millions.
MOST_TOLD: Final = 10

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_KEY, _LONGEST_VALUE = 100, 60

# A path is a chain of its steps, written out where something is wrong: most never are.
_Path: TypeAlias = "tuple[_Path, str | int] | None"
_Work: TypeAlias = "tuple[_Path, object, Shape]"
_Seen: TypeAlias = "Problem | _Work"


class Problem(NamedTuple):
    """What is wrong at one place of an event."""

    path: str
    expected: str
    found: str

    def __str__(self) -> str:
        """`$.run.runId: expected a UUID, found "x"`."""
        return f"{self.path}: expected {self.expected}, found {self.found}"


def check(event: object) -> None:
    """Returns where `event`, decoded JSON, is as the specification says. Raises `InvalidRequest` that tells why not."""
    found = list(islice(problems(event), MOST_TOLD + 1))
    if not found:
        return
    more = "; and more" if len(found) > MOST_TOLD else ""
    told = "; ".join(map(str, found[:MOST_TOLD]))
    message = f"the event is not what OpenLineage specifies: {told}{more}; mend it, or send it without `strict`"
    raise InvalidRequest(message, code="openlineage_invalid")


def problems(event: object) -> Iterator[Problem]:
    """Each place where `event`, decoded JSON, departs from the specification, the outer before the inner."""
    # A list of work instead of recursion: what is nested a thousand deep is judged like anything else.
    work: list[_Work] = [(None, event, _event_shape(event))]
    while work:
        path, value, shape = work.pop()
        within: list[_Work] = []
        for found in _look(path, value, shape):
            if isinstance(found, Problem):
                yield found
            else:
                within.append(found)
        work += reversed(within)


def _event_shape(event: object) -> Shape:
    if not isinstance(event, dict):
        return Object()
    names = {"run", "job", "dataset"} & event.keys()
    if "dataset" in names and "job" not in names:  # beside a run it is none of a run: that one would have its job
        return DATASET_EVENT
    return RUN_EVENT if "run" in names else JOB_EVENT if names == {"job"} else NO_EVENT


def _look(path: _Path, value: object, shape: Shape) -> Iterator[_Seen]:
    """What is wrong with `value` itself, and what is to be looked at within it."""
    if isinstance(shape, Scalar):
        if not _fits(value, shape):
            yield Problem(_written(path), shape.what, _found(value, shows=shape.shows))
    elif isinstance(shape, Later):
        yield path, value, shape.get()
    elif isinstance(shape, ListOf):
        yield from _look_at_list(path, value, shape)
    elif not isinstance(value, dict):
        yield Problem(_written(path), "an object", _found(value))
    else:
        yield from _look_at_object(path, cast("dict[str, object]", value), shape)


def _fits(value: object, shape: Scalar) -> bool:
    # True is an int to Python; where whole numbers are wanted `accepts` says no.
    return isinstance(value, shape.kind) and shape.accepts(value)


def _look_at_list(path: _Path, value: object, shape: ListOf) -> Iterator[_Seen]:
    if not isinstance(value, list):
        yield Problem(_written(path), "a list", _found(value))
        return
    for index, item in enumerate(cast("list[object]", value)):
        yield (path, index), item, shape.item


def _look_at_object(path: _Path, value: Mapping[str, object], shape: Object | ByType | Facets) -> Iterator[_Seen]:
    if isinstance(shape, Facets):
        yield from _look_at_facets(path, value, shape)
    elif isinstance(shape, Object):
        yield from _required(path, value, shape)
        yield from _further(path, value, shape)
        yield from _counted(path, value, shape)
    elif (kind := shape.kinds.get(str(value.get("type")))) is not None:
        yield path, value, kind
    else:
        yield _problem(path, "type", f"one of {', '.join(shape.kinds)}", value)


def _look_at_facets(path: _Path, value: Mapping[str, object], shape: Facets) -> Iterator[_Seen]:
    for name, facet in value.items():
        deleted = cast("dict[str, object]", facet).get("_deleted") if isinstance(facet, dict) else None
        # A facet that is taken back says no more than that: nobody repeats what is gone.
        is_gone = shape.is_deletable and deleted is True
        yield (path, name), facet, shape.other if is_gone else shape.known.get(name, shape.other)
        if shape.is_deletable and deleted is not None:
            yield ((path, name), "_deleted"), deleted, TRUTH


def _required(path: _Path, value: Mapping[str, object], shape: Object) -> Iterator[_Seen]:
    for names, of_key in shape.required.items():
        keys = names.split("|")
        present = next((key for key in keys if key in value), None)
        if present is None:
            yield _problem(path, keys[0], _what(of_key), value)
        else:
            yield (path, present), value[present], of_key


def _further(path: _Path, value: Mapping[str, object], shape: Object) -> Iterator[_Seen]:
    if not shape.optional and not shape.is_closed and shape.others is None:
        return
    for key, item in value.items():
        if key in shape.optional:
            yield (path, key), item, shape.optional[key]
        elif key in shape.required:
            continue
        elif shape.is_closed:
            yield _problem(path, key, "no such key", value)
        elif shape.others is not None:
            yield (path, key), item, shape.others


def _counted(path: _Path, value: Mapping[str, object], shape: Object) -> Iterator[Problem]:
    if shape.one_of and sum(key in value for key in shape.one_of) != 1:
        told = ", ".join(key for key in shape.one_of if key in value) or "none"
        yield Problem(_written(path), f"exactly one of {', '.join(shape.one_of)}", told)
    if 0 < sum(key in value for key in shape.together) < len(shape.together):
        missing = ", ".join(key for key in shape.together if key not in value)
        yield Problem(_written(path), f"{' and '.join(shape.together)} or none of them", f"no {missing}")


def _problem(path: _Path, key: str, expected: str, value: Mapping[str, object]) -> Problem:
    found = _found(value[key], shows=True) if key in value else "nothing"
    return Problem(_written((path, key)), expected, found)


def _what(shape: Shape) -> str:
    if isinstance(shape, Scalar):
        return shape.what
    return "a list" if isinstance(shape, ListOf) else "an object"


def _found(value: object, *, shows: bool = False) -> str:
    """What stands there, in words; a text only where it is of a kind that holds no secret."""
    if isinstance(value, str):
        return _quoted(value, _LONGEST_VALUE) if shows else "text"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a number"


def _written(path: _Path) -> str:
    """The JSON path, `$.inputs[0].facets["a b"]`."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append(f".{step}" if _WORD.fullmatch(step) else f"[{_quoted(step, _LONGEST_KEY)}]")
    return "$" + "".join(reversed(steps))


def _quoted(text: str, longest: int) -> str:
    return json.encode(text if len(text) <= longest else f"{text[:longest]}…").decode()
