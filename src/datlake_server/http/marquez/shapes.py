"""What Marquez's API answers with, field by field as its clients read it; a field without a value is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

Facets: TypeAlias = dict[str, Raw]
Text: TypeAlias = str | UnsetType
Moment: TypeAlias = datetime | UnsetType
RunState = Literal["NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"]
DatasetType = Literal["DB_TABLE", "STREAM"]
JobType = Literal["BATCH", "STREAM", "SERVICE"]
NodeType = Literal["JOB", "DATASET"]


class Shape(Struct, frozen=True, kw_only=True, rename="camel"):
    """Anything that is answered."""


class Id(Shape, frozen=True, order=True):
    """The name of a dataset or job."""

    namespace: str
    name: str


class VersionId(Shape, frozen=True):
    """The name of one version of a dataset or job; a dataset's may be unknown."""

    namespace: str
    name: str
    version: Text = UNSET


class Namespace(Shape, frozen=True):
    """A namespace, and who owns it."""

    name: str
    created_at: datetime
    updated_at: datetime
    owner_name: str
    description: Text = UNSET


class Source(Shape, frozen=True):
    """A store of datasets."""

    type: str
    name: str
    created_at: datetime
    updated_at: datetime
    connection_url: str
    description: Text = UNSET


class Tag(Shape, frozen=True):
    """A label that datasets, their fields and jobs may have."""

    name: str
    description: Text = UNSET


class Field(Shape, frozen=True):
    """A column of a dataset."""

    name: str
    type: str
    tags: list[str]
    description: Text = UNSET


class InputField(Shape, frozen=True):
    """A column that feeds another, and how."""

    namespace: str
    dataset: str
    field: str
    dataset_version: Text = UNSET
    transformation_description: Text = UNSET
    transformation_type: Text = UNSET


class FieldLineage(Shape, frozen=True):
    """The columns that feed the column `name`."""

    name: str
    input_fields: list[InputField]


class Dataset(Shape, frozen=True):
    """A table."""

    id: Id
    type: DatasetType
    name: str
    physical_name: str
    created_at: datetime
    updated_at: datetime
    namespace: str
    source_name: str
    fields: list[Field]
    tags: list[str]
    facets: Facets
    deleted: bool
    last_modified_at: Moment = UNSET
    last_lifecycle_state: Text = UNSET
    description: Text = UNSET
    current_version: Text = UNSET
    column_lineage: list[FieldLineage] | UnsetType = UNSET


class DataVersion(Shape, frozen=True):
    """A snapshot that a run read or wrote, and what was told of it in that run."""

    dataset_version_id: VersionId
    facets: Facets


class Run(Shape, frozen=True):
    """A run."""

    id: str
    created_at: datetime
    updated_at: datetime
    state: RunState
    args: dict[str, str]
    job_version: VersionId
    input_dataset_versions: list[DataVersion]
    output_dataset_versions: list[DataVersion]
    facets: Facets
    nominal_start_time: Moment = UNSET
    nominal_end_time: Moment = UNSET
    started_at: Moment = UNSET
    ended_at: Moment = UNSET
    duration_ms: int | UnsetType = UNSET


class DatasetVersion(Shape, frozen=True):
    """A snapshot of a table."""

    id: VersionId
    type: DatasetType
    name: str
    physical_name: str
    created_at: datetime
    version: str
    namespace: str
    source_name: str
    fields: list[Field]
    description: str
    facets: Facets
    # Left out where there are none: their document says that they are one text, their server answers a list.
    tags: list[str] | UnsetType = UNSET
    lifecycle_state: Text = UNSET
    created_by_run: Run | UnsetType = UNSET


class Job(Shape, frozen=True):
    """A job."""

    id: Id
    type: JobType
    name: str
    simple_name: str
    created_at: datetime
    updated_at: datetime
    namespace: str
    inputs: list[Id]
    outputs: list[Id]
    context: dict[str, str]
    tags: list[str]
    latest_runs: list[Run]
    facets: Facets
    current_version: str
    parent_job_name: Text = UNSET
    location: Text = UNSET
    description: Text = UNSET
    latest_run: Run | UnsetType = UNSET


class JobVersion(Shape, frozen=True):
    """A job as it was in some of its runs: what it read and wrote."""

    id: VersionId
    name: str
    version: str
    created_at: datetime
    namespace: str
    inputs: list[Id]
    outputs: list[Id]
    context: dict[str, str]
    facets: Facets
    location: Text = UNSET
    latest_run: Run | UnsetType = UNSET


class Edge(Shape, frozen=True):
    """A step in a graph, by the ids of its nodes."""

    origin: str
    destination: str


class ColumnData(Shape, frozen=True):
    """A column in a graph, and the columns that feed it."""

    namespace: str
    dataset: str
    field: str
    input_fields: list[InputField]
    dataset_version: Text = UNSET
    field_type: Text = UNSET


class Node(Shape, frozen=True):
    """A node of a graph, with its edges."""

    id: str
    type: NodeType
    data: Job | Dataset | ColumnData
    in_edges: list[Edge]
    out_edges: list[Edge]


class Graph(Shape, frozen=True):
    """Nodes by their ids."""

    graph: list[Node]


class RunSummary(Shape, frozen=True):
    """A run in short."""

    id: str
    status: RunState
    start: Moment = UNSET
    end: Moment = UNSET


class ReadVersion(Shape, frozen=True):
    """A snapshot that a run read, and the run that made it."""

    namespace: str
    name: str
    version: Text = UNSET
    produced_by_run_id: Text = UNSET


class UpstreamRun(Shape, frozen=True):
    """A run on the way to another, with what it read."""

    job: VersionId
    run: RunSummary
    inputs: list[ReadVersion]


class SearchResult(Shape, frozen=True):
    """A dataset or job that was found."""

    type: Literal["DATASET", "JOB"]
    name: str
    updated_at: datetime
    namespace: str
    node_id: str
