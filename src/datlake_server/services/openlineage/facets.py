"""Facets as a batch of events leaves them: the later of two stays, then the one with the greater digest.

Those that something follows from are looked at before they are written; all are written at once, at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from datlake_sdk.lineage.events import Facet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_server.store.base import Tx


class Owner(Struct, frozen=True):
    """Whose facets they are; see the table of facets."""

    kind: str
    run_id: str = ""
    subject: int = 0


class _Stored(Struct, frozen=True, gc=False):
    name: str
    value: str
    at: int
    digest: str


class Facets:
    """The facets of one transaction."""

    def __init__(self, tx: Tx) -> None:
        """Nothing is read or written yet."""
        self._tx = tx
        self._seen: dict[Owner, dict[str, _Stored]] = {}
        self._new: dict[Owner, dict[str, _Stored]] = {}

    def put(self, owner: Owner, facets: Mapping[str, Facet], at: int) -> None:
        """The facets are told of the owner at that moment."""
        if not facets:
            return
        new = self._new.setdefault(owner, {})
        known = self._seen.get(owner, new)
        for name, facet in facets.items():
            before = known.get(name)
            if before is None or (before.at, before.digest) < (at, facet.digest):
                known[name] = new[name] = _Stored(name, facet.value, at, facet.digest)

    def watch(self, owner: Owner, *, is_new: bool = False) -> dict[str, str]:
        """The digests of the owner's facets by name, before more is told; `is_new` where none are stored."""
        known = self._seen.get(owner)
        if known is None:
            known = {} if is_new else {row.name: row for row in self._read(owner)}
            for name, row in self._new.get(owner, {}).items():
                before = known.get(name)
                if before is None or (before.at, before.digest) < (row.at, row.digest):
                    known[name] = row
            self._seen[owner] = known
        return {name: row.digest for name, row in known.items()}

    def said(self, owner: Owner, name: str) -> dict[str, object] | None:
        """What the facet says now; null where it is not there or was taken back. The owner must be watched."""
        facet = self.facet(owner, name)
        return None if facet is None else facet.read()

    def facet(self, owner: Owner, name: str) -> Facet | None:
        """The facet as it stands; null where it is not there or was taken back. The owner must be watched."""
        row = self._seen[owner].get(name)
        facet = None if row is None else Facet(row.value, row.digest)
        return None if facet is None or facet.is_deleted else facet

    def told_at(self, owner: Owner, name: str) -> int:
        """When the facet that is there was told. The owner must be watched."""
        return self._seen[owner][name].at

    def flush(self) -> None:
        """What was told is stored."""
        rows = [
            (owner.kind, owner.run_id, owner.subject, name, row.value, row.at, row.digest)
            for owner, new in self._new.items()
            for name, row in new.items()
        ]
        self._tx.do_each("openlineage.put_facet", rows)
        self._new.clear()

    def _read(self, owner: Owner) -> list[_Stored]:
        return self._tx.all(_Stored, "openlineage.facets", kind=owner.kind, run_id=owner.run_id, subject=owner.subject)
