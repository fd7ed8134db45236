"""What this process saw a run read and write: for the card at its end, and for whoever else is told of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from datlake_sdk._registered import RegisteredSnapshot, version_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_sdk.terminal import Read, Written
    from datlake_sdk.wire.models import DataRef, Run, Snapshot

    Role = Literal["input", "output"]


class Notes:
    """Owned by one run. `keeps` what names data in full, too, where somebody will ask for it."""

    def __init__(self) -> None:
        """Nothing was read or written."""
        self.keeps = False
        self.inputs: list[Read] = []
        self.outputs: list[Written] = []
        self.refs: list[tuple[Role, DataRef]] = []
        self.snapshots: dict[str, Snapshot] = {}

    def read(self, snapshot: Snapshot) -> None:
        """The run reads the snapshot."""
        self.inputs.append((snapshot.table_name, snapshot.version or None))
        if self.keeps:
            self.snapshots[snapshot.snapshot_id] = snapshot

    def named(self, role: Role, refs: Sequence[DataRef], run: Run | None) -> None:
        """The run names these; `run` is what the lake answered, where it did."""
        shown = [ref.table_name or ref.uri or "" for ref in refs if ref.snapshot_id is None]
        if role == "input":
            self.inputs.extend((name, version_in(run, name)) for name in shown)
        else:
            self.outputs.extend((name, None, None, None) for name in shown)
        if self.keeps:
            self.refs.extend((role, ref) for ref in refs)

    def wrote(self, answer: RegisteredSnapshot, snapshot: Snapshot) -> RegisteredSnapshot:
        """`answer`, which is what the job gets; the run registered the snapshot."""
        self.outputs.append((answer["table_name"], answer["version"], answer["row_count"], answer["size_bytes"]))
        if self.keeps:
            self.snapshots[snapshot.snapshot_id] = snapshot
        return answer
