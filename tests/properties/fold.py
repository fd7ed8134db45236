"""What a lake is to show after any operations, in any order and however often: the rules of merging as one pure fold.

It knows the operations and nothing of the lake: no SQL, no clock, no arrival. The lake is held equal to it. What
depends on the arrival by its nature is left out: versions, `late`, `received_at`, `last_seen_at`, and what was refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import product
from typing import cast

import msgspec

from datlake_sdk.lineage.naming import dataset_name
from datlake_sdk.wire.ids import derived_id
from datlake_sdk.wire.models import Artifact, DataRef, Ending, Event, Run, RunData, RunError, RunState
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    CompleteRun,
    DescribeRun,
    EventItem,
    LogEvent,
    LogEvents,
    Op,
    RegisterSnapshot,
    StartRun,
)
from tests.properties.world import NEVER, NOTHING, Edge, Made, Node, Place, Step, World

TICK = timedelta(microseconds=1)
OLD_DATA = ("inputs", "outputs")

Operations = Iterable[Op[object]]
OfRun = StartRun | DescribeRun | CompleteRun | AddInputs | AddOutputs


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output of a run, as one operation told it; `output` is what it was stated to feed."""

    run_id: str
    role: str
    ref: DataRef
    at: datetime
    output: Place | None = None
    is_stated: bool = False


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output of a run, of all that was told of it."""

    run_id: str
    role: str
    place: Place
    at: datetime
    uri: str | None
    is_stated: bool
    read: tuple[bool, bool, float]  # stale, deferred, age: of several tellings the freshest


def fold(operations: Operations) -> World:
    """What is known after `operations`, whatever their order and however often each of them is there."""
    return Fold(list(operations)).world()


class Fold:
    """Takes the operations apart by what they tell; each part is folded by itself."""

    def __init__(self, operations: list[Op[object]]) -> None:
        self.of_runs = [op for op in operations if isinstance(op, OfRun)]
        self.endings = [op for op in self.of_runs if isinstance(op, CompleteRun)]
        self.registrations = [op for op in operations if isinstance(op, RegisterSnapshot)]
        self.logged = [op for op in operations if isinstance(op, LogEvent)]
        self.logged += [_event(op, item) for op in operations if isinstance(op, LogEvents) for item in op.events]
        self.jobs = self._jobs()  # by run: (namespace, job)
        self.snapshots = self._registered()
        self.snapshots |= self._implied()
        self.told = [*self._told_by_runs(), *self._told_by_snapshots()]
        self.data = self._data()

    def world(self) -> World:
        """All that is known."""
        return World(
            runs={run_id: self._run(run_id) for run_id in self.jobs},
            events=self._events(),
            snapshots=self.snapshots,
            tables=self._tables(),
            of_runs=(of_runs := {step: edge for run_id in self.jobs for step, edge in self._fed(run_id)}),
            of_jobs=_over_runs(of_runs),
        )

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _jobs(self) -> dict[str, tuple[str, str]]:
        """An operation for a run that nobody knows makes it; an event that names no job does not."""
        every = [*self.of_runs, *self.registrations, *self.logged]
        return {op.run_id: (op.namespace, op.job_name) for op in every if op.run_id and op.job_name}

    def _run(self, run_id: str) -> Run:
        ops = [op for op in self.of_runs if op.run_id == run_id]
        starts = [op for op in ops if isinstance(op, StartRun)]
        endings = endings_of(op for op in self.endings if op.run_id == run_id)
        shown = endings[0] if endings else None
        namespace, job_name = self.jobs[run_id]
        return Run(
            run_id=run_id,
            job_name=job_name,
            namespace=namespace,
            state=shown.state if shown else "running",
            started_at=min((moment_of(op) for op in ops), default=NEVER),
            ended_at=shown.ended_at if shown else None,
            parent_run_id=min((op.parent_run_id for op in starts if op.parent_run_id), default=None),
            metadata=_facets((moment_of(op), op.metadata) for op in ops if not isinstance(op, AddInputs | AddOutputs)),
            environment=_facets(
                (moment_of(op), op.environment) for op in ops if not isinstance(op, AddInputs | AddOutputs)
            ),
            error=shown.error if shown else None,
            inputs=self._shown_data(run_id, "input"),
            outputs=self._shown_data(run_id, "output"),
            artifacts=_artifacts(op for op in self.endings if op.run_id == run_id),
            endings=endings,
        )

    def _shown_data(self, run_id: str, role: str) -> list[RunData]:
        found = [one for one in self.data.values() if (one.run_id, one.role) == (run_id, role)]
        return [self._shown(one) for one in sorted(found, key=self._order)]

    def _order(self, one: Data) -> tuple[datetime, str, str, datetime, str]:
        made = self._made_at(one.place)
        moment = made.created_at if made else datetime.min.replace(tzinfo=UTC)
        return one.at, one.place.table, one.place.namespace, moment, one.place.snapshot_id

    def _shown(self, one: Data) -> RunData:
        made = self._made_at(one.place)
        stale, deferred, age_s = one.read
        return RunData(
            table_name=one.place.table,
            namespace=one.place.namespace,
            snapshot_id=one.place.snapshot_id or None,
            uri=made.uri if made else one.uri,
            format=made.format if made else None,
            row_count=made.row_count if made else None,
            size_bytes=made.size_bytes if made else None,
            stale=stale,
            deferred=deferred,
            age_s=None if age_s == float("inf") else age_s,
        )

    def _made_at(self, place: Place) -> Made | None:
        made = self.snapshots.get(place.snapshot_id)
        return made if made and (made.namespace, made.table) == place[:2] else None

    # --- events -------------------------------------------------------------------------------------------------------

    def _events(self) -> dict[str, Event]:
        """By their ids; one that names no job is of its run's. A heartbeat is a sign of life and nothing else."""
        return {
            op.event_id or "": Event(
                event_id=op.event_id or "",
                event_type=op.event_type,
                data=op.data,
                namespace=op.namespace,
                created_at=op.created_at or NEVER,
                received_at=NEVER,
                job_name=op.job_name or self.jobs.get(op.run_id or "", (None, None))[1],
                run_id=op.run_id,
            )
            for op in self.logged
            if op.event_type != "heartbeat"
        }

    # --- snapshots ----------------------------------------------------------------------------------------------------

    def _registered(self) -> dict[str, Made]:
        made = [_made(op) for op in self.registrations]
        return {one.snapshot_id: one for one in sorted(made, key=lambda one: one.created_at, reverse=True)}

    def _implied(self) -> dict[str, Made]:
        """What older clients said in a run's end that it wrote, unless the run registered that URI."""
        registered = {(one.run_id, one.uri) for one in self.snapshots.values()}
        implied: dict[str, Made] = {}
        for op in self.endings:
            for item in _old(op, "outputs"):
                name, uri = item.get("name"), item.get("uri")
                if name and uri and (op.run_id, uri) not in registered:
                    one = _implied(op, name, uri, item)
                    implied[one.snapshot_id] = min(one, implied.get(one.snapshot_id, one), key=_content)
        return implied

    # --- what runs read and wrote -------------------------------------------------------------------------------------

    def _told_by_runs(self) -> Iterable[Told]:
        for op in self.of_runs:
            if isinstance(op, AddInputs | AddOutputs):
                role = "input" if isinstance(op, AddInputs) else "output"
                for ref in op.items:
                    yield Told(run_id=op.run_id, role=role, ref=ref, at=moment_of(op))
            elif isinstance(op, CompleteRun):
                yield from self._told_by_ending(op)

    def _told_by_ending(self, op: CompleteRun) -> Iterable[Told]:
        for role, key in zip(("input", "output"), OLD_DATA, strict=True):
            for item in _old(op, key):
                name, uri = item.get("name"), item.get("uri")
                if role == "input" or not (name and uri):  # else it is a snapshot: implied, or the run's own
                    ref = DataRef(table_name=name, uri=uri)
                    yield Told(run_id=op.run_id, role=role, ref=ref, at=moment_of(op))

    def _told_by_snapshots(self) -> Iterable[Told]:
        for one in self.snapshots.values():
            if one.run_id is None:
                continue
            ref = DataRef(table_name=one.table, snapshot_id=one.snapshot_id, uri=one.uri)
            stated = one.inputs is not None
            yield Told(run_id=one.run_id, role="output", ref=ref, at=one.created_at, is_stated=stated)
            for source in one.inputs or ():
                output = Place(one.namespace, one.table, one.snapshot_id)
                # What an output was made from was there before it: it is not made from itself.
                yield Told(run_id=one.run_id, role="input", ref=source, at=one.created_at - TICK, output=output)

    def _place(self, told: Told) -> Place:
        """A snapshot that is named, else the newest that fits as of the moment, else the table or the bare URI."""
        ref = told.ref
        scope = ref.namespace or self.jobs[told.run_id][0]
        if ref.snapshot_id and ref.table_name:
            return Place(scope, ref.table_name, ref.snapshot_id)
        if newest := self._newest(told, scope):
            return Place(newest.namespace, newest.table, newest.snapshot_id)
        if ref.table_name:
            return Place(scope, ref.table_name)
        return Place(*dataset_name(ref.uri or ""))

    def _newest(self, told: Told, scope: str) -> Made | None:
        ref = told.ref
        if told.role == "output" and ref.uri is None:
            return None  # a table that is written without being registered has no version to name
        fits = [
            one
            for one in self.snapshots.values()
            if one.namespace == scope and one.table == (ref.table_name or one.table) and one.uri == (ref.uri or one.uri)
        ]
        known = [one for one in fits if one.created_at <= told.at]
        own = [one for one in known if told.role == "output" and one.run_id == told.run_id]
        return max(own or known, key=lambda one: one.order, default=None)

    def _data(self) -> dict[tuple[str, str, Place], Data]:
        """A set by (run, role, place)."""
        every: defaultdict[tuple[str, str, Place], list[Told]] = defaultdict(list)
        for told in self.told:
            every[told.run_id, told.role, self._place(told)].append(told)
        return {key: _merged(*key, told) for key, told in every.items()}

    def _tables(self) -> set[tuple[str, str]]:
        """What was named, what was registered, and the bare URIs that no snapshot has."""
        named = {
            (told.ref.namespace or self.jobs[told.run_id][0], told.ref.table_name)
            for told in self.told
            if told.ref.table_name
        }
        made = {(one.namespace, one.table) for one in self.snapshots.values()}
        return named | made | {one.place[:2] for one in self.data.values()}

    # --- lineage ------------------------------------------------------------------------------------------------------

    def _fed(self, run_id: str) -> Iterable[tuple[Step, Edge]]:
        """Each stated input feeds its output; each input of the run feeds every output that states none."""
        run = Node("run", *self.jobs[run_id], run_id)
        inputs = {one.place: one for one in self.data.values() if (one.run_id, one.role) == (run_id, "input")}
        outputs = {one.place: one for one in self.data.values() if (one.run_id, one.role) == (run_id, "output")}
        yield from (_step(run, one.place.node, NOTHING, one.at) for one in inputs.values())
        yield from (_step(run, NOTHING, one.place.node, one.at) for one in outputs.values())
        fed = set(product(inputs, (one.place for one in outputs.values() if not one.is_stated)))
        fed |= {(self._place(told), told.output) for told in self.told if told.output and told.run_id == run_id}
        for source, target in fed:
            yield _step(run, source.node, target.node, max(inputs[source].at, outputs[target].at))


def moment_of(op: OfRun) -> datetime:
    """When the operation happened, as its sender says."""
    if isinstance(op, StartRun):
        return op.started_at or NEVER
    if isinstance(op, DescribeRun):
        return op.described_at or NEVER
    return (op.ended_at if isinstance(op, CompleteRun) else op.added_at) or NEVER


def endings_of(operations: Iterable[CompleteRun]) -> list[Ending]:
    """All of them, the earliest first; of two errors for the same end the greater text stays."""
    errors: dict[tuple[datetime, RunState], str] = {}
    for op in operations:
        state: RunState = "aborted" if op.aborted else "completed" if op.success else "failed"
        error = "" if op.error is None else msgspec.json.encode(op.error).decode()
        key = moment_of(op), state
        errors[key] = max(errors.get(key, ""), error)
    return [
        Ending(
            state=state,
            ended_at=ended_at,
            received_at=NEVER,
            error=msgspec.json.decode(error, type=RunError) if error else None,
        )
        for (ended_at, state), error in sorted(errors.items())
    ]


def _facets(told: Iterable[tuple[datetime, Mapping[str, object]]]) -> dict[str, object]:
    """Key by key the value of the latest moment, then of the greatest sha256."""
    best: dict[str, tuple[datetime, str, bytes]] = {}
    for at, values in told:
        for key, value in values.items():
            text = msgspec.json.encode(value)
            candidate = (at, sha256(text).hexdigest(), text)
            best[key] = max(best.get(key, candidate), candidate)
    return {key: msgspec.json.decode(text) for key, (_, _, text) in sorted(best.items())}


def _artifacts(operations: Iterable[CompleteRun]) -> list[Artifact]:
    """A set by (type, URI); of what else is told of one, the greatest."""
    found: defaultdict[tuple[str, str], list[Artifact]] = defaultdict(list)
    for op in operations:
        old = (Artifact(type=item.get("type", "file"), uri=item["uri"]) for item in _old(op, "artifacts"))
        for artifact in (*op.artifacts, *old):
            found[artifact.type, artifact.uri].append(artifact)
    return [
        Artifact(
            type=kind,
            uri=uri,
            name=max((one.name for one in group if one.name), default=None),
            size_bytes=max((one.size_bytes for one in group if one.size_bytes is not None), default=None),
            sha256=max((one.sha256 for one in group if one.sha256 is not None), default=None),
        )
        for (kind, uri), group in sorted(found.items())
    ]


def _merged(run_id: str, role: str, place: Place, told: list[Told]) -> Data:
    named = [one.ref for one in told if one.ref.snapshot_id] if role == "input" else []
    return Data(
        run_id=run_id,
        role=role,
        place=place,
        at=min(one.at for one in told),
        uri=max((one.ref.uri for one in told if one.ref.uri), default=None),
        is_stated=any(one.is_stated for one in told),
        read=min((_read(ref) for ref in named), default=(False, False, float("inf"))),
    )


def _read(ref: DataRef) -> tuple[bool, bool, float]:
    return ref.stale, ref.deferred, float("inf") if ref.age_s is None else ref.age_s


def _step(run: Node, source: Node, target: Node, at: datetime) -> tuple[Step, Edge]:
    return Step(source, run, target), Edge(at, at, 1, run.key)


def _over_runs(of_runs: Mapping[Step, Edge]) -> dict[Step, Edge]:
    """The steps between tables by way of jobs."""
    grouped: defaultdict[Step, list[Edge]] = defaultdict(list)
    for step, edge in of_runs.items():
        ends = (end if end == NOTHING else Node("table", *end[1:3]) for end in (step.source, step.target))
        source, target = ends
        grouped[Step(source, Node("job", *step.via[1:3]), target)].append(edge)
    return {step: _edge(edges) for step, edges in grouped.items()}


def _edge(edges: list[Edge]) -> Edge:
    last_seen, last_run_id = max((edge.last_seen, edge.last_run_id) for edge in edges)
    runs = {edge.last_run_id for edge in edges}
    return Edge(min(edge.first_seen for edge in edges), last_seen, len(runs), last_run_id)


def _made(op: RegisterSnapshot) -> Made:
    return Made(
        snapshot_id=op.snapshot_id or "",
        namespace=op.namespace,
        table=op.table_name,
        uri=op.uri,
        format=op.format,
        schema=op.schema,
        created_at=op.created_at or NEVER,
        run_id=op.run_id,
        job_name=op.job_name,
        row_count=op.row_count,
        size_bytes=op.size_bytes,
        inputs=op.inputs,
    )


def _implied(op: CompleteRun, name: str, uri: str, item: Mapping[str, object]) -> Made:
    return Made(
        snapshot_id=derived_id("implied", op.namespace, op.run_id, name, uri),
        namespace=op.namespace,
        table=name,
        uri=uri,
        format=str(item.get("format", "unknown")),
        schema=item.get("schema"),
        created_at=moment_of(op),
        run_id=op.run_id,
        job_name=op.job_name,
    )


def _content(one: Made) -> tuple[datetime, str, bytes]:
    return one.created_at, one.format, msgspec.json.encode(one.schema)


def _old(op: CompleteRun, key: str) -> list[dict[str, str]]:
    """What an older client listed in the metadata of an end."""
    return cast("list[dict[str, str]]", op.metadata.get(key, []))


def _event(op: LogEvents, item: EventItem) -> LogEvent:
    return LogEvent(namespace=op.namespace, **{name: getattr(item, name) for name in item.__struct_fields__})
