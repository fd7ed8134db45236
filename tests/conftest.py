"""What every test stands on: an environment without settings, and lakes of both kinds."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from datlake_sdk.client import DatlakeClient
from tests.places import Place, serve, stop

# A suite that was started in the background inherits that these are ignored, and so would every process it tests.
for _ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        signal.signal(_ignored, signal.default_int_handler if _ignored == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings or the lake of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("DATLAKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATLAKE_HOME", str(tmp_path / "lake"))
    monkeypatch.setenv("DATLAKE_OUTBOX_DIR", str(tmp_path / "outbox"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address and the folder of one running server, shared by the stories of a session."""
    home = tmp_path_factory.mktemp("served")
    process, url = serve(home)
    yield url, home
    stop(process)


@pytest.fixture(params=["embedded", "http"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A lake of its own for each story: a fresh folder, or a fresh namespace of the server."""
    if request.param == "embedded":
        return Place(str(tmp_path / "lake"), tmp_path / "lake", "default")
    url, home = request.getfixturevalue("served")
    return Place(url, home, f"story-{uuid.uuid4()}")


@pytest.fixture
def client(place: Place) -> Iterator[DatlakeClient]:
    """A client of the place."""
    with place.client() as opened:
        yield opened
