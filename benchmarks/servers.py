"""The two servers that figures over HTTP are measured with: Datlake's, and the floor it is held against."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import Served, environment, served

# What the installed command does.
SERVE = "import sys; from datlake_sdk.cli.main import main; sys.exit(main())"


@contextmanager
def datlake_server(folder: Path) -> Generator[Served]:
    """`datlake serve` on a lake in `folder`, as a process of its own."""
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(folder / "served"), "--port", "0"]
    with served(command, folder, environment()) as server:
        yield server


@contextmanager
def noop_server(folder: Path) -> Generator[Served]:
    """The same web server around nothing: reads a body, answers a small one."""
    with served([sys.executable, "-m", "benchmarks.children.noop_server"], folder, environment()) as server:
        yield server
