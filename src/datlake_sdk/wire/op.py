"""What an operation is: a value that says what it answers, and where it lives under `/api/v1`."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from msgspec import Meta, Struct, json

from datlake_sdk.wire.ids import DEFAULT_NAMESPACE, Name

A = TypeVar("A", covariant=True)

Limit = Annotated[int, Meta(ge=1, le=1000)]
Depth = Annotated[int, Meta(ge=1, le=100)]
MaxNodes = Annotated[int, Meta(ge=1, le=5000)]
Cursor = Annotated[str, Meta(max_length=4096)]
Prose = Annotated[str, Meta(max_length=4096)]
Method = Literal["GET", "POST", "PUT", "PATCH"]


class Route(Struct, frozen=True):
    """Where an operation lives under `/api/v1`. `shorter` is a second path that leaves some names out."""

    method: Method
    path: str
    status: int = 200
    shorter: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths of the operation, the most specific first."""
        return (self.path,) if self.shorter is None else (self.path, self.shorter)


class Op(Struct, Generic[A], frozen=True, kw_only=True, tag=True, tag_field="op", omit_defaults=True):
    """An operation that answers an `A`."""

    http: ClassVar[Route]
    writes: ClassVar[bool] = False
    body_field: ClassVar[str | None] = None
    """The field that is the whole body; the others travel in the query then."""

    namespace: Name = DEFAULT_NAMESPACE

    @property
    def key(self) -> str | None:
        """The idempotency key, the same however often the operation is sent; null where the sender mints one."""
        return None


def digest_of(value: object) -> str:
    """A short digest of `value`, for the keys of operations."""
    return sha256(json.encode(value)).hexdigest()[:32]
