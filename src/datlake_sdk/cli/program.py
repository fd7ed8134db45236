"""What `datlake run` was asked to run: program, job, the tables it reads and writes; checked before it starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from datlake_sdk._calls import file_uri
from datlake_sdk._identity import checked_name
from datlake_sdk.cli.exits import UsageError
from datlake_sdk.errors import DatlakeError, InvalidRequest
from datlake_sdk.redaction import redact_argv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.job import JobContext

# What a file is, by the last part of its name that says so.
FORMATS: Final = {
    **{each: each for each in ("parquet", "csv", "tsv", "json", "jsonl", "avro", "orc", "arrow", "xlsx", "txt", "xml")},
    **{each: each for each in ("sqlite", "duckdb", "zip", "html")},
    "pq": "parquet",
    "ndjson": "jsonl",
    "feather": "arrow",
    "ipc": "arrow",
    "db": "sqlite",
}
COMPRESSIONS: Final = frozenset(("gz", "zst", "bz2", "xz", "lz4"))
UNKNOWN: Final = "unknown"


class Output(NamedTuple):
    """A table that the program writes; `path` is its place where that is a local file or folder."""

    table: str
    uri: str
    path: str | None


class Program(NamedTuple):
    """The program and all that its run is to tell."""

    argv: Sequence[str]
    job_name: str
    metadata: dict[str, object]
    inputs: Sequence[str]
    outputs: Sequence[Output]

    def register_outputs(self, job: JobContext, warn: Callable[[str], None]) -> None:
        """Registers a snapshot of each output; one that is not there, or is refused, is told and left out."""
        for output in self.outputs:
            if output.path is not None and not os.path.exists(output.path):
                warn(f"table {output.table!r} was not registered: the program left nothing at {output.path}")
                continue
            try:
                job.register_snapshot(output.table, output.uri, format_of(output.uri), size_bytes=_size_of(output.path))
            except DatlakeError as error:
                warn(f"table {output.table!r} was not registered: {error.message}")


def program_of(arguments: Arguments) -> Program:
    """The program as the command line describes it. Raises `UsageError`."""
    argv = list(arguments.program)
    try:
        return Program(
            argv=argv,
            job_name=checked_name(arguments.job or os.path.basename(argv[0]) or argv[0], "job"),
            metadata={"command": redact_argv(argv), **dict(_metadata(each) for each in arguments.metadata)},
            inputs=[each if "://" in each else checked_name(each, "table") for each in arguments.inputs],
            outputs=[_output(each) for each in arguments.outputs],
        )
    except InvalidRequest as error:
        raise UsageError(error.message) from error


def format_of(uri: str) -> str:
    """What the ending of the URI's path says, compression aside; else `unknown`."""
    name = uri.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2].lower()
    parts = [part for part in name.split(".")[1:] if part not in COMPRESSIONS]
    return FORMATS.get(parts[-1], UNKNOWN) if parts else UNKNOWN


def _output(text: str) -> Output:
    table, mark, place = text.partition("=")
    if not (mark and table and place):
        message = f"-o {text!r} names no table and place; write it like -o sales=out/sales.parquet or -o sales=s3://…"
        raise UsageError(message)
    if "://" not in place:
        path = os.path.abspath(os.path.expanduser(place))
        return Output(checked_name(table, "table"), file_uri(path), path)
    return Output(checked_name(table, "table"), place, None)


def _metadata(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not (mark and key):
        message = f"--metadata {text!r} has no key and value; write it like --metadata ticket=DATA-12"
        raise UsageError(message)
    return key, value


def _size_of(path: str | None) -> int | None:
    return os.path.getsize(path) if path is not None and os.path.isfile(path) else None
