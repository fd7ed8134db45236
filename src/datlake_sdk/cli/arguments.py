"""The parsed command line of `datlake`, and the parser that reads one command's part of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final, NoReturn

from datlake_sdk.cli.exits import USAGE

ROWS: Final = 50


class Arguments(argparse.Namespace):
    """The parsed command line; a command reads the fields it declares. `program` is what stands after `run … --`."""

    command: str = ""
    handler: str = ""
    url: str | None = None
    home: str | None = None
    namespace: str | None = None
    json: bool = False
    limit: int = ROWS
    job: str | None = None
    state: str | None = None
    since: str | None = None
    run_id: str = ""
    follow: bool = False
    table: str = ""
    as_of: str | None = None
    version: str | None = None
    direction: str = "both"
    depth: int = 4
    level: str | None = None
    max_nodes: int = 1000
    field: str | None = None
    run: str | None = None
    snapshot: str | None = None
    format: str | None = None
    other: str = ""
    words: Sequence[str] = ()
    kind: str | None = None
    files: Sequence[str] = ()
    strict: bool = False
    output: str = "-"
    host: str = "127.0.0.1"
    port: int = 8765
    forward_openlineage: Sequence[str] = ()
    forward_since: str = "now"
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    metadata: Sequence[str] = ()
    program: Sequence[str] = ()
    file: str = ""
    force: bool = False
    ids: Sequence[str] = ()
    all: bool = False
    timeout: float = 60.0


class Parser(argparse.ArgumentParser):
    """argparse that tells of a mistake in one line; `only` is for a word that stands where one belongs."""

    only = ""

    def error(self, message: str) -> NoReturn:
        """Ends the process with the mistake and where to read on."""
        told = self.only if self.only and message.startswith(("argument show:", "argument openlineage:")) else message
        self.exit(USAGE, f"datlake: {told}; see `{self.prog} --help`\n")
