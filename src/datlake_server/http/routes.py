"""Every address of the server in one table: operations, bytes, probes, documents, pages and the older names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from datlake_sdk.wire.http import API_PREFIX
from datlake_sdk.wire.operations import OPERATIONS
from datlake_server.http.aliases import ALIASES
from datlake_server.http.blobs import GetObject, PutObject
from datlake_server.http.docs import docs_page
from datlake_server.http.endpoint import OperationEndpoint
from datlake_server.http.exchange import Answer, Incoming, tagged_answer
from datlake_server.http.health import Health
from datlake_server.http.html import html_answer
from datlake_server.http.marquez import document as marquez
from datlake_server.http.marquez.addresses import LINEAGE, PREFIX, marquez_addresses
from datlake_server.http.openapi import document
from datlake_server.http.pages import RunPage, RunsPage
from datlake_server.http.router import Router
from datlake_server.http.runlog import AppendLog, ReadLog
from datlake_server.http.writes import Writes

if TYPE_CHECKING:
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake

Endpoint = Callable[[Incoming], Awaitable[Answer]]
OBJECT_PATH = "/datasets/{bucket}/{object...}"
LOG_PATH = "/runs/{run_id}/log"


class Target(msgspec.Struct, frozen=True):
    """What answers an address; `is_alias` marks the older backend's names for it."""

    endpoint: Endpoint
    is_alias: bool = False


def build_router(lake: Lake, threads: Threads, health: Health, version: str) -> Router[Target]:
    """All addresses over `lake`."""
    router: Router[Target] = Router()
    _add_operations(router, lake, threads)
    _add_marquez(router, lake, threads)
    _add_objects(router, lake, threads)
    router.add("POST", API_PREFIX + LOG_PATH, Target(AppendLog(lake, threads)))
    router.add("GET", API_PREFIX + LOG_PATH, Target(ReadLog(lake, threads)))
    _add_probes(router, health)
    _add_document(router, API_PREFIX, described := document(version))
    _add_document(router, PREFIX, marquez.document(version))
    _add_docs(router, described)
    router.add("GET", "/", Target(RunsPage(lake, threads)))
    router.add("GET", "/runs/{run_id}", Target(RunPage(lake, threads)))
    return router


def _add_operations(router: Router[Target], lake: Lake, threads: Threads) -> None:
    writes = Writes(lake, threads)
    for op_type in OPERATIONS:
        for path in op_type.http.paths:
            endpoint = OperationEndpoint(op_type, path, lake, threads, writes)
            router.add(op_type.http.method, API_PREFIX + path, Target(endpoint))
    for op_type, path in ALIASES:
        endpoint = OperationEndpoint(op_type, path, lake, threads, writes)
        router.add(op_type.http.method, path, Target(endpoint, is_alias=True))


def _add_marquez(router: Router[Target], lake: Lake, threads: Threads) -> None:
    ours = {method: router.match(method, f"{API_PREFIX}{LINEAGE}".encode())[0].endpoint for method in ("GET", "POST")}
    for method, path, endpoint in marquez_addresses(lake, threads, ours["GET"], ours["POST"]):
        router.add(method, path, Target(endpoint))


def _add_objects(router: Router[Target], lake: Lake, threads: Threads) -> None:
    put, get = PutObject(lake, threads), GetObject(lake, threads)
    for prefix, is_alias in ((API_PREFIX, False), ("/data", True)):
        router.add("PUT", prefix + OBJECT_PATH, Target(put, is_alias))
        router.add("GET", prefix + OBJECT_PATH, Target(get, is_alias))


def _add_probes(router: Router[Target], health: Health) -> None:
    for prefix in ("", API_PREFIX):
        router.add("GET", prefix + "/health/live", Target(health.live))
        router.add("GET", prefix + "/health/ready", Target(health.ready))
    router.add("GET", "/health", Target(health.ready, is_alias=True))


def _add_document(router: Router[Target], prefix: str, described: dict[str, object]) -> None:
    async def openapi(request: Incoming) -> Answer:
        return tagged_answer(described, request.header(b"if-none-match"))

    router.add("GET", f"{prefix}/openapi.json", Target(openapi))


def _add_docs(router: Router[Target], described: dict[str, object]) -> None:
    page = docs_page(described)

    async def docs(_: Incoming) -> Answer:
        return html_answer(page)

    router.add("GET", "/docs", Target(docs))
