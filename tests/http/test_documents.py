"""Nothing answers that is not described: the two OpenAPI documents, the older backend's names, and three pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from datlake_server.http import openapi
from datlake_server.http.health import Health
from datlake_server.http.marquez import document as marquez
from datlake_server.http.marquez.addresses import PREFIX
from datlake_server.http.router import _Node
from datlake_server.http.routes import Target, build_router
from datlake_server.http.threads import Threads
from datlake_server.lake import Lake
from tests.http.served import Server

PAGES = {("GET", path) for path in ("/", "/runs/{run_id}", "/docs")}
METHODS = {"get", "head", "post", "put", "patch", "delete"}

Json = dict[str, object]
Route = tuple[str, str]


def test_every_address_is_described(tmp_path: Path) -> None:
    """What no document names is found by nobody, and fuzzed by nothing."""
    lake, threads = Lake.open(str(tmp_path)), Threads()
    router = build_router(lake, threads, Health(lake, threads), "1")
    threads.close()
    lake.close()
    answered = {route for route, target in leaves(router._root, "") if not target.is_alias}
    described = {*routes_of(openapi.document("1")), *routes_of(marquez.document("1")), *PAGES}
    described.add(("GET", f"{PREFIX}/openapi.json"))
    assert {bare(route) for route in answered} == {bare(route) for route in described if route[0] != "HEAD"}


def test_the_document_of_marquezs_addresses_is_valid_and_tagged(server: Server) -> None:
    """Client generators read it, and do not read it twice."""
    validator = pytest.importorskip("openapi_spec_validator")
    first = server.ask("GET", f"{PREFIX}/openapi.json")
    validator.validate(first.json)
    again = server.ask("GET", f"{PREFIX}/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status == 304


def test_each_of_marquezs_addresses_says_what_it_does() -> None:
    """A list of paths alone helps nobody."""
    paths = cast("dict[str, dict[str, Json]]", marquez.document("1")["paths"])
    described = [item[method] for item in paths.values() for method in METHODS & item.keys()]
    assert len({one["operationId"] for one in described}) == len(described)
    assert [one["operationId"] for one in described if not one["summary"]] == []


def test_the_lineage_says_that_it_understands_a_node_id() -> None:
    """One address has two shapes; the parameter decides."""
    item = cast("dict[str, dict[str, Json]]", openapi.document("1")["paths"])["/api/v1/lineage"]
    parameters = cast("list[Json]", item["get"]["parameters"])
    assert "nodeId" in [one["name"] for one in parameters]


def leaves(node: _Node[Target], path: str) -> Iterator[tuple[Route, Target]]:
    """Every method and path below the node, and what answers it."""
    for method, (target, _) in node.ends.items():
        yield (method, path), target
    for method, (target, _) in node.rest.items():
        yield (method, f"{path}/{{}}"), target
    for part, below in node.static.items():
        yield from leaves(below, f"{path}/{part.decode()}")
    if node.named is not None:
        yield from leaves(node.named, f"{path}/{{}}")


def routes_of(described: Json) -> Iterator[Route]:
    """Every method and whole path of the document, under each of its servers."""
    for path, item in cast("dict[str, Json]", described["paths"]).items():
        for server in cast("list[dict[str, str]]", item.get("servers", described["servers"])):
            yield from ((method.upper(), server["url"].rstrip("/") + path) for method in METHODS & item.keys())


def bare(route: Route) -> Route:
    """The route without the names of what stands in its path."""
    method, path = route
    return method, "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
