"""Reads the fields of a schema from the shapes that people have at hand. Pure; a shape it cannot read has no fields.

Understood: {name: type}; Arrow's and OpenLineage's {"fields": [{"name", "type", …}]}; a list of such fields or of
(name, type) pairs, as Polars and SQL drivers give them.
"""

from __future__ import annotations

from typing import Final, cast

from datlake_sdk.wire.models import Field, Schema

_DEEPEST: Final = 32
_MOST: Final = 10_000
_PAIR: Final = 2


def fields_of(schema: Schema | None) -> list[Field]:
    """The fields of `schema`, nested ones inside; empty where nothing can be read."""
    return _fields(schema, 0)[:_MOST]


def _fields(schema: object, depth: int) -> list[Field]:
    if depth > _DEEPEST:
        return []
    if (items := _list(schema)) is not None:
        return [field for item in items if (field := _field(item, depth)) is not None]
    named = _dict(schema) or {}
    listed = _list(named.get("fields"))
    return _fields(listed, depth) if listed is not None else [_named(name, kind, depth) for name, kind in named.items()]


def _field(item: object, depth: int) -> Field | None:
    facts, pair = _dict(item), _list(item)
    if facts is not None and isinstance(name := facts.get("name"), str):
        return _named(name, facts.get("type"), depth, facts)
    if pair is not None and len(pair) == _PAIR and isinstance(pair[0], str):
        return _named(pair[0], pair[1], depth)
    return None


def _named(name: str, kind: object, depth: int, facts: dict[str, object] | None = None) -> Field:
    facts = facts or {}
    nested = _list(facts.get("fields") or facts.get("children"))
    inner: object = nested if nested is not None else kind
    nullable = facts.get("nullable")
    return Field(
        name=name,
        type=_type_text(kind),
        nullable=nullable if isinstance(nullable, bool) else None,
        fields=_fields(inner, depth + 1),
    )


def _type_text(kind: object) -> str:
    if isinstance(kind, str):
        return kind
    if (facts := _dict(kind)) is not None:
        named = facts.get("type", facts.get("name"))
        return named if isinstance(named, str) else "struct"
    if isinstance(kind, list):
        return "struct"
    return "unknown" if kind is None else str(kind)


def _dict(value: object) -> dict[str, object] | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _list(value: object) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None
