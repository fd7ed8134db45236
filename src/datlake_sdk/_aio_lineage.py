"""The async client's methods on lineage: each runs the sync one on a thread. `AsyncDatlakeClient` inherits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk._offload import offload
from datlake_sdk.aio_paging import AsyncPaged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from datlake_sdk._client_lineage import SnapshotLike, When
    from datlake_sdk._connection import Call
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import (
        Direction,
        Graph,
        GraphLevel,
        HitKind,
        LineageReceipt,
        LineageResults,
        NodeKind,
        Related,
        SearchHit,
    )


class AsyncLineageMethods:
    """What can be asked of lineage, and told of it, awaitable."""

    sync: DatlakeClient

    async def lineage(
        self,
        name: str | None = None,
        *,
        kind: NodeKind | None = None,
        direction: Direction = "both",
        depth: int = 4,
        version: int | None = None,
        run_id: str | None = None,
        snapshot_id: str | None = None,
        field: str | None = None,
        level: GraphLevel | None = None,
        as_of: When | None = None,
        max_nodes: int = 250,
        cursor: str | None = None,
        **call: Unpack[Call],
    ) -> Graph:
        """What feeds a table and what it feeds; of its column `field`, a job, run or snapshot where told so."""
        return await offload(
            lambda: self.sync.lineage(
                name,
                kind=kind,
                direction=direction,
                depth=depth,
                version=version,
                run_id=run_id,
                snapshot_id=snapshot_id,
                field=field,
                level=level,
                as_of=as_of,
                max_nodes=max_nodes,
                cursor=cursor,
                **call,
            )
        )

    async def impact(
        self, snapshot: SnapshotLike, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[Related]:
        """All runs and snapshots that consumed the snapshot, by whatever road, the nearest first."""
        return AsyncPaged(await offload(lambda: self.sync.impact(snapshot, limit=limit, cursor=cursor, **call)))

    async def trace(
        self, snapshot: SnapshotLike, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[Related]:
        """All runs and snapshots that led to the snapshot, the nearest first; runs with their commit and their log."""
        return AsyncPaged(await offload(lambda: self.sync.trace(snapshot, limit=limit, cursor=cursor, **call)))

    async def search(
        self,
        q: str,
        *,
        kind: HitKind | None = None,
        limit: int = 20,
        cursor: str | None = None,
        **call: Unpack[Call],
    ) -> AsyncPaged[SearchHit]:
        """Jobs, tables, columns, runs and tags whose names hold the words, best first."""
        return AsyncPaged(await offload(lambda: self.sync.search(q, kind=kind, limit=limit, cursor=cursor, **call)))

    async def record_lineage(self, event: object, *, strict: bool = False, **call: Unpack[Call]) -> LineageReceipt:
        """What became of one OpenLineage event. Told again, it changes nothing."""
        return await offload(lambda: self.sync.record_lineage(event, strict=strict, **call))

    async def record_lineage_batch(
        self, events: Sequence[object], *, strict: bool = False, **call: Unpack[Call]
    ) -> LineageResults:
        """What became of up to 1,000 OpenLineage events; each is accepted or refused by itself."""
        return await offload(lambda: self.sync.record_lineage_batch(events, strict=strict, **call))

    async def run_open_lineage(
        self, run_id: str, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[dict[str, object]]:
        """The run as OpenLineage events: those it was told with, and what else Datlake knows of it."""
        return AsyncPaged(await offload(lambda: self.sync.run_open_lineage(run_id, limit=limit, cursor=cursor, **call)))

    async def export_open_lineage(
        self, *, since: When | None = None, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> AsyncPaged[dict[str, object]]:
        """Everything as OpenLineage events that another lake can take, of runs that started at or after `since`."""
        return AsyncPaged(
            await offload(lambda: self.sync.export_open_lineage(since=since, limit=limit, cursor=cursor, **call))
        )
