"""Jobs and their versions as Marquez shows them: with all that their runs have read and written."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import UNSET, Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.wire.times import moment
from datlake_server.http.marquez import facets, labels, namespaces, runs
from datlake_server.http.marquez.shapes import Facets, Id, Job, JobVersion, Run, Text, VersionId
from datlake_server.http.marquez.versions import Content, content

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.http.marquez.runs import RunRow
    from datlake_server.store.base import Tx

LATEST_RUNS: Final = 10
# Of so many runs the versions of a job are told.
RUNS_LOOKED_AT: Final = 200
# What the jobs of one answer are shown to read and write at most.
_DATA: Final = 20_000


class JobRow(Struct, frozen=True):
    """A job as it is stored."""

    job_id: int
    namespace: str
    name: str
    created_at: int
    description: str | None

    @property
    def id(self) -> Id:
        """Its name."""
        return Id(namespace=self.namespace, name=self.name)


class JobData(Struct, frozen=True):
    """A table that a job has read or written; a hidden one is part of what the job is, and not shown."""

    job_id: int
    role: Literal["input", "output"]
    table_id: int
    namespace: str
    name: str
    first_seen: int
    is_shown: int

    @property
    def id(self) -> Id:
        """Its name."""
        return Id(namespace=self.namespace, name=self.name)


class _Number(Struct, frozen=True):
    n: int


class _RunId(Struct, frozen=True):
    run_id: str


class _Latest(Struct, frozen=True):
    job_id: int
    run_id: str


class Around(Struct, frozen=True):
    """What is known around some jobs, by their numbers."""

    data: Mapping[int, list[JobData]]
    facets: Mapping[int, Facets]
    labels: Mapping[int, dict[str, list[str]]]
    latest: Mapping[int, list[RunRow]]
    whole: Mapping[str, Run]

    def content_of(self, job_id: int) -> Content:
        """All that the job has read and written."""
        data = self.data.get(job_id, [])
        inputs = [one.id for one in data if one.role == "input"]
        return content(inputs, [one.id for one in data if one.role == "output"])

    def shown(self, job_id: int, role: Literal["input", "output"]) -> list[Id]:
        """The tables that the job is shown to read or write."""
        return [one.id for one in self.data.get(job_id, []) if one.role == role and one.is_shown]


def get(tx: Tx, ask: Ask) -> Job:
    """The job that the path names."""
    return jobs_of(tx, [row_of(tx, ask)])[0]


def of_namespace(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the namespace's jobs by name."""
    namespace = namespaces.row(tx, ask.names["namespace"]).name
    window = ask.window()
    rows = tx.all(JobRow, "marquez.jobs_of_namespace", namespace=namespace, limit=window.limit, offset=window.offset)
    count = tx.one(_Number, "marquez.count_jobs", namespace=namespace)
    return {"jobs": jobs_of(tx, rows), "totalCount": count.n if count else 0}


def everywhere(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of all jobs by namespace and name."""
    window = ask.window()
    rows = tx.all(JobRow, "marquez.all_jobs", limit=window.limit, offset=window.offset)
    count = tx.one(_Number, "marquez.count_all_jobs")
    return {"jobs": jobs_of(tx, rows), "totalCount": count.n if count else 0}


def runs_of_job(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the job's runs, the latest start first."""
    row, window = row_of(tx, ask), ask.window()
    found = tx.all(_RunId, "marquez.runs_of_job", job_id=row.job_id, limit=window.limit, offset=window.offset)
    count = tx.one(_Number, "marquez.count_runs", job_id=row.job_id)
    return {"runs": runs.runs_of(tx, [one.run_id for one in found]), "totalCount": count.n if count else 0}


def delete(tx: Tx, ask: Ask) -> Job:
    """The job as it was; it is hidden until something is told of it again."""
    found = get(tx, ask)
    tx.do("marquez.hide", namespace=found.namespace, name=found.name, kind="job", now=tx.now)
    return found


def version(tx: Tx, ask: Ask) -> JobVersion:
    """The version that the path names."""
    wanted = ask.names["version"].lower()
    for found in _versions(tx, row_of(tx, ask)):
        if found.version == wanted:
            return found
    raise NotFound(f"job {ask.names['job']!r} has no version {wanted}")


def versions(tx: Tx, ask: Ask) -> dict[str, object]:
    """A page of the job's versions, that of today first."""
    found, window = _versions(tx, row_of(tx, ask)), ask.window()
    return {"versions": found[window.offset : window.offset + window.limit], "totalCount": len(found)}


def row_of(tx: Tx, ask: Ask) -> JobRow:
    """The job that the path names. Raises `NotFound`, also where its namespace is not there."""
    namespace = namespaces.row(tx, ask.names["namespace"]).name
    return known(tx, namespace, ask.names["job"])


def known(tx: Tx, namespace: str, name: str) -> JobRow:
    """The job of that name. Raises `NotFound`."""
    found = tx.one(JobRow, "marquez.job", namespace=namespace, name=name)
    if found is None:
        raise NotFound(f"there is no job {name!r} in namespace {namespace!r}", code="job_not_found")
    return found


def jobs_of(tx: Tx, rows: Sequence[JobRow], latest: int = LATEST_RUNS) -> list[Job]:
    """The jobs of these rows, each with so many of its latest runs."""
    around = around_of(tx, [row.job_id for row in rows], latest)
    return [_job(row, around) for row in rows]


def around_of(tx: Tx, job_ids: Sequence[int], latest: int) -> Around:
    """What is known around these jobs; a handful of statements however many they are."""
    newest = _latest_runs(tx, job_ids, latest)
    first = [found[0].run_id for found in newest.values()]
    return Around(
        data=data_of(tx, job_ids),
        facets=facets.of_subjects(tx, "job", job_ids),
        labels=labels.of(tx, "job", job_ids),
        latest=newest,
        whole={run.id: run for run in runs.runs_of(tx, first)},
    )


def data_of(tx: Tx, job_ids: Iterable[int]) -> defaultdict[int, list[JobData]]:
    """What these jobs have read and written, by their numbers."""
    found: defaultdict[int, list[JobData]] = defaultdict(list)
    wanted = msgspec.json.encode(sorted(job_ids)).decode()
    for row in tx.all(JobData, "marquez.data_of_jobs", job_ids=wanted, limit=_DATA):
        found[row.job_id].append(row)
    return found


def _latest_runs(tx: Tx, job_ids: Sequence[int], count: int) -> dict[int, list[RunRow]]:
    wanted = msgspec.json.encode(job_ids).decode()
    places = tx.all(_Latest, "marquez.latest_runs", job_ids=wanted, count=count)
    rows = {row.run_id: row for row in runs.rows_of(tx, [place.run_id for place in places])}
    found: defaultdict[int, list[RunRow]] = defaultdict(list)
    for place in places:
        found[place.job_id].append(rows[place.run_id])
    return dict(found)


def _job(row: JobRow, around: Around) -> Job:
    own = around.facets.get(row.job_id, {})
    latest = around.latest.get(row.job_id, [])
    parent = next((run.parent_name for run in latest if run.parent_name), None)
    told = around.labels.get(row.job_id, {})
    newest = max((run.ended_at or run.started_at for run in latest), default=0)
    return Job(
        id=row.id,
        type=facets.job_type(own),
        name=row.name,
        simple_name=row.name if parent is None else row.name.removeprefix(f"{parent}."),
        created_at=moment(row.created_at),
        updated_at=moment(max(row.created_at, newest)),
        namespace=row.namespace,
        inputs=around.shown(row.job_id, "input"),
        outputs=around.shown(row.job_id, "output"),
        context=facets.context(own),
        tags=told.get("", []),
        latest_runs=[runs.brief(run) for run in latest],
        facets=own,
        current_version=around.content_of(row.job_id).id_for(row.id, facets.location(own)),
        parent_job_name=parent or UNSET,
        location=facets.location(own),
        description=row.description or facets.text_of(own, "documentation", "description"),
        latest_run=around.whole[latest[0].run_id] if latest else UNSET,
    )


class _Seen(Struct):
    """A version that some runs had: what it is made of, since when, and the latest of them."""

    content: Content
    at: int
    run_id: str | None


def _versions(tx: Tx, row: JobRow) -> list[JobVersion]:
    """What the job is today, then what it was in its latest runs, newest first."""
    found = tx.all(_RunId, "marquez.runs_of_job", job_id=row.job_id, limit=RUNS_LOOKED_AT, offset=0)
    rows = runs.rows_of(tx, [one.run_id for one in found])
    told = runs.told_of(tx, rows)
    around = around_of(tx, [row.job_id], 0)
    own = around.facets.get(row.job_id, {})
    place = facets.location(own)
    today = around.content_of(row.job_id)
    since = max((one.first_seen for one in around.data.get(row.job_id, [])), default=row.created_at)
    seen = {today.id_for(row.id, place): _Seen(today, since, None)}
    for run in rows:
        made_of = told.content_of(run.run_id)
        known_one = seen.setdefault(made_of.id_for(row.id, place), _Seen(made_of, run.started_at, run.run_id))
        known_one.at = run.started_at
        known_one.run_id = known_one.run_id or run.run_id
    latest = {run.id: run for run in runs.runs_of(tx, [one.run_id for one in seen.values() if one.run_id])}
    return [_version(row, version_id, one, own, latest) for version_id, one in seen.items()]


def _version(row: JobRow, version_id: str, seen: _Seen, own: Facets, latest: Mapping[str, Run]) -> JobVersion:
    place: Text = facets.location(own)
    return JobVersion(
        id=VersionId(namespace=row.namespace, name=row.name, version=version_id),
        name=row.name,
        version=version_id,
        created_at=moment(seen.at),
        namespace=row.namespace,
        inputs=list(seen.content.inputs),
        outputs=list(seen.content.outputs),
        context=facets.context(own),
        facets=own,
        location=place,
        latest_run=latest.get(seen.run_id or "", UNSET),
    )
