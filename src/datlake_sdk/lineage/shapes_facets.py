"""The shapes of OpenLineage's 38 standard facets, by the entity that carries them; written after the specification.

`shapes_events` puts them where they belong. What all facets have (`_producer`, `_schemaURL`) is added by `_facet`. The
newest version of each is meant: it takes what older ones took, but for keys that were renamed (`"new|old"`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datlake_sdk.lineage.shapes import (
    NUMBER,
    OBJECT,
    POSITIVE,
    TEXT,
    TIME,
    TRUTH,
    URI,
    UUID,
    WHOLE,
    ByType,
    Later,
    ListOf,
    Object,
    mapping,
    one_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_sdk.lineage.shapes import Shape

_BASE: Final[dict[str, Shape]] = {"_producer": URI, "_schemaURL": URI}


def _facet(required: Mapping[str, Shape] | None = None, **optional: Shape) -> Object:
    return Object({**_BASE, **(required or {})}, optional)


ANY_FACET: Final = _facet()
_NAMED: Final[dict[str, Shape]] = {"namespace": TEXT, "name": TEXT}
JOB_NAME: Final = Object(_NAMED)
RUN_ID: Final = Object({"runId": UUID})

# --- what several have ------------------------------------------------------------------------------------------------

_documentation: Final = _facet({"description": TEXT}, contentType=TEXT)
_ownership: Final = _facet(owners=ListOf(Object({"name": TEXT}, {"type": TEXT})))
_tag: Final[dict[str, Shape]] = {"key": TEXT, "value": TEXT}
_tags: Final = _facet(tags=ListOf(Object(_tag, {"source": TEXT})))
_statistics: Final = _facet(rowCount=WHOLE, size=WHOLE, fileCount=WHOLE)
_checked: Final[dict[str, Shape]] = {
    "severity": TEXT,
    "description": TEXT,
    "expected": TEXT,
    "actual": TEXT,
    "content": TEXT,
    "contentType": TEXT,
    "params": OBJECT,
}

# --- lineage, between columns and explicit ----------------------------------------------------------------------------

_transformations: Final = ListOf(Object({"type": TEXT}, {"subtype": TEXT, "description": TEXT, "masking": TRUTH}))
_column: Final = Object({**_NAMED, "field": TEXT}, {"transformations": _transformations})
_columns: Final = mapping(
    Object({"inputFields": ListOf(_column)}, {"transformationDescription": TEXT, "transformationType": TEXT})
)
# A job that is named by nothing is the event's own.
_job: Final[dict[str, Shape]] = {**_NAMED, "runId": UUID}
_named_together: Final = ("namespace", "name")
_sources: Final = ListOf(
    ByType(
        {
            "DATASET": Object(_NAMED, {"field": TEXT, "transformations": _transformations}),
            "JOB": Object(optional={**_job, "transformations": _transformations}, together=_named_together),
        }
    )
)
_fields: Final = mapping(Object({"inputs": _sources}))
_targets: Final = ListOf(
    ByType(
        {
            "DATASET": Object(_NAMED, {"inputs": _sources, "fields": _fields}),
            "JOB": Object(optional={**_job, "inputs": _sources}, together=_named_together),
        }
    )
)

# --- subsets ----------------------------------------------------------------------------------------------------------

_compared: Final = ByType({"field": Object({"field": TEXT}), "literal": Object({"value": TEXT})})
_condition: Final = Later(lambda: _conditions)
_conditions: Final[Shape] = ByType(
    {
        "location": Object({"locations": ListOf(TEXT)}),
        "partition": Object({"partitions": ListOf(Object({"dimensions": OBJECT}, {"identifier": TEXT}))}),
        "binary": Object({"left": _condition, "right": _condition, "operator": TEXT}),
        "compare": Object({"left": _compared, "right": _compared, "comparison": TEXT}),
    }
)

# --- by entity --------------------------------------------------------------------------------------------------------

_schema_field: Final = Later(lambda: _schema_fields)
_schema_fields: Final[Shape] = Object(
    {"name": TEXT},
    {"type": TEXT, "description": TEXT, "ordinal_position": WHOLE, "fields": ListOf(_schema_field)},
)
_any_run: Final = Object({"runId": UUID}, {"facets": mapping(ANY_FACET)})
_any_job: Final = Object(_NAMED, {"facets": mapping(ANY_FACET)})
_dependencies: Final = ListOf(
    Object(
        {"job": JOB_NAME},
        {"run": RUN_ID, "dependency_type": TEXT, "sequence_trigger_rule": TEXT, "status_trigger_rule": TEXT},
    )
)
_metrics: Final = mapping(
    Object(
        optional={
            "nullCount": WHOLE,
            "distinctCount": WHOLE,
            "sum": NUMBER,
            "count": NUMBER,
            "min": NUMBER,
            "max": NUMBER,
            "quantiles": mapping(NUMBER),
        }
    )
)

RUN_FACETS: Final[dict[str, Object]] = {
    "environmentVariables": _facet({"environmentVariables": ListOf(Object({"name": TEXT, "value": TEXT}))}),
    "errorMessage": _facet({"message": TEXT, "programmingLanguage": TEXT}, stackTrace=TEXT),
    "executionParameters": _facet(
        parameters=ListOf(Object({"key": TEXT}, {"name": TEXT, "description": TEXT, "value": TEXT}, is_closed=True))
    ),
    "externalQuery": _facet({"externalQueryId": TEXT, "source": TEXT}),
    "extractionError": _facet(
        {
            "totalTasks|totalElements": WHOLE,
            "failedTasks|failedElements": WHOLE,
            "errors": ListOf(Object({"errorMessage": TEXT}, {"stackTrace": TEXT, "task": TEXT, "taskNumber": WHOLE})),
        }
    ),
    "jobDependencies": _facet(upstream=_dependencies, downstream=_dependencies, trigger_rule=TEXT),
    "nominalTime": _facet({"nominalStartTime": TIME}, nominalEndTime=TIME),
    "parent": _facet({"run": _any_run, "job": _any_job}, root=Object({"run": _any_run, "job": _any_job})),
    "processing_engine": _facet({"version|engine_version": TEXT}, name=TEXT, openlineageAdapterVersion=TEXT),
    "tags": _tags,
    "test": _facet({"tests": ListOf(Object({"name": TEXT, "status": TEXT}, {**_checked, "type": TEXT}))}),
}

JOB_FACETS: Final[dict[str, Object]] = {
    "documentation": _documentation,
    "jobType": _facet(
        {"processingType": TEXT, "integration": TEXT},
        jobType=TEXT,
        emissionPattern=Object({"eventTrigger": TEXT, "eventContentMode": TEXT}, {"windowDuration": POSITIVE}),
    ),
    "lineage": _facet({"entries": _targets}),
    "ownership": _ownership,
    "sourceCode": _facet({"language": TEXT, "sourceCode": TEXT}),
    "sourceCodeLocation": _facet(
        {"type": TEXT, "url": URI},
        repoUrl=TEXT,
        path=TEXT,
        version=TEXT,
        tag=TEXT,
        branch=TEXT,
        pullRequestNumber=TEXT,
    ),
    "sql": _facet({"query": TEXT}, dialect=TEXT),
    "tags": _tags,
}

# Producers put some of them beside a dataset in general, some with what a run did with it: they are known in both.
DATASET_FACETS: Final[dict[str, Object]] = {
    "catalog": _facet(
        {"framework": TEXT, "type": TEXT, "name": TEXT},
        metadataUri=TEXT,
        warehouseUri=TEXT,
        source=TEXT,
        catalogProperties=mapping(TEXT),
    ),
    "columnLineage": _facet({"fields": _columns}, dataset=ListOf(_column)),
    "dataQualityAssertions": _facet(
        {
            "assertions": ListOf(
                Object({"assertion": TEXT, "success": TRUTH}, {**_checked, "column": TEXT, "name": TEXT})
            )
        }
    ),
    "dataQualityMetrics": _facet(
        {"columnMetrics": _metrics}, rowCount=WHOLE, bytes=WHOLE, fileCount=WHOLE, lastUpdated=TIME
    ),
    "dataSource": _facet(name=TEXT, uri=URI),
    "datasetType": _facet({"datasetType": TEXT}, subType=TEXT),
    "documentation": _documentation,
    "hierarchy": _facet({"hierarchy": ListOf(Object({"type": TEXT, "name": TEXT}))}),
    "inputStatistics": _statistics,
    "lifecycleStateChange": _facet(
        {"lifecycleStateChange": one_of("ALTER", "CREATE", "DROP", "OVERWRITE", "RENAME", "TRUNCATE")},
        previousIdentifier=Object(_NAMED),
    ),
    "lineage": _facet(inputs=_sources, fields=_fields),
    "outputStatistics": _statistics,
    "ownership": _ownership,
    "schema": _facet(fields=ListOf(_schema_fields)),
    "storage": _facet({"storageLayer": TEXT}, fileFormat=TEXT),
    "subset": Object(
        _BASE,
        {"inputCondition": _condition, "outputCondition": _condition},
        one_of=("inputCondition", "outputCondition"),
    ),
    "symlinks": _facet(identifiers=ListOf(Object({**_NAMED, "type": TEXT}))),
    "tags": _facet(tags=ListOf(Object(_tag, {"source": TEXT, "field": TEXT}))),
    "version": _facet({"datasetVersion": TEXT}),
}
