"""What the stories about lineage share: telling a lake as OpenLineage does, and reading graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from datlake_sdk.client import DatlakeClient
from datlake_sdk.wire.ids import derived_id
from datlake_sdk.wire.models import Graph, GraphNode

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCER = "https://example.org/tests"
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"

# A dataset by its name in the story's namespace, or by namespace and name.
Dataset = str | tuple[str, str]
Facets = Mapping[str, Mapping[str, object]]
OfDatasets = Mapping[str, Facets] | Mapping[tuple[str, str], Facets] | Mapping[Dataset, Facets]
Edges = set[tuple[str, str]]


def at(minute: float) -> datetime:
    """A minute of the story."""
    return START + timedelta(minutes=minute)


class Teller:
    """Tells a lake of one story; each telling has the minute at which it is."""

    def __init__(self, client: DatlakeClient, namespace: str) -> None:
        """Tells `client` of jobs and datasets of the namespace."""
        self.client = client
        self.namespace = namespace

    def bucket(self, name: str) -> tuple[str, str]:
        """A dataset of a store that belongs to this story."""
        return f"s3://{self.namespace}", name

    def run(
        self,
        job: str,
        reads: Iterable[Dataset] = (),
        writes: Iterable[Dataset] = (),
        *,
        minute: float = 0,
        number: int = 1,
        facets: OfDatasets | None = None,
        run_facets: Facets | None = None,
        job_facets: Facets | None = None,
    ) -> str:
        """A run of the job that is complete; answers its id. `number` tells runs of one job from each other."""
        run_id = derived_id(self.namespace, job, str(number))
        self._tell(
            {
                "eventType": "COMPLETE",
                "run": {"runId": run_id, "facets": _facets(run_facets)},
                "job": self._job(job, job_facets),
                "inputs": [self._dataset(one, facets) for one in reads],
                "outputs": [self._dataset(one, facets) for one in writes],
            },
            "RunEvent",
            minute,
        )
        return run_id

    def job(
        self,
        job: str,
        reads: Iterable[Dataset] = (),
        writes: Iterable[Dataset] = (),
        *,
        minute: float = 0,
        after: Sequence[str] = (),
    ) -> None:
        """The job is declared to read and write, and to be fed by the jobs that it comes `after`."""
        entry = {"type": "JOB", **self._job(job), "inputs": [{"type": "JOB", **self._job(one)} for one in after]}
        facets = {"lineage": {"entries": [entry]}} if after else None
        self._tell(
            {
                "job": self._job(job, facets),
                "inputs": [self._dataset(one) for one in reads],
                "outputs": [self._dataset(one) for one in writes],
            },
            "JobEvent",
            minute,
        )

    def dataset(self, dataset: Dataset, *, minute: float = 0, **facets: Mapping[str, object]) -> None:
        """The dataset is declared to be what its facets say."""
        self._tell({"dataset": self._dataset(dataset, {dataset: facets})}, "DatasetEvent", minute)

    def same(self, dataset: Dataset, other: Dataset, *, minute: float = 0) -> None:
        """The dataset has that other name."""
        namespace, name = self.named(other)
        identifiers = [{"namespace": namespace, "name": name, "type": "TABLE"}]
        self.dataset(dataset, minute=minute, symlinks={"identifiers": identifiers})

    def fed(self, dataset: Dataset, sources: Iterable[Dataset], *, minute: float = 0) -> None:
        """The dataset says itself what feeds it."""
        self.dataset(dataset, minute=minute, lineage={"inputs": [self.source(one) for one in sources]})

    def source(self, dataset: Dataset, field: str | None = None, **more: object) -> dict[str, object]:
        """A dataset or column as facets name it."""
        namespace, name = self.named(dataset)
        named = {"type": "DATASET", "namespace": namespace, "name": name}
        return named | ({} if field is None else {"field": field}) | more

    def named(self, dataset: Dataset) -> tuple[str, str]:
        """Namespace and name."""
        return (self.namespace, dataset) if isinstance(dataset, str) else dataset

    def _job(self, name: str, facets: Facets | None = None) -> dict[str, object]:
        job: dict[str, object] = {"namespace": self.namespace, "name": name}
        return job | {"facets": _facets(facets)} if facets else job

    def _dataset(self, dataset: Dataset, facets: OfDatasets | None = None) -> dict[str, object]:
        namespace, name = self.named(dataset)
        return {
            "namespace": namespace,
            "name": name,
            "facets": _facets(cast("Mapping[Dataset, Facets]", facets or {}).get(dataset)),
        }

    def _tell(self, body: dict[str, object], kind: str, minute: float) -> None:
        told = {"eventTime": at(minute).isoformat(), "producer": PRODUCER, "schemaURL": f"{CORE}#/$defs/{kind}"}
        self.client.record_lineage(told | body)


def names(graph: Graph) -> set[str]:
    """What the nodes are called; of a column `table.column`."""
    return {label(node) for node in graph.nodes}


def edges(graph: Graph) -> Edges:
    """The edges, by what their nodes are called."""
    known = {node.id: label(node) for node in graph.nodes}
    assert len(known) == len(graph.nodes)
    assert graph.root in known
    assert len({(edge.source, edge.target) for edge in graph.edges}) == len(graph.edges)
    return {(known[edge.source], known[edge.target]) for edge in graph.edges}


def label(node: GraphNode) -> str:
    """What a node is called."""
    return node.name if node.field is None else f"{node.name}.{node.field}"


def hidden(graph: Graph) -> dict[str, tuple[int, int]]:
    """How many neighbours are hidden around each node, upstream and downstream."""
    return {label(node): (node.hidden_upstream, node.hidden_downstream) for node in graph.nodes}


def _facets(facets: Facets | None) -> dict[str, object]:
    url = "https://openlineage.io/spec/facets/1-0-0/Facet.json#/$defs/Facet"
    return {name: {"_producer": PRODUCER, "_schemaURL": url, **body} for name, body in (facets or {}).items()}
