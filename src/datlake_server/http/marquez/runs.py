"""Runs as Marquez shows them. A run that is presumed lost is running there: nobody told of an end."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import UNSET, Struct

from datlake_sdk.errors import NotFound
from datlake_sdk.lineage.ids import run_id_of
from datlake_sdk.wire.times import moment
from datlake_server.http.marquez import facets
from datlake_server.http.marquez.shapes import DataVersion, Facets, Id, Run, RunState, Text, VersionId
from datlake_server.http.marquez.versions import Content, content

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datlake_server.http.marquez.asking import Ask
    from datlake_server.store.base import Tx

# What a run is shown to read and write at most.
DATA_PER_RUN: Final = 1000
_STATES: Final[dict[str, RunState]] = {"completed": "COMPLETED", "failed": "FAILED", "aborted": "ABORTED"}


class RunRow(Struct, frozen=True):
    """A run as it is stored; `is_started` where its start was told."""

    run_id: str
    job_id: int
    namespace: str
    name: str
    state: str
    started_at: int
    ended_at: int | None
    last_seen_at: int
    parent_name: str | None
    is_started: int

    @property
    def shown_state(self) -> RunState:
        """The state in Marquez's words."""
        return _STATES.get(self.state, "RUNNING" if self.is_started else "NEW")

    @property
    def job(self) -> Id:
        """The name of its job."""
        return Id(namespace=self.namespace, name=self.name)


class _Data(Struct, frozen=True):
    run_id: str
    role: Literal["input", "output"]
    table_id: int
    namespace: str
    name: str
    whole_namespace: str  # of the table that stands for all that are the same
    whole_name: str
    snapshot_id: str

    @property
    def whole(self) -> Id:
        return Id(namespace=self.whole_namespace, name=self.whole_name)


class _Facet(Struct, frozen=True):
    kind: str
    run_id: str
    subject: int
    name: str
    value: str


class _Metadata(Struct, frozen=True):
    run_id: str
    key: str
    value: str


class Told(Struct, frozen=True):
    """What hangs on runs, by their ids."""

    data: Mapping[str, list[_Data]]
    facets: Mapping[tuple[str, str, int], Facets]
    args: Mapping[str, dict[str, str]]
    locations: Mapping[int, Text]

    def content_of(self, run_id: str) -> Content:
        """What the run makes a version of its job of."""
        data = self.data.get(run_id, [])
        inputs = [one.whole for one in data if one.role == "input"]
        return content(inputs, [one.whole for one in data if one.role == "output"])


def get(tx: Tx, ask: Ask) -> Run:
    """The run that the path names, by its id or by what its producer calls it."""
    return runs_of(tx, [known(tx, ask.names["id"]).run_id])[0]


def facets_of(tx: Tx, ask: Ask) -> dict[str, object]:
    """The facets of the run, or of its job."""
    run = known(tx, ask.names["id"])
    kind = ask.one_of("type", {"run": "run", "job": "job"})
    if kind == "job":
        return {"runId": run.run_id, "facets": facets.of_subjects(tx, "job", [run.job_id])[run.job_id]}
    return {"runId": run.run_id, "facets": told_of(tx, [run]).facets.get(("run", run.run_id, 0), {})}


def known(tx: Tx, run_id: str) -> RunRow:
    """The run of that id. Raises `NotFound`."""
    found = rows_of(tx, [run_id_of(run_id)])
    if not found:
        raise NotFound(f"there is no run {run_id}", code="run_not_found", run_id=run_id)
    return found[0]


def rows_of(tx: Tx, run_ids: Sequence[str]) -> list[RunRow]:
    """The runs of these ids in the order given; those that are not there are left out."""
    rows = {row.run_id: row for row in tx.all(RunRow, "marquez.runs", run_ids=_json(run_ids))}
    return [rows[run_id] for run_id in run_ids if run_id in rows]


def runs_of(tx: Tx, run_ids: Sequence[str]) -> list[Run]:
    """The runs of these ids, whole, in the order given."""
    rows = rows_of(tx, run_ids)
    told = told_of(tx, rows)
    return [whole(row, told) for row in rows]


def told_of(tx: Tx, rows: Sequence[RunRow]) -> Told:
    """What hangs on these runs; a handful of statements however many they are."""
    run_ids = _json([row.run_id for row in rows])
    data: defaultdict[str, list[_Data]] = defaultdict(list)
    for item in tx.all(_Data, "marquez.data_of_runs", run_ids=run_ids, most=DATA_PER_RUN):
        data[item.run_id].append(item)
    found: defaultdict[tuple[str, str, int], Facets] = defaultdict(dict)
    for facet in tx.all(_Facet, "marquez.facets_of_runs", run_ids=run_ids):
        found[facet.kind, facet.run_id, facet.subject][facet.name] = facets.raw(facet.value)
    args: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for one in tx.all(_Metadata, "marquez.metadata_of_runs", run_ids=run_ids):
        args[one.run_id][one.key] = facets.shown(msgspec.json.decode(one.value))
    jobs = facets.of_subjects(tx, "job", {row.job_id for row in rows})
    return Told(data, found, args, {job_id: facets.location(own) for job_id, own in jobs.items()})


def whole(row: RunRow, told: Told) -> Run:
    """The run with all that hangs on it."""
    own = told.facets.get(("run", row.run_id, 0), {})
    version = told.content_of(row.run_id).id_for(row.job, told.locations.get(row.job_id, UNSET))
    data = told.data.get(row.run_id, [])
    args = told.args.get(row.run_id, {}) | facets.texts(facets.said(own, facets.RUN).get("args"))
    return msgspec.structs.replace(
        brief(row, version),
        args=args,
        input_dataset_versions=[_data_version(one, told) for one in data if one.role == "input"],
        output_dataset_versions=[_data_version(one, told) for one in data if one.role == "output"],
        facets=own,
        nominal_start_time=facets.moment_of(own, "nominalTime", "nominalStartTime"),
        nominal_end_time=facets.moment_of(own, "nominalTime", "nominalEndTime"),
    )


def brief(row: RunRow, job_version: Text = UNSET) -> Run:
    """The run without what hangs on it."""
    state = row.shown_state
    return Run(
        id=row.run_id,
        created_at=moment(row.started_at),
        updated_at=moment(row.last_seen_at if row.ended_at is None else row.ended_at),
        state=state,
        args={},
        job_version=VersionId(namespace=row.namespace, name=row.name, version=job_version),
        input_dataset_versions=[],
        output_dataset_versions=[],
        facets={},
        started_at=UNSET if state == "NEW" else moment(row.started_at),
        ended_at=UNSET if row.ended_at is None else moment(row.ended_at),
        duration_ms=UNSET if row.ended_at is None else max(row.ended_at - row.started_at, 0) // 1000,
    )


def _data_version(data: _Data, told: Told) -> DataVersion:
    own = told.facets.get((data.role, data.run_id, data.table_id), {})
    return DataVersion(
        dataset_version_id=VersionId(namespace=data.namespace, name=data.name, version=data.snapshot_id or UNSET),
        facets={name: value for name, value in own.items() if name not in facets.OF_DATASET},
    )


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
