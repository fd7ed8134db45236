"""Operations and answers to and from bytes. Coders are built at first use: each costs about a millisecond."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.operations import OPERATIONS, Op

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
# While msgspec learns a type that holds others, a second thread that uses it finds it half learned, and the process
# dies of that (a segmentation fault in 6 of 60 first uses by eight threads). So one thread at a time, and no fork.
_LEARNING = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LEARNING.acquire, after_in_parent=_LEARNING.release, after_in_child=_LEARNING.release)
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError)


def encode(value: object) -> bytes:
    """`value` as JSON. Raises `InvalidRequest` for what JSON cannot hold."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, *UNREADABLE) as error:
        raise InvalidRequest(f"this cannot be written as JSON: {error}; pass plain values") from error


def decode(data: bytes | str, kind: type[T]) -> T:
    """`data` read as a `kind`. Raises `InvalidRequest` with the path of the field and the reason."""
    try:
        return cast("T", decoder(cast("Hashable", kind)).decode(data))
    except UNREADABLE as error:
        raise unreadable(error) from error


def checked(op: Op[T]) -> Op[T]:
    """`op` as the other end of a wire would read it: validated, and proven to be writable to a journal."""
    return decode(encode(op), type(op))


def decode_operation(data: bytes) -> Op[object]:
    """Any operation from its tagged JSON."""
    try:
        return _any_operation().decode(data)
    except UNREADABLE as error:
        raise unreadable(error) from error


def operation_from(values: Mapping[str, object], op_type: type[Op[T]], *, strict: bool = True) -> Op[T]:
    """An operation from decoded values; `strict=False` also reads numbers and truths from text, as a query has them."""
    decoder(op_type)  # learned by now, or by another thread half-way
    try:
        return msgspec.convert(values, op_type, strict=strict)
    except UNREADABLE as error:
        raise unreadable(error) from error


def unreadable(error: Exception) -> InvalidRequest:
    """The refusal for input that `error` says cannot be read; malformed JSON is a 400, a wrong value a 422."""
    if isinstance(error, msgspec.ValidationError):
        return InvalidRequest(f"the request is not valid: {error}", code="invalid", status=422)
    return InvalidRequest(f"the request cannot be read: {error}", code="malformed", status=400)


@cache
def decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    """The decoder of the type `kind`, built once."""
    with _LEARNING:
        return msgspec.json.Decoder(cast("type[Any]", kind))


@cache
def _any_operation() -> msgspec.json.Decoder[Op[object]]:
    union: Any = OPERATIONS[0]
    for op_type in OPERATIONS[1:]:
        union = union | op_type
    with _LEARNING:
        return cast("msgspec.json.Decoder[Op[object]]", msgspec.json.Decoder(union))
