"""The shapes of OpenLineage's three events, core 2-0-2, whose run events take all that those of 1-x took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datlake_sdk.lineage.shapes import TEXT, TIME, URI, UUID, Facets, ListOf, Object, one_of
from datlake_sdk.lineage.shapes_facets import ANY_FACET, DATASET_FACETS, JOB_FACETS, RUN_FACETS

if TYPE_CHECKING:
    from datlake_sdk.lineage.shapes import Shape

_base: Final[dict[str, Shape]] = {"eventTime": TIME, "producer": URI, "schemaURL": URI}
_name: Final[dict[str, Shape]] = {"namespace": TEXT, "name": TEXT}
_of_a_run: Final = Facets(DATASET_FACETS, ANY_FACET)
_of_a_dataset: Final = Facets(DATASET_FACETS, ANY_FACET, is_deletable=True)

_run: Final = Object({"runId": UUID}, {"facets": Facets(RUN_FACETS, ANY_FACET)})
_job: Final = Object(_name, {"facets": Facets(JOB_FACETS, ANY_FACET, is_deletable=True)})
_dataset: Final = Object(_name, {"facets": _of_a_dataset})
_inputs: Final = ListOf(Object(_name, {"facets": _of_a_dataset, "inputFacets": _of_a_run}))
_outputs: Final = ListOf(Object(_name, {"facets": _of_a_dataset, "outputFacets": _of_a_run}))

RUN_EVENT: Final = Object(
    {**_base, "run": _run, "job": _job},
    {
        "eventType": one_of("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"),
        "inputs": _inputs,
        "outputs": _outputs,
    },
)
JOB_EVENT: Final = Object({**_base, "job": _job}, {"inputs": _inputs, "outputs": _outputs})
DATASET_EVENT: Final = Object({**_base, "dataset": _dataset})
NO_EVENT: Final = Object(_base, one_of=("run", "job", "dataset"))
