"""OpenLineage events as several producers would send them, mixed with what SDKs tell of the same runs and data.

Few runs, jobs, datasets, values and moments, so that they meet often. All times are long past; no operation of an SDK
leaves its time or its id to the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, TypeVar

import msgspec
from hypothesis import strategies as st

from datlake_sdk.wire.operations import Op, RecordLineage, RecordLineageBatch
from tests.properties import streams as sdk

Json = dict[str, object]
Item = Json | Op[object]
Draw = st.DrawFn
Drawn = Callable[[Draw], Json]

PRODUCER = "https://example.com/producer"
JOBS = [("default", "load"), ("default", "report"), ("other", "load")]
# Runs of SDKs too (the first three), one in capitals, and two that are known by a text.
SDK_RUNS = 3
RUNS = [*(run.run_id for run in sdk.RUNS[:SDK_RUNS]), "0193A5C0-0000-7000-8000-0000000000AB", "nightly", "Run/7 é"]
PARENTS = [sdk._id(64), sdk._id(65).upper(), "the parent"]
DATASETS = [("default", "t"), ("default", "u"), ("s3://b", "x"), ("hive://h:1", "d.t")]
COLUMNS = ["a", "b"]
HOW: list[list[Json]] = [
    [],
    [{"type": "DIRECT", "subtype": "IDENTITY"}],
    [{"type": "INDIRECT", "subtype": "FILTER", "masking": True}],
]

T = TypeVar("T")


def some_of(values: Sequence[T], key: str, most: int) -> st.SearchStrategy[T]:
    """One of a few of the values, which are the same few for all of a stream: what it tells of, it tells of often."""
    few_of_all = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)
    return st.shared(few_of_all, key=key).flatmap(st.sampled_from)


few = st.integers(0, 2)
jobs = st.sampled_from(JOBS)
numbers = some_of(range(len(RUNS)), "runs", 4)
datasets = some_of(DATASETS, "datasets", 4)
# Two tables may also be one because of a name that is none of theirs.
links = some_of([*DATASETS, ("hive", "d.t")], "links", 3)
columns = st.sampled_from(COLUMNS)


def named(pair: tuple[str, str]) -> Json:
    """The identifier of a job or dataset."""
    return {"namespace": pair[0], "name": pair[1]}


def time_text(moment: datetime, form: int) -> str:
    """One moment in the ways that producers write it."""
    if form == 2:
        return f"{(moment + timedelta(hours=2)).replace(tzinfo=None).isoformat()}+02:00"
    return moment.replace(tzinfo=None).isoformat() + ("Z", ".000000000Z", "", "")[form]


times = st.builds(time_text, sdk.times, st.integers(0, 3))


# --- facets -----------------------------------------------------------------------------------------------------------


def facet(**told: object) -> Json:
    """A facet that says this."""
    return {"_producer": PRODUCER, "_schemaURL": PRODUCER, **told}


def _some(draw: Draw, facets: dict[str, Drawn], most: int) -> Json:
    """Some of the facets; now and then one that is taken back."""
    of_stream = some_of(sorted(facets), " ".join(facets), 4)
    names = draw(st.lists(of_stream, max_size=most, unique=True))
    return {name: facets[name](draw) if draw(st.integers(0, 6)) else facet(_deleted=True) for name in names}


def _list(draw: Draw, of: Drawn, most: int = 2) -> list[Json]:
    return [of(draw) for _ in range(draw(st.integers(0, most)))]


def _either(draw: Draw, *values: object) -> object:
    return draw(st.sampled_from(values))


def _tag(draw: Draw) -> Json:
    source: Json = {"source": "s"} if draw(st.booleans()) else {}
    return {"key": _either(draw, "pii", "tier"), "value": _either(draw, "1", "2"), **source}


def _field_tag(draw: Draw) -> Json:
    return _tag(draw) | ({"field": draw(columns)} if draw(st.booleans()) else {})


def _column(draw: Draw) -> Json:
    how = draw(st.sampled_from(HOW))
    told: Json = {**named(draw(datasets)), "field": draw(columns)}
    return told | {"transformations": how} if how else told


def _source(draw: Draw) -> Json:
    """What an explicit lineage names as a source: a dataset, a column of one, a job, or the event's own job."""
    if not draw(st.integers(0, 2)):
        job = draw(st.none() | jobs)
        return {"type": "JOB"} | (named(job) if job else {})
    column = _column(draw)
    if draw(st.booleans()):
        del column["field"]
    return {"type": "DATASET"} | column


def _sources_and_fields(draw: Draw) -> Json:
    told: Json = {}
    if draw(st.integers(0, 3)):
        told["inputs"] = _list(draw, _source)
    if draw(st.booleans()):
        told["fields"] = {name: {"inputs": _list(draw, _source)} for name in COLUMNS[: draw(st.integers(1, 2))]}
    return told


def _target(draw: Draw) -> Json:
    if draw(st.integers(0, 2)):
        return {"type": "DATASET", **named(draw(datasets)), **_sources_and_fields(draw)}
    job = draw(st.none() | jobs)
    return {"type": "JOB", "inputs": _list(draw, _source)} | (named(job) if job else {})


def _lifecycle(draw: Draw) -> Json:
    told = facet(lifecycleStateChange=_either(draw, "CREATE", "DROP", "RENAME"))
    return told | ({"previousIdentifier": named(draw(datasets))} if draw(st.booleans()) else {})


def _columns(draw: Draw) -> Json:
    fields = {name: {"inputFields": _list(draw, _column)} for name in COLUMNS[: draw(st.integers(0, 2))]}
    return facet(fields=fields) | ({"dataset": _list(draw, _column)} if draw(st.booleans()) else {})


def _parent(draw: Draw) -> Json:
    return facet(run={"runId": draw(st.sampled_from(PARENTS))}, job=named(("default", "dag")))


def _schema(draw: Draw) -> Json:
    return facet(fields=_list(draw, lambda draw: {"name": draw(columns), "type": _either(draw, "int", "text")}))


def _symlinks(draw: Draw) -> Json:
    return facet(identifiers=_list(draw, lambda draw: {**named(draw(links)), "type": "TABLE"}))


RUN_FACETS: dict[str, Drawn] = {
    "parent": _parent,
    "errorMessage": lambda draw: facet(
        message=_either(draw, "m", "n"), programmingLanguage="PYTHON", stackTrace=_either(draw, "one", "two")
    ),
    "jobDependencies": lambda draw: facet(
        upstream=[{"job": named(draw(jobs))}], downstream=[{"job": named(draw(jobs))}]
    ),
    "nominalTime": lambda draw: facet(nominalStartTime=draw(times)),
    "tags": lambda draw: facet(tags=_list(draw, _tag)),
    "my_run": lambda draw: facet(value=_either(draw, 1, 1.0, [{"deep": None}])),
}
JOB_FACETS: dict[str, Drawn] = {
    "documentation": lambda draw: facet(description=_either(draw, "d", "e")),
    "ownership": lambda draw: facet(owners=[{"name": _either(draw, "team", "me"), "type": "OWNER"}]),
    "jobType": lambda draw: facet(processingType=_either(draw, "BATCH", "STREAMING"), integration="SPARK"),
    "tags": lambda draw: facet(tags=_list(draw, _tag)),
    "my_job": lambda draw: facet(value=draw(few)),
}
DATASET_FACETS: dict[str, Drawn] = {
    "schema": _schema,
    "storage": lambda draw: facet(storageLayer="iceberg", fileFormat=_either(draw, "parquet", "orc")),
    "version": lambda draw: facet(datasetVersion=_either(draw, "1", "v2")),
    "tags": lambda draw: facet(tags=_list(draw, _field_tag)),
    "documentation": lambda draw: facet(description=_either(draw, "d", "e")),
    "lifecycleStateChange": _lifecycle,
    "columnLineage": _columns,
    "symlinks": _symlinks,
    "lineage": lambda draw: facet(**_sources_and_fields(draw)),
    "my_dataset": lambda draw: facet(value=draw(few)),
}
INPUT_FACETS: dict[str, Drawn] = {
    "inputStatistics": lambda draw: facet(rowCount=draw(few)),
    "my_input": lambda draw: facet(value=draw(few)),
}
OUTPUT_FACETS: dict[str, Drawn] = {
    "outputStatistics": lambda draw: facet(rowCount=draw(few), size=draw(few)),
    "my_output": lambda draw: facet(value=draw(few)),
}


# --- events -----------------------------------------------------------------------------------------------------------


def _job(draw: Draw, pair: tuple[str, str]) -> Json:
    facets = _some(draw, JOB_FACETS, 2)
    if not draw(st.integers(0, 4)):
        facets["lineage"] = facet(entries=_list(draw, _target))
    return named(pair) | {"facets": facets}


def _dataset(draw: Draw) -> Json:
    return {**named(draw(datasets)), "facets": _some(draw, DATASET_FACETS, 3)}


def _input(draw: Draw) -> Json:
    return _dataset(draw) | {"inputFacets": _some(draw, INPUT_FACETS, 2)}


def _output(draw: Draw) -> Json:
    return _dataset(draw) | {"outputFacets": _some(draw, OUTPUT_FACETS, 2)}


@st.composite
def events(draw: Draw) -> Json:
    """An event of a run mostly; else of a job or of a dataset."""
    event: Json = {"eventTime": draw(times), "producer": PRODUCER, "schemaURL": PRODUCER}
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return event | {"dataset": _dataset(draw)}
    if kind > 1:
        number = draw(numbers)
        event["run"] = {"runId": RUNS[number], "facets": _some(draw, RUN_FACETS, 3)}
        event["eventType"] = _either(draw, "START", "RUNNING", "OTHER", "COMPLETE", "COMPLETE", "FAIL", "ABORT")
        # A run is of one job as a rule; now and then two claim it. One that an SDK may tell of stays in its namespace:
        # to others there is no such run.
        claimed = st.sampled_from(JOBS[:2]) if number < SDK_RUNS else jobs
        pair = JOBS[number % 2 if number < SDK_RUNS else number % 3] if draw(st.integers(0, 6)) else draw(claimed)
    else:
        pair = draw(jobs)
    event["job"] = _job(draw, pair)
    for side, of in (("inputs", _input), ("outputs", _output)):
        if draw(st.integers(0, 3)):
            event[side] = _list(draw, of)
    return event


@st.composite
def streams(draw: Draw) -> list[Item]:
    """What some producers and some SDKs tell, in some order."""
    stream: list[Item] = [draw(events()) for _ in range(draw(st.integers(2, 8)))]
    if draw(st.booleans()):
        stream += draw(st.lists(sdk.operations, max_size=4))
        for snapshot_id in draw(st.lists(st.sampled_from(sdk.SNAPSHOTS), max_size=3, unique=True)):
            stream += draw(sdk.registrations(snapshot_id))
    return stream


class Sent(NamedTuple):
    """A request, and which of the two senders it is from."""

    sender: int
    op: Op[object]


class Delivery(NamedTuple):
    """A stream, and how it is delivered: in another order, with repetitions, singly and in batches, by two senders.

    The second begins when the first has ended (`in_turn`), or both are there all the time.
    """

    stream: list[Item]
    arrived: list[Item]
    sent: list[Sent]
    in_turn: bool


@st.composite
def deliveries(draw: Draw) -> Delivery:
    """A stream with an order of arrival."""
    stream = draw(streams())
    again = draw(st.lists(st.sampled_from(stream), max_size=4))
    arrived = draw(st.permutations([*stream, *again]))
    posts, in_turn = _posts(draw, arrived), draw(st.booleans())
    senders = draw(st.lists(st.integers(0, 1), min_size=len(posts), max_size=len(posts)))
    sent = [Sent(*one) for one in zip(sorted(senders) if in_turn else senders, posts, strict=True)]
    return Delivery(stream, arrived, sent, in_turn)


def _posts(draw: Draw, arrived: list[Item]) -> list[Op[object]]:
    """Each item singly, or with those after it in a batch."""
    posts: list[Op[object]] = []
    batch: list[msgspec.Raw] = []
    for item, following in pairwise([*arrived, None]):
        if not isinstance(item, dict):
            posts += [item] if item else []
            continue
        batch.append(_written(draw, item))
        if isinstance(following, dict) and draw(st.integers(0, 2)):
            continue
        posts.append(RecordLineage(event=batch[0]) if len(batch) == 1 else RecordLineageBatch(events=batch))
        batch = []
    return posts


def _written(draw: Draw, event: Item) -> msgspec.Raw:
    """The event as JSON, its keys in any order: the same event in other words is the same event."""
    text = msgspec.json.encode(event, order="sorted" if draw(st.booleans()) else None)
    return msgspec.Raw(msgspec.json.format(text) if draw(st.booleans()) else text)
