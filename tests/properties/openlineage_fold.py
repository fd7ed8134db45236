"""What a lake is to show after any OpenLineage events and SDK operations: the rules of merging as a fold over a set.

It builds on the fold of operations and knows nothing of the lake: no SQL, no clock, no arrival. The lake is held equal
to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from datlake_sdk.lineage.ids import output_id, run_id_of, version_id
from datlake_sdk.lineage.naming import uri_of
from datlake_sdk.wire.models import (
    DataRef,
    DatasetName,
    Ending,
    Job,
    Run,
    RunError,
    RunState,
    Snapshot,
    Table,
    Tag,
)
from datlake_sdk.wire.operations import Op, StartRun
from datlake_server.services.schemas import fields_of
from tests.properties.fold import TICK, Fold, Told, endings_of
from tests.properties.openlineage_rows import groups_of, lifecycle_of, rows_of
from tests.properties.openlineage_shown import Shown
from tests.properties.openlineage_streams import Item, Json
from tests.properties.openlineage_told import (
    NOBODY,
    Entry,
    Event,
    Facet,
    Name,
    columns_of,
    entries_of_dataset,
    entries_of_job,
    links_of,
    name_of,
    objects,
    parsed,
)
from tests.properties.shown import MOMENTS
from tests.properties.world import NEVER, Made, Place

ENDINGS: dict[str, RunState] = {"COMPLETE": "completed", "FAIL": "failed", "ABORT": "aborted"}
OF_OUTPUT = ("schema", "columnLineage", "version", "lineage", "storage")

Owner = tuple[str, str, Name]  # what kind of thing, of which run, which
ColumnKey = tuple[Name, str, str]  # source, its column, the target's column


class OfOthers(Told, frozen=True, kw_only=True):
    """An input as other runs had left it."""


class Span(NamedTuple):
    """From the first to the last telling."""

    first: datetime
    last: datetime


class Content(NamedTuple):
    """What is known of a snapshot beside what an operation of an SDK says."""

    store_version: str | None = None
    column_lineage: Json | None = None
    is_unwritten: bool = False


def fold(stream: Iterable[Item]) -> Shown:
    """What is shown after the stream, whatever its order and however often each of its items is there."""
    items = list(stream)
    events = {event.digest: event for item in items if isinstance(item, dict) for event in [parsed(item)]}
    operations = [item for item in items if not isinstance(item, dict)]
    return OpenFold(operations, list(events.values())).shown()


class OpenFold(Fold):
    """The fold of operations, with what events tell beside them."""

    def __init__(self, operations: list[Op[object]], events: list[Event]) -> None:
        self.events = events
        self.run_events = [event for event in events if event.run_id]
        self.starts = [op for op in operations if isinstance(op, StartRun)]
        self.facets = self._merged_facets()
        self.spans = self._spans()
        self.contents: dict[str, Content] = {}
        super().__init__(operations)

    def shown(self) -> Shown:
        """All of it."""
        world = self.world()
        runs = {run_id: self._open_run(run) for run_id, run in world.runs.items()}
        snapshots = {key: self._snapshot(made) for key, made in self.snapshots.items()}
        tables = world.tables | self._named_tables()
        groups = groups_of(self.events, tables)
        return Shown(
            runs=runs,
            jobs={name: self._job(name, list(runs.values())) for name in self._named_jobs()},
            tables={name: self._table(name, snapshots, groups) for name in tables},
            snapshots=snapshots,
            latest={f"{' '.join(name)} {_as_of(at)}": self._latest(name, at) for name in tables for at in MOMENTS},
            rows=rows_of(self, world, tables),
        )

    # --- facets -------------------------------------------------------------------------------------------------------

    def _tellings(self) -> Iterator[tuple[Owner, str, Facet]]:
        for event in self.events:
            for name, facet in event.run_facets.items():
                yield ("run", event.run_id, NOBODY), name, facet
            for name, facet in event.job_facets.items():
                yield ("job", "", event.job), name, facet
                if name == "lineage" and event.run_id:
                    yield ("run", event.run_id, NOBODY), "job.lineage", facet
            for one in event.data:
                yield from ((("dataset", "", one.name), name, facet) for name, facet in one.facets.items())
            for one in event.inputs if event.run_id else ():
                yield from ((("input", event.run_id, one.name), name, facet) for name, facet in one.own.items())
            for one in event.outputs if event.run_id else ():
                of_run = one.own | {name: one.facets[name] for name in OF_OUTPUT if name in one.facets}
                yield from ((("output", event.run_id, one.name), name, facet) for name, facet in of_run.items())

    def _merged_facets(self) -> dict[Owner, dict[str, Facet]]:
        """The later of two stays, then the one with the greater sha256."""
        found: defaultdict[Owner, dict[str, Facet]] = defaultdict(dict)
        for owner, name, facet in self._tellings():
            found[owner][name] = max(found[owner].get(name, facet), facet, key=lambda one: one[:2])
        return found

    def said(self, owner: Owner, name: str) -> Json | None:
        """What the facet says, if it is there."""
        facet = self.facets.get(owner, {}).get(name)
        return None if facet is None else facet.said

    def _shown_facets(self, owner: Owner) -> dict[str, object]:
        return {name: facet.value for name, facet in self.facets.get(owner, {}).items() if not facet.is_gone}

    def _tags(self, owner: Owner) -> list[Tag]:
        """A set by (column, key): the later of two stays; what was taken back is gone with all that came before."""
        told = [facet for one, name, facet in self._tellings() if one == owner and name == "tags"]
        until = max((facet.at for facet in told if facet.is_gone), default=None)
        found: dict[tuple[str, str], tuple[datetime, str, Tag]] = {}
        for facet in told:
            for one in objects((facet.said or {}).get("tags")):
                tag = msgspec.convert(one, Tag)
                digest = sha256(msgspec.json.encode((tag.value, tag.source))).hexdigest()
                key = tag.field or "", tag.key
                found[key] = max(found.get(key, (facet.at, "", tag)), (facet.at, digest, tag), key=lambda one: one[:2])
        return [tag for _, (at, _, tag) in sorted(found.items()) if until is None or at > until]

    # --- runs and jobs ------------------------------------------------------------------------------------------------

    def _jobs(self) -> dict[str, Name]:
        """Of two jobs that claim a run it is of the one told first; what an SDK told is before all events."""
        claims: defaultdict[str, list[tuple[datetime, Name]]] = defaultdict(list)
        for event in self.run_events:
            claims[event.run_id].append((event.at, event.job))
        return {run_id: min(found)[1] for run_id, found in claims.items()} | super()._jobs()

    def _endings(self, run_id: str, told: list[Ending]) -> list[Ending]:
        known = {(ending.ended_at, ending.state): ending for ending in told}
        for event in self.run_events:
            if event.run_id == run_id and event.kind in ENDINGS:
                ending = Ending(state=ENDINGS[event.kind], ended_at=event.at, received_at=NEVER)
                known.setdefault((event.at, ending.state), ending)
        return [known[key] for key in sorted(known)]

    def _has_failed(self, run_id: str) -> bool:
        endings = self._endings(run_id, endings_of(op for op in self.endings if op.run_id == run_id))
        return bool(endings) and endings[0].state != "completed"

    def _open_run(self, run: Run) -> Run:
        owner: Owner = ("run", run.run_id, NOBODY)
        told = [event for event in self.run_events if event.run_id == run.run_id]
        endings = self._endings(run.run_id, run.endings)
        shown = endings[0] if endings else None
        above = str((self.said(owner, "parent") or {"run": {"runId": ""}})["run"]["runId"])  # type: ignore[index] # a run
        is_own = run_id_of(above) == run.run_id
        return replace(
            run,
            state=shown.state if shown else "running",
            started_at=min([run.started_at, *(event.at for event in told)]),
            ended_at=shown.ended_at if shown else None,
            error=self._error(owner, shown),
            endings=endings,
            parent_run_id=run.parent_run_id or (run_id_of(above) if above and not is_own else None),
            external_id=next((event.external_id for event in told if event.external_id), None),
            tags=self._tags(owner),
            facets=self._shown_facets(owner),
        )

    def _error(self, owner: Owner, shown: Ending | None) -> RunError | None:
        """What the ending says, else what the facet does."""
        said = self.said(owner, "errorMessage")
        if shown is None or shown.error or said is None or shown.state == "completed":
            return shown.error if shown else None
        trace = str(said["stackTrace"])
        return RunError(type=trace, message=str(said["message"]), traceback=trace)

    def _named_jobs(self) -> set[Name]:
        """Those that were told, and those that stated lineage or dependencies name."""
        named = {event.job for event in self.events if event.job != NOBODY} | set(self.jobs.values())
        for event in self.events:
            stated = event.stated
            if event.dataset:
                facet = event.dataset.facets.get("lineage")
                stated = entries_of_dataset(facet.said if facet else None, event.dataset.name, NOBODY)
            named |= {job for entry in stated for job in (entry.job, *entry.source_jobs)}
            facet = event.run_facets.get("jobDependencies")
            named |= {job for ends in links_of(facet.said if facet else None, event.job) for job in ends}
        return named - {NOBODY}

    def _job(self, name: Name, runs: list[Run]) -> Job:
        own = [run for run in runs if (run.namespace, run.job_name) == name]
        is_known = all(run.started_at != NEVER for run in own)
        return Job(
            job_name=name[1],
            namespace=name[0],
            created_at=NEVER,
            run_count=len(own),
            latest_run=max(own, key=lambda run: (run.started_at, run.run_id), default=None) if is_known else None,
            owner=self._keeper(("job", "", name)),
            description=self._about(("job", "", name)),
            tags=self._tags(("job", "", name)),
            facets=self._shown_facets(("job", "", name)),
        )

    # --- data ---------------------------------------------------------------------------------------------------------

    def _spans(self) -> dict[tuple[str, str, Name, str], Span]:
        """By run, role, dataset and version: when it was told. Once a version is, the telling without is none."""
        found: dict[tuple[str, str, Name, str], Span] = {}
        for event in self.run_events:
            for told in event.told():
                known = found.get((event.run_id, *told), Span(event.at, event.at))
                found[event.run_id, *told] = Span(min(known.first, event.at), max(known.last, event.at))
        versioned = {key[:3] for key in found if key[3]}
        return {key: span for key, span in found.items() if key[3] or key[:3] not in versioned}

    def _implied(self) -> dict[str, Made]:
        implied = super()._implied()
        known = self.snapshots | implied
        for (run_id, role, name, version), span in self.spans.items():
            if role == "output" and not version:
                made = self._made(output_id(run_id, *name), name, run_id, span.last)
                self.contents[made.snapshot_id] = self._content(name, run_id, is_unwritten=self._has_failed(run_id))
                implied[made.snapshot_id] = made
            elif version:
                made = self._version(name, version)
                if made.snapshot_id not in known:
                    self.contents[made.snapshot_id] = self._content(name, made.run_id or "", version)
                    implied[made.snapshot_id] = made
        return implied

    def _version(self, name: Name, version: str) -> Made:
        """It is of the run that wrote it first, as of when that run told it last; else it was there before a reader."""
        told = [(run_id, role, span) for (run_id, role, *rest), span in self.spans.items() if rest == [name, version]]
        writers = sorted((span.first, run_id, span.last) for run_id, role, span in told if role == "output")
        snapshot_id = version_id(*name, version)
        if writers:
            return self._made(snapshot_id, name, writers[0][1], writers[0][2])
        return self._made(snapshot_id, name, None, min(span.first for _, _, span in told) - TICK)

    def _made(self, snapshot_id: str, name: Name, run_id: str | None, at: datetime) -> Made:
        owner: Owner = ("output", run_id or "", name)
        schema = self.said(owner, "schema") if run_id else None
        storage = (self.said(owner, "storage") if run_id else None) or {}
        statistics = (self.said(owner, "outputStatistics") if run_id else None) or {}
        return Made(
            snapshot_id=snapshot_id,
            namespace=name[0],
            table=name[1],
            uri=uri_of(*name) or "/".join(name),
            format=str(storage.get("fileFormat", "unknown")),
            schema=None if schema is None else _plain(schema),
            created_at=at,
            run_id=run_id,
            job_name=self.jobs[run_id][1] if run_id else None,
            row_count=msgspec.convert(statistics.get("rowCount"), int | None),
            size_bytes=msgspec.convert(statistics.get("size"), int | None),
        )

    def _content(self, name: Name, run_id: str, version: str | None = None, *, is_unwritten: bool = False) -> Content:
        fed = self.said(("output", run_id, name), "columnLineage") if run_id else None
        return Content(version, None if fed is None else _plain(fed), is_unwritten)

    def _told_by_snapshots(self) -> Iterable[Told]:
        for told in super()._told_by_snapshots():
            if told.ref.snapshot_id not in self.contents:
                yield told
        yield from self._told_by_events()

    def _told_by_events(self) -> Iterator[Told]:
        for (run_id, role, name, version), span in self.spans.items():
            if role == "input":
                yield self._input(run_id, name, version, span)
                continue
            stated = self.stated(run_id).get(name)
            place = Place(*name, version_id(*name, version) if version else output_id(run_id, *name))
            yield Told(run_id=run_id, role=role, ref=_ref(place), at=span.first, is_stated=stated is not None)
            for source in {source for entry in stated or () for source in entry.sources}:
                for (reader, other, read, of), known in self.spans.items():
                    if (reader, other, read) == (run_id, "input", source):
                        yield replace(self._input(run_id, source, of, known), output=place)

    def _input(self, run_id: str, name: Name, version: str, span: Span) -> Told:
        if version:
            ref = _ref(Place(*name, version_id(*name, version)))
            return Told(run_id=run_id, role="input", ref=ref, at=span.first)
        ref = DataRef(namespace=name[0], table_name=name[1])
        return OfOthers(run_id=run_id, role="input", ref=ref, at=span.first)

    def _newest(self, told: Told, scope: str) -> Made | None:
        every = self.snapshots
        try:
            self.snapshots = {
                key: made
                for key, made in every.items()
                if not self.contents.get(key, Content()).is_unwritten
                and not (isinstance(told, OfOthers) and made.run_id == told.run_id)
            }
            return super()._newest(told, scope)
        finally:
            self.snapshots = every

    def _keeper(self, owner: Owner) -> str | None:
        """Who keeps it, as long as people say nothing here: what producers tell."""
        owners = objects((self.said(owner, "ownership") or {}).get("owners"))
        return str(owners[0]["name"]) if owners else None

    def _about(self, owner: Owner) -> str | None:
        text = (self.said(owner, "documentation") or {}).get("description")
        return None if text is None else str(text)

    # --- tables and snapshots -----------------------------------------------------------------------------------------

    def _named_tables(self) -> set[Name]:
        """What was told, and what stated lineage, columns and names before a renaming name."""
        named = {one.name for event in self.events for one in event.data}
        for event in self.events:
            for one in event.data:
                change = (facet.said if (facet := one.facets.get("lifecycleStateChange")) else None) or {}
                if before := change.get("previousIdentifier"):
                    named.add(name_of(before))  # type: ignore[arg-type] # an object
            stated = event.stated
            fed = event.outputs
            if event.dataset:
                facet = event.dataset.facets.get("lineage")
                stated = entries_of_dataset(facet.said if facet else None, event.dataset.name, NOBODY)
                fed = [event.dataset]
            named |= {name for entry in stated for name in (*entry.sources, *([entry.target] if entry.target else []))}
            for one in fed:
                facet = one.facets.get("columnLineage")
                named |= {key[0] for key in columns_of((facet.said if facet else None) or {})}
        return named

    def _table(self, name: Name, snapshots: dict[str, Snapshot], groups: list[tuple[set[Name], set[Name]]]) -> Table:
        latest = self._latest(name, NEVER)
        names = next(names for group, names in groups if name in group)
        states = [(row.at, row.state) for row in lifecycle_of(self.events) if row.table == name]
        return Table(
            table_name=name[1],
            namespace=name[0],
            created_at=NEVER,
            latest=snapshots[latest] if latest else None,
            snapshot_count=sum((one.namespace, one.table_name) == name for one in snapshots.values()),
            location=uri_of(*name),
            owner=self._keeper(("dataset", "", name)),
            description=self._about(("dataset", "", name)),
            aliases=[DatasetName(namespace=alias[0], name=alias[1]) for alias in sorted(names - {name})],
            tags=self._tags(("dataset", "", name)),
            lifecycle=max(states)[1] if states else None,
            facets=self._shown_facets(("dataset", "", name)),
        )

    def _latest(self, name: Name, at: datetime) -> str | None:
        fits = [
            made
            for key, made in self.snapshots.items()
            if (made.namespace, made.table) == name and made.created_at <= at
            if not self.contents.get(key, Content()).is_unwritten
        ]
        return max(fits, key=lambda made: made.order).snapshot_id if fits else None

    def _snapshot(self, made: Made) -> Snapshot:
        content = self.contents.get(made.snapshot_id, Content())
        schema = msgspec.convert(made.schema, dict[str, object] | None)
        return Snapshot(
            snapshot_id=made.snapshot_id,
            table_name=made.table,
            namespace=made.namespace,
            version=0,
            uri=made.uri,
            format=made.format,
            schema=schema,
            created_at=made.created_at,
            run_id=made.run_id,
            job_name=made.job_name,
            row_count=made.row_count,
            size_bytes=made.size_bytes,
            fields=fields_of(schema),
            column_lineage=content.column_lineage,
            store_version=content.store_version,
        )

    # --- what is stated -----------------------------------------------------------------------------------------------

    def stated(self, run_id: str) -> dict[Name, list[Entry]]:
        """By output: what facets state of it. A job's facet speaks of all outputs, also of those it does not name."""
        own, outputs = self.jobs[run_id], {key[2] for key in self.spans if key[:2] == (run_id, "output")}
        found: dict[Name, list[Entry]] = {}
        said = self.said(("run", run_id, NOBODY), "job.lineage")
        if said is not None:
            found = {name: [] for name in outputs}
            for entry in entries_of_job(said, own):
                if entry.target:
                    found[entry.target].append(entry)
        for name in outputs:
            for entry in entries_of_dataset(self.said(("output", run_id, name), "lineage"), name, own):
                found.setdefault(name, []).append(entry)
        return found


def _plain(facet: Json) -> Json:
    """What the facet says, without the marks that all facets have."""
    return {name: value for name, value in facet.items() if not name.startswith("_")}


def _ref(place: Place) -> DataRef:
    return DataRef(namespace=place.namespace, table_name=place.table, snapshot_id=place.snapshot_id)


def _as_of(at: datetime) -> datetime | None:
    return None if at == NEVER else at
