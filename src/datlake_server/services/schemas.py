"""Reads the fields of a schema from the shapes that people have at hand. Pure; a shape it cannot read has no fields.

Understood: {name: type}; Arrow's and OpenLineage's {"fields": [{"name", "type", …}]}; a list of such fields or of
(name, type) pairs, as Polars and SQL drivers give them.
"""

from __future__ import annotations

from typing import Final

from datlake_sdk.wire.models import Field, Schema

_DEEPEST: Final = 32
_MOST: Final = 10_000


def fields_of(schema: Schema | None) -> list[Field]:
    """The fields of `schema`, nested ones inside; empty where nothing can be read."""
    return _fields(schema, 0)[:_MOST]


def _fields(schema: object, depth: int) -> list[Field]:
    if depth > _DEEPEST:
        return []
    if isinstance(schema, list):
        return [field for item in schema if (field := _field(item, depth)) is not None]
    if not isinstance(schema, dict):
        return []
    if isinstance(schema.get("fields"), list):
        return _fields(schema["fields"], depth)
    return [_named(str(name), kind, depth) for name, kind in schema.items()]


def _field(item: object, depth: int) -> Field | None:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return _named(item["name"], item.get("type"), depth, item)
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
        return _named(item[0], item[1], depth)
    return None


def _named(name: str, kind: object, depth: int, item: dict[object, object] | None = None) -> Field:
    nested = (item or {}).get("fields") or (item or {}).get("children")
    inner = nested if isinstance(nested, list) else kind if isinstance(kind, (dict, list)) else None
    nullable = (item or {}).get("nullable")
    return Field(
        name=name,
        type=_type_text(kind),
        nullable=nullable if isinstance(nullable, bool) else None,
        fields=_fields(inner, depth + 1) if inner is not None else [],
    )


def _type_text(kind: object) -> str:
    if isinstance(kind, str):
        return kind
    if isinstance(kind, dict):
        named = kind.get("type", kind.get("name"))
        return named if isinstance(named, str) else "struct"
    if isinstance(kind, list):
        return "struct"
    return "unknown" if kind is None else str(kind)
