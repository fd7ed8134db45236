"""What graphs are drawn from, as the fold of events has it: pairs, edges, columns, tied jobs, names and groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from datlake_sdk.wire.models import Transformation
from datlake_sdk.wire.times import micros
from tests.properties.openlineage_shown import canonical
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
)
from tests.properties.world import NOTHING, Edge, Node, Step, World

if TYPE_CHECKING:
    from tests.properties.openlineage_fold import OpenFold
    from tests.properties.openlineage_streams import Json

Rows = set[tuple[object, ...]]
End = Name | None
Column = tuple[Name, str, Name, str]  # source, its column, target, its column


class Change(NamedTuple):
    """What happened to a table; `before` is what it was called, where that is told."""

    table: Name
    at: datetime
    state: str
    run_id: str
    before: Name | None


class Fed(NamedTuple):
    """A column that feeds another in a run, and how."""

    at: datetime
    run_id: str
    how: str


def rows_of(fold: OpenFold, world: World, tables: Iterable[Name]) -> dict[str, Rows]:
    """All of them, by kind."""
    fed = dict(_fed_columns(fold))
    return {
        "pairs": {_pair(step, edge) for step, edge in world.of_runs.items()},
        "edges": set(_edges(world.of_jobs, declared_steps(fold.events))),
        "columns_of_runs": {(run_id, *column, one.how, micros(one.at)) for (run_id, column), one in fed.items()},
        "columns": set(_columns(fold, fed)),
        "jobs_of_jobs": set(_links(fold)),
        "lifecycle": {
            (one.table, micros(one.at), one.state, one.run_id, one.before) for one in lifecycle_of(fold.events)
        },
        "groups": set(_groups(fold.events, tables)),
        "facets": set(_facets(fold)),
        "events": {
            (one.digest, micros(one.at), one.kind, one.run_id, *one.job, one.dataset and one.dataset.name, one.body)
            for one in fold.events
        },
    }


# --- steps between tables ---------------------------------------------------------------------------------------------


def _pair(step: Step, edge: Edge) -> tuple[object, ...]:
    source, target = step.source, step.target
    return edge.last_run_id, _end(source), source.key, _end(target), target.key, micros(edge.first_seen)


def _end(node: Node) -> End:
    return None if node == NOTHING else (node.namespace, node.name)


def declared_steps(events: Iterable[Event]) -> dict[tuple[End, Name, End], datetime]:
    """The steps that are declared of jobs (`NOBODY`: of a dataset itself), since when."""
    found: dict[tuple[End, Name, End], datetime] = {}
    for event in events:
        for step in _declared(event):
            found[step] = min(found.get(step, event.at), event.at)
    return found


def _declared(event: Event) -> Iterator[tuple[End, Name, End]]:
    if event.run_id:
        yield from _of_others(event.stated, event.job)
    elif event.dataset:
        entries = _entries_of(event)
        yield from _of_others(entries, NOBODY)
        yield from ((source, NOBODY, entry.target) for entry in entries for source in entry.sources)
    else:
        yield from _of_others(event.stated, event.job)
        yield from _of_job(event)


def _of_others(entries: Iterable[Entry], own: Name) -> Iterator[tuple[End, Name, End]]:
    """What stated lineage says of other jobs than the event's."""
    for entry in entries:
        if entry.target:
            yield from ((None, job, entry.target) for job in entry.source_jobs if job != own)
        elif entry.job != own:
            yield from ((source, entry.job, None) for source in entry.sources)


def _of_job(event: Event) -> Iterator[tuple[End, Name, End]]:
    own = event.job
    yield from ((one.name, own, None) for one in event.inputs)
    yield from ((None, own, one.name) for one in event.outputs)
    for entry in event.stated:
        if entry.target:
            yield None, own, entry.target
            yield from ((source, own, entry.target) for source in entry.sources)
        elif entry.job == own:
            yield from ((source, own, None) for source in entry.sources)
    if _said(event.job_facets, "lineage") is None:
        for output in event.outputs:
            if _said(output.facets, "lineage") is None:
                yield from ((one.name, own, output.name) for one in event.inputs)


def _edges(
    of_jobs: Mapping[Step, Edge], declared: Mapping[tuple[End, Name, End], datetime]
) -> Iterator[tuple[object, ...]]:
    taken = {(_end(step.source), step.via[1:3], _end(step.target)): edge for step, edge in of_jobs.items()}
    for step in taken.keys() | declared.keys():
        source, job, target = step
        since, edge = declared.get(step), taken.get(step)
        moments = [moment for moment in (since, edge.first_seen if edge else None) if moment]
        yield (
            source,
            *(job if job != NOBODY else (None, None)),
            target,
            micros(min(moments)),
            micros(edge.last_seen if edge else cast("datetime", since)),
            edge.run_count if edge else 0,
            edge.last_run_id if edge else "",
            micros(since) if since else None,
        )


# --- columns ----------------------------------------------------------------------------------------------------------


def _fed_columns(fold: OpenFold) -> Iterator[tuple[tuple[str, Column], Fed]]:
    """What feeds the columns of each output: what is stated, if lineage is; else what the column lineage says."""
    for run_id, name in {(key[0], key[2]) for key in fold.spans if key[1] == "output"}:
        at = min(span.first for key, span in fold.spans.items() if key[:3] == (run_id, "output", name))
        entries = fold.stated(run_id).get(name)
        if entries is None:
            told = columns_of(fold.said(("output", run_id, name), "columnLineage") or {})
        else:
            told = {key: steps for entry in entries for key, steps in columns_of(entry.body).items()}
        for (source, field, target_field), steps in told.items():
            yield (run_id, (source, field, name, target_field)), Fed(at, run_id, _how(steps))


def _how(steps: list[Json]) -> str:
    texts = sorted(msgspec.json.encode(msgspec.convert(step, Transformation)).decode() for step in steps)
    return f"[{','.join(texts)}]"


def _columns(fold: OpenFold, fed: Mapping[tuple[str, Column], Fed]) -> Iterator[tuple[object, ...]]:
    of_jobs: defaultdict[tuple[Name, Column], list[Fed]] = defaultdict(list)
    for (run_id, column), one in fed.items():
        of_jobs[fold.jobs[run_id], column].append(one)
    declared: defaultdict[tuple[Name, Column], list[Fed]] = defaultdict(list)
    for event in fold.events:
        for column, how in _declared_columns(event):
            declared[event.job, column].append(Fed(event.at, "", how))
    for key in of_jobs.keys() | declared.keys():
        job, (source, field, target, target_field) = key
        runs, said = of_jobs.get(key, []), declared.get(key, [])
        last = max(runs) if runs else None
        yield (
            source,
            field,
            *(job if job != NOBODY else (None, None)),
            target,
            target_field,
            last.how if last else max(one.how for one in said),
            micros(min(one.at for one in (*runs, *said))),
            micros(last.at if last else min(one.at for one in said)),
            len(runs),
            last.run_id if last else "",
            micros(min(one.at for one in said)) if said else None,
        )


def _declared_columns(event: Event) -> Iterator[tuple[Column, str]]:
    if event.run_id:
        return
    entries = _entries_of(event)
    for entry in entries:
        if entry.target:
            for (source, field, target_field), steps in columns_of(entry.body).items():
                yield (source, field, entry.target, target_field), _how(steps)
    if _said(event.job_facets, "lineage") is not None:
        return  # it says of all outputs what feeds them
    for one in [event.dataset] if event.dataset else event.outputs:
        if _said(one.facets, "lineage") is None:
            for (source, field, target_field), steps in columns_of(_said(one.facets, "columnLineage") or {}).items():
                yield (source, field, one.name, target_field), _how(steps)


def _entries_of(event: Event) -> list[Entry]:
    if event.dataset is None:
        return event.stated
    return entries_of_dataset(_said(event.dataset.facets, "lineage"), event.dataset.name, NOBODY)


# --- jobs, changes and names ------------------------------------------------------------------------------------------


def _links(fold: OpenFold) -> Iterator[tuple[object, ...]]:
    """Jobs that feed jobs: as runs tell, and as is declared."""
    found: dict[tuple[str, Name, Name], datetime] = {}

    def tie(run_id: str, ends: Iterable[tuple[Name, Name]], at: datetime) -> None:
        for source, target in ends:
            if source != target:
                found[run_id, source, target] = min(found.get((run_id, source, target), at), at)

    for run_id, own in fold.jobs.items():
        facets = fold.facets.get(("run", run_id, NOBODY), {})
        if facet := facets.get("job.lineage"):
            tie(run_id, _links_between(entries_of_job(facet.said, own)), facet.at)
        if facet := facets.get("jobDependencies"):
            tie(run_id, links_of(facet.said, own), facet.at)
    for event in fold.events:
        if not event.run_id and not event.dataset:
            tie("", _links_between(event.stated), event.at)
    for (run_id, source, target), at in found.items():
        yield run_id, *source, *target, micros(at)


def _links_between(entries: Iterable[Entry]) -> Iterator[tuple[Name, Name]]:
    return ((job, entry.job) for entry in entries if not entry.target for job in entry.source_jobs)


def lifecycle_of(events: Iterable[Event]) -> set[Change]:
    """What happened to tables; of two names before one change the greater counts."""
    found: dict[tuple[Name, datetime, str, str], Name | None] = {}
    for event in events:
        for one in event.data:
            told = _said(one.facets, "lifecycleStateChange")
            if told is not None:
                before = name_of(cast("Json", told["previousIdentifier"])) if "previousIdentifier" in told else None
                key = one.name, event.at, str(told["lifecycleStateChange"]), event.run_id
                found[key] = max(filter(None, (found.get(key), before)), default=None)
    return {Change(*key, before) for key, before in found.items()}


def aliases_of(events: Iterable[Event]) -> dict[Name, set[Name]]:
    """The other names of tables; what was taken back is gone with all that came before."""
    told: defaultdict[Name, dict[Name, datetime]] = defaultdict(dict)
    until: dict[Name, datetime] = {}
    for event in events:
        for one in event.data:
            facet = one.facets.get("symlinks")
            if facet and facet.is_gone:
                until[one.name] = max(until.get(one.name, event.at), event.at)
            for link in objects(((facet.said if facet else None) or {}).get("identifiers")):
                known = told[one.name]
                known[name_of(link)] = max(known.get(name_of(link), event.at), event.at)
    return defaultdict(
        set,
        {
            name: {link for link, at in links.items() if link != name and (name not in until or at > until[name])}
            for name, links in told.items()
        },
    )


def groups_of(events: Iterable[Event], tables: Iterable[Name]) -> list[tuple[set[Name], set[Name]]]:
    """The tables that are one thing, because they share a name, with all names that they have."""
    aliases, left = aliases_of(events), set(tables)
    groups: list[tuple[set[Name], set[Name]]] = []
    while left:
        first = left.pop()
        group, names = {first}, {first, *aliases[first]}
        while near := {table for table in left if names & {table, *aliases[table]}}:
            left -= near
            group |= near
            names |= {name for table in near for name in (table, *aliases[table])}
        groups.append((group, names))
    return groups


def _groups(events: Iterable[Event], tables: Iterable[Name]) -> Iterator[tuple[Name, Name]]:
    for group, _ in groups_of(events, tables):
        if len(group) > 1:
            shown = min(group, key=lambda name: ("://" in name[0] or name[0] == "file", name))
            yield from ((table, shown) for table in group)


def _facets(fold: OpenFold) -> Iterator[tuple[object, ...]]:
    for (kind, run_id, subject), facets in fold.facets.items():
        for name, facet in facets.items() if run_id else ():
            table = subject if subject != NOBODY else None
            yield kind, run_id, table, name, micros(facet.at), facet.digest, canonical(facet.value)


def _said(facets: Mapping[str, Facet], name: str) -> Json | None:
    facet = facets.get(name)
    return None if facet is None else facet.said
