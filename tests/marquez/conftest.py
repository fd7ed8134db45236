"""A server for the stories of a file, and events to tell it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.served import Server
from tests.marquez import story
from tests.marquez.asking import Marquez


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A `datlake serve` over a lake of its own."""
    running = Server(tmp_path_factory.mktemp("lake"))
    yield running
    running.stop()


@pytest.fixture
def marquez(server: Server) -> Marquez:
    """The server, asked as Marquez is."""
    return Marquez(server)


@pytest.fixture
def shop(marquez: Marquez) -> Marquez:
    """A lake that knows the shop's pipeline."""
    story.tell(marquez)
    return marquez
