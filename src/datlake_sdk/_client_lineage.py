"""The client's methods on lineage: graphs, impact, trace, search, OpenLineage. `DatlakeClient` inherits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk._connection import Connection
from datlake_sdk._lazy import LazyModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Unpack

    from datlake_sdk import _calls as calls
    from datlake_sdk import _lineage_events as lineage_events
    from datlake_sdk._connection import Call
    from datlake_sdk.paging import Paged
    from datlake_sdk.wire import operations as ops
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
        Snapshot,
    )

    When = datetime | str
    SnapshotLike = str | Snapshot | Mapping[str, object]
else:
    ops = LazyModule("datlake_sdk.wire.operations")
    calls = LazyModule("datlake_sdk._calls")
    lineage_events = LazyModule("datlake_sdk._lineage_events")


class LineageMethods(Connection):
    """A connection that can be asked for lineage, and told of it."""

    def lineage(
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
        """What feeds a table and what it feeds; of its column `field`, a job, run or snapshot where told so.

        `depth` counts edges: table → job → table is 2. `level` says what is drawn: tables and jobs, snapshots and runs
        (`run`), or columns. A graph that was cut goes on where `cursor` is its `next_cursor`.
        """
        op = ops.Lineage(
            kind=kind or ("run" if run_id else "snapshot" if snapshot_id else "column" if field else "table"),
            name=name,
            version=version,
            run_id=run_id,
            snapshot_id=snapshot_id,
            field=field,
            direction=direction,
            depth=depth,
            level=level,
            as_of=calls.time_of(as_of),
            max_nodes=max_nodes,
            cursor=cursor,
            namespace=self._scope(call),
        )
        return self._call(op, call)

    def impact(
        self, snapshot: SnapshotLike, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> Paged[Related]:
        """All runs and snapshots that consumed the snapshot, by whatever road, the nearest first.

        `snapshot` is an id, a `Snapshot`, or what `register_snapshot` answered.
        """
        op = ops.Impact(
            snapshot_id=calls.snapshot_id_of(snapshot), limit=limit, cursor=cursor, namespace=self._scope(call)
        )
        return self._pages(op, call)

    def trace(
        self, snapshot: SnapshotLike, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> Paged[Related]:
        """All runs and snapshots that led to the snapshot, the nearest first; runs with their commit and their log.

        `snapshot` is an id, a `Snapshot`, or what `register_snapshot` answered.
        """
        op = ops.Trace(
            snapshot_id=calls.snapshot_id_of(snapshot), limit=limit, cursor=cursor, namespace=self._scope(call)
        )
        return self._pages(op, call)

    def search(
        self,
        q: str,
        *,
        kind: HitKind | None = None,
        limit: int = 20,
        cursor: str | None = None,
        **call: Unpack[Call],
    ) -> Paged[SearchHit]:
        """Jobs, tables, columns, runs and tags whose names hold the words, best first.

        Of every namespace, unless `namespace=` names one: the client's own does not apply.
        """
        op = ops.Search(q=q, kind=kind, limit=limit, cursor=cursor, namespace=call.get("namespace") or "")
        return self._pages(op, call)

    def record_lineage(self, event: object, *, strict: bool = False, **call: Unpack[Call]) -> LineageReceipt:
        """What became of one OpenLineage event. Told again, it changes nothing.

        `event` is a dict, a msgspec Struct, JSON (text or bytes), or an event of `openlineage-python`; it says itself
        which namespaces it is about. With `strict` what the specification does not allow is refused, with its path.
        """
        return self._call(ops.RecordLineage(event=lineage_events.event_of(event), strict=strict), call)

    def record_lineage_batch(
        self, events: Sequence[object], *, strict: bool = False, **call: Unpack[Call]
    ) -> LineageResults:
        """What became of up to 1,000 OpenLineage events; each is accepted or refused by itself."""
        return self._call(ops.RecordLineageBatch(events=lineage_events.events_of(events), strict=strict), call)

    def run_open_lineage(
        self, run_id: str, *, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> Paged[dict[str, object]]:
        """The run as OpenLineage events: those it was told with, and what else Datlake knows of it."""
        op = ops.RunOpenLineage(run_id=run_id, limit=limit, cursor=cursor, namespace=self._scope(call))
        return self._pages(op, call)

    def export_open_lineage(
        self, *, since: When | None = None, limit: int = 100, cursor: str | None = None, **call: Unpack[Call]
    ) -> Paged[dict[str, object]]:
        """Everything as OpenLineage events that another lake can take, of runs that started at or after `since`.

        Of every namespace, unless `namespace=` names one: the client's own does not apply.
        """
        op = ops.ExportOpenLineage(
            since=calls.time_of(since), limit=limit, cursor=cursor, namespace=call.get("namespace") or ""
        )
        return self._pages(op, call)
