"""Servers that do as they are told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from datlake_sdk.transport.http import HttpTransport
from tests.sdk.scripted import Make, Scripted


@pytest.fixture
def scripted() -> Iterator[Make]:
    """Makes a scripted server and a transport to it."""
    made: list[Scripted] = []

    def make(*script: bytes | Callable[[socket.socket], None]) -> tuple[Scripted, HttpTransport]:
        made.append(Scripted(*script))
        return made[-1], HttpTransport(made[-1].url, api_key="s3cret")

    yield make
    for one in made:
        one.close()
