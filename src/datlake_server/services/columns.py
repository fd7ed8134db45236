"""Which column feeds which: read from the body of OpenLineage's column lineage facet, kept per run and per job.

An empty source field is the whole source, an empty target field every column of the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct, json
from msgspec.structs import asdict, astuple, replace

from datlake_sdk.lineage.names import known_as
from datlake_sdk.wire.models import Transformation
from datlake_server.services.records import RunRow, json_text
from datlake_server.services.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from datlake_server.store.base import Tx

# What a target may have at most: beyond, nobody can read it, and a run would pay for it.
MOST: Final = 20_000
WHOLE: Final = ""
_FACETS_KEPT: Final = 500
NO_JOB: Final = 0  # a dataset, of itself


class Columns(Struct, frozen=True):
    """A column that feeds another, of tables by their numbers."""

    source: int
    source_field: str
    target: int
    target_field: str


class _Fed(Struct, frozen=True):
    """What is said of one field, before names are looked up."""

    field: str
    namespace: str | None
    name: str | None
    source_field: str
    steps: list[Transformation]


class _Known(Struct, frozen=True):
    source: int
    source_field: str
    target_field: str
    transformations: str
    at: int


def read(
    told: Mapping[str, object], target: int, table_of: Callable[[str | None, str | None], int | None]
) -> dict[Columns, list[Transformation]]:
    """What a column lineage facet, or the field part of a lineage facet, says of the table `target`.

    `table_of` gives the number of a table by namespace and name, null for what is none.
    """
    return _found(_fed(told), target, table_of)


def read_text(
    told: str, target: int, table_of: Callable[[str | None, str | None], int | None]
) -> dict[Columns, list[Transformation]]:
    """As `read`, of a facet as text, which the runs of a job tell again and again: it is looked through once."""
    return _found(_fed_of(told), target, table_of)


@remembered(_FACETS_KEPT)
def _fed_of(told: str) -> tuple[_Fed, ...]:
    return tuple(_fed(json.decode(told, type=dict[str, object])))


def _fed(told: Mapping[str, object]) -> Iterator[_Fed]:
    for field, one in _sources(told):
        if one.get("type", "DATASET") != "JOB":
            source = _text(one.get("field")) or WHOLE
            yield _Fed(field, _name(one.get("namespace")), _name(one.get("name")), source, _transformations(one))


def _found(
    fed: Iterable[_Fed], target: int, table_of: Callable[[str | None, str | None], int | None]
) -> dict[Columns, list[Transformation]]:
    found: dict[Columns, list[Transformation]] = {}
    for one in fed:
        source = table_of(one.namespace, one.name)
        if source is None or len(found) >= MOST:
            continue
        steps = found.setdefault(Columns(source, one.source_field, target, one.field), [])
        steps += [step for step in one.steps if step not in steps]
    return found


class Telling(Struct, frozen=True):
    """When a run told of columns; whether beside what it told before, and whether it can have told none before."""

    at: int
    adds: bool = False
    is_first: bool = False


def record(tx: Tx, run: RunRow, target: int, told: Mapping[Columns, list[Transformation]], telling: Telling) -> None:
    """The run's columns of `target` are fed as told."""
    new = {key: json_text(sorted(steps, key=json_text)) for key, steps in told.items()}
    known = {} if telling.is_first else _known(tx, run, target)
    for key in () if telling.adds else known.keys() - new.keys():
        tx.do("columns.drop", run_id=run.run_id, **asdict(key))
        _count_anew(tx, run, key)
    _add(tx, run, {key: steps for key, steps in new.items() if key not in known}, telling.at)
    for key, before in known.items():
        steps = new.get(key)
        row = before if steps is None else _joined(before, steps, telling)
        if row != before:
            tx.do("columns.put", run_id=run.run_id, transformations=row.transformations, at=row.at, **asdict(key))
            _count_anew(tx, run, key)


def declare(tx: Tx, job_id: int, told: Mapping[Columns, list[Transformation]], at: int) -> None:
    """The job (0: a dataset, of itself) is declared to feed the columns so."""
    for key, steps in told.items():
        text = json_text(sorted(steps, key=json_text))
        tx.do("columns.declare", job_id=job_id, transformations=text, at=at, **asdict(key))


def move(tx: Tx, run: RunRow, job_id: int) -> None:
    """The run was of the job `job_id` before: its columns count for the job that it is of now."""
    rows = tx.all(Columns, "columns.all_of_run", run_id=run.run_id)
    before = replace(run, job_id=job_id)
    for key in rows:
        _count_anew(tx, before, key)
        _count_anew(tx, run, key)


def _known(tx: Tx, run: RunRow, target: int) -> dict[Columns, _Known]:
    rows = tx.all(_Known, "columns.of_run", run_id=run.run_id, target=target)
    return {Columns(row.source, row.source_field, target, row.target_field): row for row in rows}


def _add(tx: Tx, run: RunRow, new: Mapping[Columns, str], at: int) -> None:
    if new:
        rows = [(*astuple(key), steps, at, run.run_id) for key, steps in new.items()]
        tx.do_each("columns.count_one", [(*row, run.job_id) for row in rows])
        tx.do_each("columns.add", rows)


def _joined(before: _Known, steps: str, telling: Telling) -> _Known:
    """The later facet stays as it is; two tellings that add are joined, the same whichever came first."""
    if not telling.adds:
        return replace(before, transformations=steps, at=telling.at)
    return replace(before, at=min(before.at, telling.at), transformations=max(before.transformations, steps))


def _count_anew(tx: Tx, run: RunRow, key: Columns) -> None:
    for step in ("columns.drop_edge", "columns.leave_declared", "columns.count_anew"):
        tx.do(step, job_id=run.job_id, **asdict(key))


def _sources(told: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every source with the field that it feeds."""
    fields = told.get("fields")
    if isinstance(fields, dict):
        for field, entry in cast("dict[str, object]", fields).items():
            facts = _mapping(entry)
            old = {name: facts[name] for name in ("transformationType", "transformationDescription") if name in facts}
            for one in _mappings(facts.get("inputFields") or facts.get("inputs")):
                yield field, {**old, **one}
    for one in _mappings(told.get("dataset")):
        yield WHOLE, one
    for one in _mappings(told.get("inputs")):
        if _text(one.get("field")):  # of the whole dataset is what tables are for
            yield WHOLE, one


def _transformations(one: Mapping[str, object]) -> list[Transformation]:
    steps = [
        Transformation(
            type=_text(step.get("type")) or "DIRECT",
            subtype=_text(step.get("subtype")),
            description=_text(step.get("description")),
            masking=masking if isinstance(masking := step.get("masking"), bool) else None,
        )
        for step in _mappings(one.get("transformations"))
    ]
    old, why = _text(one.get("transformationType")), _text(one.get("transformationDescription"))
    if not steps and (old or why):  # as events before 2023 told it
        masked = old == "MASKED"
        steps.append(Transformation(type="DIRECT", subtype=old, description=why, masking=True if masked else None))
    return steps


def _mappings(value: object) -> Iterable[Mapping[str, object]]:
    return [_mapping(one) for one in cast("list[object]", value) if one] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _name(value: object) -> str | None:
    return known_as(value) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
