"""What `register_snapshot` hands to a job: a plain dict, whether the lake has answered or is still to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

import msgspec

if TYPE_CHECKING:
    from datlake_sdk.wire.models import Run, Snapshot
    from datlake_sdk.wire.operations import RegisterSnapshot


class RegisteredSnapshot(TypedDict):
    """What `register_snapshot` answers; `version` is null while `deferred`."""

    snapshot_id: str
    table_name: str
    namespace: str
    version: int | None
    uri: str
    format: str
    schema: dict[str, object] | list[object] | None
    created_at: str
    run_id: str | None
    job_name: str | None
    row_count: int | None
    size_bytes: int | None
    fields: list[dict[str, object]]
    metadata: dict[str, object]
    column_lineage: dict[str, object] | None
    late: bool
    store_version: str | None
    deferred: bool


def answered(snapshot: Snapshot) -> RegisteredSnapshot:
    """What a lake answered, as the dict that users get."""
    return cast("RegisteredSnapshot", msgspec.to_builtins(snapshot) | {"deferred": False})


def deferred(op: RegisterSnapshot) -> RegisteredSnapshot:
    """What a registration that is still to be sent looks like."""
    return RegisteredSnapshot(
        snapshot_id=op.snapshot_id or "",
        table_name=op.table_name,
        namespace=op.namespace,
        version=None,
        uri=op.uri,
        format=op.format,
        schema=op.schema,
        created_at=cast("str", msgspec.to_builtins(op.created_at)),
        run_id=op.run_id,
        job_name=op.job_name,
        row_count=op.row_count,
        size_bytes=op.size_bytes,
        fields=[],  # read by the lake
        metadata=op.metadata,
        column_lineage=op.column_lineage,
        late=False,
        store_version=None,
        deferred=True,
    )


def deferred_snapshot(op: RegisterSnapshot) -> Snapshot:
    """The snapshot that a registration will be; its version is 0 until the lake counts it."""
    from datlake_sdk.wire.models import Snapshot
    from datlake_sdk.wire.times import utc_now

    return Snapshot(
        snapshot_id=op.snapshot_id or "",
        table_name=op.table_name,
        namespace=op.namespace,
        version=0,
        uri=op.uri,
        format=op.format,
        schema=op.schema,
        created_at=op.created_at or utc_now(),
        run_id=op.run_id,
        job_name=op.job_name,
        row_count=op.row_count,
        size_bytes=op.size_bytes,
        metadata=op.metadata,
        column_lineage=op.column_lineage,
    )


def version_in(run: Run | None, table_name: str) -> int | None:
    """The version at which `run` reads the table, where the lake said so."""
    found = [data.version for data in run.inputs if data.table_name == table_name] if run is not None else []
    return found[-1] if found else None
