"""Marquez's addresses leave Datlake's own alone, and the server's page names them all."""

from __future__ import annotations

import re

import pytest

from datlake_sdk.wire.ids import quoted
from datlake_sdk.wire.operations import OPERATIONS
from datlake_server.http.endpoint import OperationEndpoint, path_names
from datlake_server.http.health import Health
from datlake_server.http.marquez.addresses import ADDRESSES, LINEAGE, PREFIX, is_under_ours
from datlake_server.http.marquez.endpoint import ByNodeId
from datlake_server.http.routes import build_router
from datlake_server.http.threads import Threads
from datlake_server.lake import Lake
from tests.docs.pages import DOCS, rows, section
from tests.marquez.asking import Marquez
from tests.marquez.document import DOCUMENT, Document

AWKWARD = ["runs", "versions", "tags", "-", "namespaces", "jobs", "lineage", "facets", "start"]


@pytest.mark.parametrize("name", AWKWARD)
def test_every_operation_keeps_its_address_whatever_things_are_called(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """A job may be called `runs`, and a table `tags`: an address of Marquez's would take theirs."""
    lake = Lake.open(str(tmp_path_factory.mktemp("lake")))
    threads = Threads()
    router = build_router(lake, threads, Health(lake, threads), "1")
    for op_type in OPERATIONS:
        for path in op_type.http.paths:
            address = f"/api/v1{path.format(**dict.fromkeys(path_names(path), quoted(name)))}"
            endpoint = router.match(op_type.http.method, address.encode())[0].endpoint
            if isinstance(endpoint, ByNodeId):
                endpoint = endpoint._own
            assert isinstance(endpoint, OperationEndpoint), address
    threads.close()
    lake.close()


def test_the_page_of_the_server_names_every_address() -> None:
    """Whoever looks for a home for a client needs to see that its addresses are here, and where."""
    told = [
        row for row in rows(section(DOCS / "server.md", "Marquez's API")) if row[0] in {"GET", "PUT", "POST", "DELETE"}
    ]
    listed = {(method, path, place) for method, paths, place in told for path in re.findall(r"`([^`]+)`", paths)}
    known = {(method, path, "yes" if is_under_ours(path) else "") for method, path, _ in ADDRESSES}
    assert listed == known | {("POST", LINEAGE, "")}


@pytest.mark.skipif(not DOCUMENT.exists(), reason=f"Marquez's description of its API is not here: {DOCUMENT.name}")
def test_every_address_of_the_document_is_there() -> None:
    known = {(method, path) for method, path, _ in ADDRESSES} | {("POST", LINEAGE)}
    assert Document().routes - known == set()


def test_what_leaves_ours_alone_is_under_our_address_too(shop: Marquez) -> None:
    """A client that is given the host alone finds most of what it asks for."""
    ours = Marquez(shop.server, "/api/v1")
    for path in ("/sources", "/tags", "/events/lineage", "/namespaces/shop", "/namespaces/shop/jobs/count"):
        assert ours.get(path) == shop.get(path)
    assert "items" in ours.get("/namespaces")
    assert shop.prefix == PREFIX
