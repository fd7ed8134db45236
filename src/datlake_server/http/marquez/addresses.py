"""Every address of Marquez's API with what answers it; under `/api/v1` as well, where that leaves ours alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datlake_sdk.wire.http import API_PREFIX
from datlake_server.http.marquez import (
    columns,
    datasets,
    events,
    jobs,
    labels,
    lineage,
    namespaces,
    runs,
    search,
    sources,
    stats,
    upstream,
    writes,
)
from datlake_server.http.marquez.endpoint import ByNodeId, Endpoint, Forwarded, MarquezEndpoint, Work, changed, looked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake

PREFIX: Final = "/marquez/api/v1"
LINEAGE: Final = "/lineage"
_NAMESPACE: Final = "/namespaces/{namespace}"
_DATASET: Final = "/namespaces/{namespace}/datasets/{dataset}"
_JOB: Final = "/namespaces/{namespace}/jobs/{job}"
_RUN: Final = "/jobs/runs/{id}"

ADDRESSES: Final[tuple[tuple[str, str, Work], ...]] = (
    ("GET", "/namespaces", looked(namespaces.all_of_them)),
    ("PUT", _NAMESPACE, changed(namespaces.put)),
    ("GET", _NAMESPACE, looked(namespaces.get)),
    ("DELETE", _NAMESPACE, changed(namespaces.delete)),
    ("GET", "/sources", looked(sources.all_of_them)),
    ("PUT", "/sources/{source}", changed(sources.put)),
    ("GET", "/sources/{source}", looked(sources.get)),
    ("GET", f"{_NAMESPACE}/datasets", looked(datasets.of_namespace)),
    ("PUT", _DATASET, writes.put_dataset),
    ("GET", _DATASET, looked(columns.dataset)),
    ("DELETE", _DATASET, changed(datasets.delete)),
    ("GET", f"{_DATASET}/versions", looked(datasets.versions)),
    ("GET", f"{_DATASET}/versions/{{version}}", looked(datasets.version)),
    ("POST", f"{_DATASET}/tags/{{tag}}", writes.tag_dataset),
    ("DELETE", f"{_DATASET}/tags/{{tag}}", writes.untag_dataset),
    ("POST", f"{_DATASET}/fields/{{field}}/tags/{{tag}}", writes.tag_dataset),
    ("DELETE", f"{_DATASET}/fields/{{field}}/tags/{{tag}}", writes.untag_dataset),
    ("GET", "/jobs", looked(jobs.everywhere)),
    ("GET", f"{_NAMESPACE}/jobs", looked(jobs.of_namespace)),
    ("PUT", _JOB, writes.put_job),
    ("GET", _JOB, looked(jobs.get)),
    ("DELETE", _JOB, changed(jobs.delete)),
    ("GET", f"{_JOB}/versions", looked(jobs.versions)),
    ("GET", f"{_JOB}/versions/{{version}}", looked(jobs.version)),
    ("POST", f"{_JOB}/tags/{{tag}}", writes.tag_job),
    ("DELETE", f"{_JOB}/tags/{{tag}}", writes.untag_job),
    ("GET", f"{_JOB}/runs", looked(jobs.runs_of_job)),
    ("POST", f"{_JOB}/runs", writes.create_run),
    ("GET", _RUN, looked(runs.get)),
    ("GET", f"{_RUN}/facets", looked(runs.facets_of)),
    ("POST", f"{_RUN}/start", writes.start_run),
    ("POST", f"{_RUN}/complete", writes.complete_run),
    ("POST", f"{_RUN}/fail", writes.fail_run),
    ("POST", f"{_RUN}/abort", writes.abort_run),
    ("GET", LINEAGE, looked(lineage.get)),
    ("GET", "/runlineage/upstream", looked(upstream.get)),
    ("GET", "/column-lineage", looked(columns.get)),
    ("GET", "/events/lineage", looked(events.get)),
    ("GET", "/events", looked(events.get)),
    ("GET", "/tags", looked(labels.all_of_them)),
    ("PUT", "/tags/{tag}", changed(labels.put)),
    ("GET", "/search", search.get),
    ("GET", "/stats/lineage-events", looked(stats.events)),
    ("GET", "/stats/jobs", looked(stats.jobs)),
    ("GET", "/stats/datasets", looked(stats.datasets)),
    ("GET", "/stats/sources", looked(stats.sources)),
)
# Ours are there already, in another shape; `/events` is what one client calls by mistake. And a job may be called
# `runs`: `/jobs/runs/runs` are those of that job.
OURS: Final = frozenset({"/namespaces", "/jobs", "/search", LINEAGE, "/events"})


def is_under_ours(path: str) -> bool:
    """True for what `/api/v1` answers in Marquez's shape as well."""
    return path not in OURS and not path.startswith(_RUN)


def marquez_addresses(
    lake: Lake, threads: Threads, lineage_of: Endpoint, record: Endpoint
) -> Iterator[tuple[str, str, Endpoint]]:
    """Method, path and endpoint of each; `lineage_of` and `record` are the lake's own endpoints of `/lineage`."""
    for prefix in (PREFIX, API_PREFIX):
        for method, path, work in ADDRESSES:
            if prefix == PREFIX or is_under_ours(path):
                yield method, prefix + path, MarquezEndpoint(work, prefix, lake, threads)
    graph = MarquezEndpoint(looked(lineage.get), API_PREFIX, lake, threads)
    yield "GET", API_PREFIX + LINEAGE, ByNodeId(graph, lineage_of)
    yield "POST", PREFIX + LINEAGE, Forwarded(record)
