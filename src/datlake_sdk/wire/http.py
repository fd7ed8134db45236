"""How an operation looks as an HTTP request, and back. Pure: no socket, no framework."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar, get_args, get_type_hints

import msgspec

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import DEFAULT_NAMESPACE, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datlake_sdk.wire.operations import Op

T = TypeVar("T")

API_PREFIX: Final = "/api/v1"
BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
# `with` reads well in a URL and is a keyword in Python.
_QUERY_NAMES: Final = {"other": "with"}
_INTEGER: Final = re.compile(r"-?[0-9]{1,30}")
_TRUTHS: Final = frozenset({"true", "false"})
_FIELD_NAMES: Final = {query: field for field, query in _QUERY_NAMES.items()}


class Request(msgspec.Struct, frozen=True):
    """An operation ready to be sent: `target` is the path with its query, `body` is JSON or null."""

    method: str
    target: str
    body: bytes | None


def request_from_operation(op: Op[T]) -> Request:
    """The request that carries `op`."""
    body: bytes | None = None
    if op.body_field is not None:
        body = codec.encode(getattr(op, op.body_field))
        op = msgspec.structs.replace(op, **{op.body_field: ()})  # opaque JSON is nothing that can be converted
    values = msgspec.to_builtins(op)
    values.pop(op.body_field, None)
    values.pop("op")
    # Absent where it is the operation's own default, which is not the same for all.
    query = {"namespace": values.pop("namespace")} if "namespace" in values else {}
    path = _fill(op.http.paths, values)
    if body is not None:
        return Request(op.http.method, API_PREFIX + path + query_string(query | values), body)
    if op.http.method in BODY_METHODS:
        return Request(op.http.method, API_PREFIX + path + query_string(query), codec.encode(values))
    return Request(op.http.method, API_PREFIX + path + query_string(query | values), None)


def operation_from_request(
    op_type: type[Op[T]], names: Mapping[str, str], query: Mapping[str, str], body: bytes
) -> Op[T]:
    """The operation that a request carries; `names` are the decoded path parameters.

    Raises `InvalidRequest` with the path of the field and the reason.
    """
    if op_type.body_field is not None:
        whole = codec.decode(body, msgspec.Raw)  # one value of JSON and nothing behind it
        return codec.decode(codec.encode({**_typed(op_type, query), op_type.body_field: whole}), op_type)
    if op_type.http.method not in BODY_METHODS:
        values = {_FIELD_NAMES.get(name, name): value for name, value in query.items()}
        return codec.operation_from(_typed(op_type, values) | dict(names), op_type)
    fields = _body_fields(body)
    if op_type.http.method != "PATCH":  # there null clears; elsewhere older clients write it for what they leave out
        fields = {name: value for name, value in fields.items() if value is not None}
    stated = fields.get("job_name")
    if "job_name" in names and stated is not None and stated != names["job_name"]:
        raise InvalidRequest(
            f"the body names job {stated!r}, the path names job {names['job_name']!r}; send one of them",
            code="job_mismatch",
            status=400,
        )
    scope = {"namespace": query["namespace"]} if "namespace" in query else {}
    return codec.operation_from({**fields, **scope, **names}, op_type)


def query_string(values: Mapping[str, object]) -> str:
    """`values` as a query, `?` included; empty where there are none."""
    pairs = [f"{query_name(name)}={quoted(_shown(value))}" for name, value in values.items()]
    return "?" + "&".join(pairs) if pairs else ""


def query_name(field: str) -> str:
    """How the field of an operation is called in a query."""
    return _QUERY_NAMES.get(field, field)


def object_target(bucket: str, object_name: str, namespace: str) -> str:
    """The path and query of an object's bytes. Raises `InvalidRequest` for an empty name, which no path can hold."""
    if not (bucket and object_name.strip("/") and namespace):
        raise InvalidRequest("buckets, objects and namespaces have names, an object's more than slashes; give them")
    parts = "/".join(quoted(part) for part in object_name.split("/"))
    query = {} if namespace == DEFAULT_NAMESPACE else {"namespace": namespace}
    return f"{API_PREFIX}/datasets/{quoted(bucket)}/{parts}{query_string(query)}"


def _body_fields(body: bytes) -> dict[str, object]:
    if not body.strip():
        return {}
    fields = codec.decode(body, dict[str, object])
    fields.pop("op", None)
    return fields


def _fill(paths: tuple[str, ...], values: dict[str, object]) -> str:
    for path in paths:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if all(name in values for name in names):
            for name in names:
                path = path.replace("{" + name + "}", quoted(str(values.pop(name))))  # noqa: PLW2901 -- filled in place
            return path
    message = f"{paths[-1]}: a name in the path is missing"
    raise InvalidRequest(message)


def _typed(op_type: type[Op[T]], values: Mapping[str, str]) -> dict[str, object]:
    """`values` with whole numbers and booleans read as such. msgspec's lax mode would also take `123` for a time."""
    numbers, truths = _fields_of(op_type, int), _fields_of(op_type, bool)
    typed: dict[str, object] = dict(values)
    typed.update({name: int(value) for name, value in values.items() if name in numbers and _INTEGER.fullmatch(value)})
    typed.update({name: value == "true" for name, value in values.items() if name in truths and value in _TRUTHS})
    return typed


@cache
def _fields_of(op_type: type[object], kind: type[object]) -> frozenset[str]:
    """The fields of an operation that hold a `kind`, optional or not."""
    return frozenset(name for name, hint in get_type_hints(op_type).items() if kind in (hint, *get_args(hint)))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
