"""Who asks: what travels beside an operation and is no part of it."""

from __future__ import annotations

from msgspec import Struct


class Caller(Struct, frozen=True, kw_only=True):
    """The request an operation came with. `key` is its idempotency key, `request_id` what finds it in the logs."""

    key: str | None = None
    request_id: str | None = None
