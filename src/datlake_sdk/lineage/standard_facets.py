"""OpenLineage's own facets of what Datlake knows: those of runs, jobs and data. Pure; `emit` puts them into events.

What the specification has no valid facet for is left out: a facet is whole or not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from datlake_sdk.lineage.naming import dataset_name
from datlake_sdk.lineage.own_facets import PRODUCER
from datlake_sdk.wire.ids import quoted
from datlake_sdk.wire.models import Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datlake_sdk.wire.models import DatasetName, Run, RunError, Snapshot, Tag

Facet = dict[str, object]
Facets = dict[str, object]

_SCHEMAS: Final = {
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "parent": "1-2-0/ParentRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "sourceCodeLocation": "1-1-0/SourceCodeLocationJobFacet",
    "storage": "1-0-1/StorageDatasetFacet",
    "symlinks": "1-0-1/SymlinksDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
}
# Those of which jobs, runs and datasets have one each.
_KINDS: Final = {
    "documentation": "1-1-0/Documentation{}Facet",
    "ownership": "1-0-1/Ownership{}Facet",
    "tags": "1-0-0/Tags{}Facet",
}
_LAYERS: Final = frozenset({"delta", "hudi", "iceberg", "paimon"})


class Ancestor(Struct, frozen=True, kw_only=True):
    """A run that started another, or that started the first of them, and the job it is of."""

    run_id: str
    namespace: str
    job_name: str


class State(Struct, frozen=True, kw_only=True):
    """What is known of a dataset at one moment. `uri` is where this state is, `location` where the table is."""

    version: str | None = None
    uri: str | None = None
    location: str | None = None
    format: str | None = None
    fields: Sequence[Field] = ()


class _Transformation(Struct, frozen=True):
    type: str
    subtype: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    masking: bool | msgspec.UnsetType = msgspec.UNSET


class _InputField(Struct, frozen=True):
    namespace: str
    name: str
    field: str
    transformations: list[_Transformation] | msgspec.UnsetType = msgspec.UNSET


class _OutputField(Struct, frozen=True, rename="camel"):
    input_fields: list[_InputField]
    transformation_description: str | msgspec.UnsetType = msgspec.UNSET
    transformation_type: str | msgspec.UnsetType = msgspec.UNSET


class _ColumnLineage(Struct, frozen=True):
    fields: dict[str, _OutputField]
    dataset: list[_InputField] | msgspec.UnsetType = msgspec.UNSET


# --- runs and jobs ----------------------------------------------------------------------------------------------------


def of_run(run: Run, parent: Ancestor | None, root: Ancestor | None) -> Facets:
    """What OpenLineage has a facet for of a run."""
    facets = _named(parent=_parent(parent, root), processing_engine=_engine(run.environment), errorMessage=_error(run))
    return facets | _named_of("Run", tags=_tags(run.tags))


def of_job(run: Run) -> Facets:
    """What OpenLineage has a facet for of a run's job: its kind, and where its code is."""
    kind: Facet = {"processingType": "BATCH", "integration": "DATLAKE", "jobType": "JOB"}
    return _named(jobType=kind, sourceCodeLocation=_code(run.environment))


def of_people(kind: str, owner: str | None, description: str | None, tags: Iterable[Tag]) -> Facets:
    """What people said of a `Job` or `Dataset`."""
    return _named_of(
        kind,
        documentation=None if description is None else {"description": description},
        ownership=None if owner is None else {"owners": [{"name": owner}]},
        tags=_tags(tags),
    )


def _parent(parent: Ancestor | None, root: Ancestor | None) -> Facet | None:
    if parent is None:
        return None
    told = _ancestor(parent)
    return told if root is None else told | {"root": _ancestor(root)}


def _ancestor(run: Ancestor) -> Facet:
    return {"run": {"runId": run.run_id}, "job": {"namespace": run.namespace, "name": run.job_name}}


def _engine(environment: Mapping[str, object]) -> Facet | None:
    version, adapter = environment.get("python_version"), environment.get("datlake_version")
    if not isinstance(version, str):
        return None
    engine: Facet = {"name": "Python", "version": version}
    return engine | ({"openlineageAdapterVersion": adapter} if isinstance(adapter, str) else {})


def _error(run: Run) -> Facet | None:
    error = run.error
    if error is None:
        return None
    told: Facet = {"message": _message(error), "programmingLanguage": "PYTHON"}
    return told if error.traceback is None else told | {"stackTrace": error.traceback}


def _message(error: RunError) -> str:
    return f"{error.type}: {error.message}" if error.message else error.type


def _code(environment: Mapping[str, object]) -> Facet | None:
    """The commit, and the program's file: remotes, which may hold secrets, are not known."""
    commit, branch = environment.get("git_commit"), environment.get("git_branch")
    path = _program(environment.get("entry_point"), environment.get("working_directory"))
    if not isinstance(commit, str) or path is None:
        return None
    told: Facet = {"type": "git", "url": f"file://{'/'.join(map(quoted, path.split('/')))}", "version": commit}
    return told | ({"branch": branch} if isinstance(branch, str) else {})


def _program(entry_point: object, folder: object) -> str | None:
    if isinstance(entry_point, str) and entry_point.startswith("/"):
        return entry_point
    if not isinstance(folder, str) or not folder.startswith("/"):
        return None
    is_file = isinstance(entry_point, str) and entry_point.endswith(".py")
    return f"{folder.rstrip('/')}/{entry_point}" if is_file else folder


def _tags(tags: Iterable[Tag]) -> Facet | None:
    # A label without a value says that it is there: producers write `true`.
    told = [
        {"key": tag.key, "value": "true" if tag.value is None else tag.value}
        | ({} if tag.source is None else {"source": tag.source})
        | ({} if tag.field is None else {"field": tag.field})
        for tag in tags
    ]
    return {"tags": told} if told else None


# --- data -------------------------------------------------------------------------------------------------------------


def of_data(name: DatasetName, state: State) -> Facets:
    """What OpenLineage has a facet for of a dataset."""
    place = state.location or state.uri
    return _named(
        schema=_schema(state.fields),
        version=None if state.version is None else {"datasetVersion": state.version},
        symlinks=None if place is None else _symlinks(name, place),
        storage=None if state.format is None else _storage(state.format, state.uri or ""),
    )


def of_output(snapshot: Snapshot | None, sources: Sequence[DatasetName] | None) -> Facets:
    """What else holds of an output: which column came from which, and what it was stated to be made from."""
    facets = _named(columnLineage=None if snapshot is None else column_lineage(snapshot.column_lineage))
    if sources is None:
        return facets
    inputs = [{"namespace": one.namespace, "name": one.name, "type": "DATASET"} for one in sources]
    return facets | {"lineage": _facet("1-0-0/LineageFacet", {"inputs": inputs}, "LineageDatasetFacet")}


def of_writing(rows: int | None, size_bytes: int | None) -> Facets:
    """What OpenLineage has an output facet for."""
    told = {"rowCount": rows, "size": size_bytes}
    return _named(outputStatistics={name: value for name, value in told.items() if value is not None} or None)


def column_lineage(body: Mapping[str, object] | None) -> Facet | None:
    """`body` without marks of its own, where it is as the specification has it."""
    if body is None:
        return None
    told = {name: value for name, value in body.items() if not name.startswith("_")}
    try:
        msgspec.convert(told, _ColumnLineage)
    except msgspec.ValidationError:
        return None
    return told


def _facet(schema: str, told: Facet, definition: str | None = None) -> Facet:
    url = f"https://openlineage.io/spec/facets/{schema}.json#/$defs/{definition or schema.rpartition('/')[2]}"
    return {"_producer": PRODUCER, "_schemaURL": url, **told}


def _schema(fields: Sequence[Field]) -> Facet | None:
    return {"fields": [_field(field) for field in fields]} if fields else None


def _field(field: Field) -> Facet:
    told: Facet = {"name": field.name, "type": field.type}
    return told | ({"fields": [_field(inner) for inner in field.fields]} if field.fields else {})


def _symlinks(own: DatasetName, uri: str) -> Facet | None:
    namespace, name = dataset_name(uri)
    if (namespace, name) == (own.namespace, own.name):
        return None
    return {"identifiers": [{"namespace": namespace, "name": name, "type": "LOCATION"}]}


def _storage(form: str, uri: str) -> Facet:
    """A table format is a layer of its own; a file's is the place it lies in."""
    if form.lower() in _LAYERS:
        return {"storageLayer": form.lower()}
    layer = dataset_name(uri)[0].partition(":")[0] if uri else ""
    return {"storageLayer": layer or "unknown", "fileFormat": form}


def _named(**facets: Facet | None) -> Facets:
    return {name: _facet(_SCHEMAS[name], told) for name, told in facets.items() if told is not None}


def _named_of(kind: str, **facets: Facet | None) -> Facets:
    return {name: _facet(_KINDS[name].format(kind), told) for name, told in facets.items() if told is not None}
