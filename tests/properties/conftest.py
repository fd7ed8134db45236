"""What the properties stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from datlake_server.lake import Lake


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake that holds nothing: copying it is quicker than making one."""
    folder = tmp_path_factory.mktemp("empty")
    Lake.open(str(folder)).close()
    return folder
