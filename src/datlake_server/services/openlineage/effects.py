"""What follows from facets beside data: other names of a table, labels, and what happened to a table."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct
from msgspec.structs import asdict

from datlake_sdk.lineage.names import named_dataset
from datlake_server.services import aliases
from datlake_server.services.records import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datlake_sdk.lineage.events import Dataset, Facet
    from datlake_server.services.openlineage.batch import Batch

SYMLINK: Final = "SYMLINK"
LOCATION: Final = "LOCATION"  # as `UpdateTable` has it
_STATE_CHARACTERS: Final = 64


class _Moment(Struct, frozen=True):
    n: int


def of_dataset(batch: Batch, table_id: int, dataset: Dataset, run_id: str, at: int) -> tuple[str, str] | None:
    """What the dataset's facets make known; answers the name that it had before it was renamed, if it was."""
    if not dataset.facets:
        return None
    if facet := dataset.facets.get("symlinks"):
        _symlinks(batch, table_id, facet, at)
    if facet := dataset.facets.get("tags"):
        tag(batch, Tagged("table", subject=table_id), facet, at)
    if facet := dataset.facets.get("lifecycleStateChange"):
        return _lifecycle(batch, table_id, facet, run_id, at)
    return None


class Tagged(Struct, frozen=True):
    """What a label is on: a run, or the job or table `subject`."""

    kind: str
    run_id: str = ""
    subject: int = 0


def tag(batch: Batch, on: Tagged, facet: Facet, at: int) -> None:
    """The labels that the facet tells are there; where it is taken back, those that came before are not."""
    if facet.is_deleted:
        for step in ("openlineage.untag", "openlineage.untag_older"):
            batch.tx.do(step, at=at, **asdict(on))
        return
    for one in _mappings(facet.read().get("tags")):
        key = one.get("key")
        if not isinstance(key, str) or not key:
            continue
        value, source = _shown(one.get("value")), _shown(one.get("source"))
        batch.tx.do(
            "openlineage.tag",
            field=_shown(one.get("field")) or "",
            key=key,
            value=value,
            source=source,
            at=at,
            digest=sha256(json_text((value, source)).encode()).hexdigest(),
            **asdict(on),
        )


def _symlinks(batch: Batch, table_id: int, facet: Facet, at: int) -> None:
    if facet.is_deleted:
        batch.tx.do("openlineage.unlink_alias", table_id=table_id, at=at)
        for name in batch.symlinks_of(table_id):
            aliases.add(batch.tx, table_id, *name, SYMLINK, at, deleted=True)
        return
    until = batch.tx.one(_Moment, "openlineage.unlinked_until", table_id=table_id)
    for one in _mappings(facet.read().get("identifiers")):
        named = named_dataset(one)
        if named is not None:
            aliases.add(batch.tx, table_id, *named, SYMLINK, at, deleted=until is not None and until.n >= at)


def _lifecycle(batch: Batch, table_id: int, facet: Facet, run_id: str, at: int) -> tuple[str, str] | None:
    if facet.is_deleted:
        return None
    told = facet.read()
    state = told.get("lifecycleStateChange")
    before = told.get("previousIdentifier")
    other = named_dataset(cast("dict[str, object]", before)) if isinstance(before, dict) else None
    if not isinstance(state, str) or not state:
        return None
    batch.tx.do(
        "openlineage.lifecycle",
        table_id=table_id,
        at=at,
        state=state[:_STATE_CHARACTERS],
        run_id=run_id,
        other=batch.table_named(*other) if other else 0,
    )
    return other if state == "RENAME" else None


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, list):
        for one in cast("list[object]", value):
            if isinstance(one, dict):
                yield cast("dict[str, object]", one)


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json_text(value)
