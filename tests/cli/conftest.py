"""The command line on a lake of its own, embedded and served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.typed import Datlake
from tests.places import Place


@pytest.fixture
def datlake(place: Place, tmp_path: Path) -> Datlake:
    """`datlake …` on the place."""
    return Datlake(place, tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> Datlake:
    """`datlake …` on a fresh embedded lake, for what does not depend on where the lake is."""
    return Datlake(Place(str(tmp_path / "lake"), tmp_path / "lake", "default"), tmp_path)
