"""One server for the stories of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.served import Server
from tests.http.told import Story


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A `datlake serve` over a lake of its own."""
    running = Server(tmp_path_factory.mktemp("lake"))
    yield running
    running.stop()


@pytest.fixture
def story(server: Server, request: pytest.FixtureRequest) -> Story:
    """A namespace of the server that belongs to the test."""
    return Story(server, f"{request.node.name}")
