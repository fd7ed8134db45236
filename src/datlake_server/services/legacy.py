"""Completion bodies of the older backend: `metadata.inputs`, `metadata.outputs` and `metadata.artifacts`.

What does not have their shape is plain metadata and stays so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from datlake_sdk.wire.ids import Name, Text, Uri
from datlake_sdk.wire.models import Artifact, DataRef, Schema
from datlake_sdk.wire.operations import RegisterSnapshot
from datlake_server.services import lineage
from datlake_server.services.registering import imply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_server.services.records import RunRow
    from datlake_server.store.base import Tx

T = TypeVar("T")

_MOST = 1000


class _OldData(msgspec.Struct, frozen=True):
    name: Name | None = None
    uri: Uri | None = None
    format: Text = "unknown"
    schema: Schema | None = None


class _OldArtifact(msgspec.Struct, frozen=True):
    uri: Uri
    type: Text = "file"
    name: Name | None = None


def artifacts(metadata: Mapping[str, object]) -> list[Artifact]:
    """The artifacts that the metadata of an older client lists."""
    found = _read(metadata.get("artifacts"), _OldArtifact)
    return [Artifact(type=item.type, uri=item.uri, name=item.name) for item in found]


def record_data(tx: Tx, run: RunRow, metadata: Mapping[str, object], at: int) -> None:
    """Records the inputs and outputs that the metadata of an older client lists."""
    inputs = [item for item in _read(metadata.get("inputs"), _OldData) if item.name or item.uri]
    lineage.record(tx, run, "input", [DataRef(table_name=item.name, uri=item.uri) for item in inputs], at)
    for item in _read(metadata.get("outputs"), _OldData):
        if item.name and item.uri:
            imply(tx, run, _registration(run, item, item.name, item.uri), at)
        elif item.name or item.uri:
            lineage.record(tx, run, "output", [DataRef(table_name=item.name, uri=item.uri)], at)


def _registration(run: RunRow, item: _OldData, name: str, uri: str) -> RegisterSnapshot:
    return RegisterSnapshot(
        namespace=run.namespace,
        table_name=name,
        uri=uri,
        format=item.format,
        schema=item.schema,
        job_name=run.job_name,
        run_id=run.run_id,
    )


def _read(items: object, kind: type[T]) -> list[T]:
    if not isinstance(items, list):
        return []
    listed = cast("list[object]", items)[:_MOST]
    return [read for item in listed if (read := _one(item, kind)) is not None]


def _one(item: object, kind: type[T]) -> T | None:
    if isinstance(item, str):  # a URI or a name, plainly
        item = {"uri": item} if "://" in item else {"name": item}
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError:
        return None
