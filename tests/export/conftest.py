"""What tests of the export stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datlake_server.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake that holds nothing."""
    opened = Lake.open(str(tmp_path / "lake"))
    yield opened
    opened.close()
