"""Receipts: what was answered to writes whose key is their sender's choice, so that one sent again is answered alike.

Written in the transaction of the effect and kept for `WINDOW_S`; a write whose key follows from itself needs none, its
rows say what was made. SQLite has one writer: of two with the same key the second waits for the first and finds its
receipt, so none is ever seen under way.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec
from datlake_sdk.wire.operations import Op, answer_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

A = TypeVar("A")

# A job's outbox may wait for weeks on a laptop in a drawer; what is older is still recognised by the ids in it.
WINDOW_S: Final = 30 * 24 * 3600
_WINDOW_US: Final = WINDOW_S * 1_000_000
# More than one, so that receipts go faster than they come.
_PURGED_AT_ONCE: Final = 10
_KEY_SHOWN: Final = 80


class Answered(Struct, Generic[A], frozen=True):
    """An answer; `is_replay` where it is the one of an earlier request with the same key."""

    value: A
    is_replay: bool = False


class _Receipt(Struct, frozen=True):
    op: str
    fingerprint: str
    answer: str


def is_keyed(op_type: type[Op[object]]) -> bool:
    """True for operations that take a key: they write, and their body does not say already what holds afterwards."""
    return op_type.writes and op_type.http.method != "PATCH"


def is_needed(op: Op[object], caller: Caller) -> bool:
    """True where the key is the sender's choice: it does not follow from the operation."""
    return caller.key is not None and is_keyed(type(op)) and caller.key != op.key


def once(tx: Tx, op: Op[A], key: str, effect: Callable[[], A]) -> Answered[A]:
    """The answer that this key got before, else that of `effect`, kept with it. Nothing is kept where it raises.

    Raises `InvalidRequest` (422) where the key was another request's.
    """
    fingerprint = sha256(msgspec.json.encode(op, order="sorted")).hexdigest()  # the operation's name is in it
    known = tx.one(_Receipt, "receipts.get", namespace=op.namespace, key=key, since=tx.now - _WINDOW_US)
    if known is not None:
        if known.fingerprint != fingerprint:
            raise _reused(key, known)
        return Answered(codec.decode(known.answer, answer_type(type(op))), is_replay=True)
    value = effect()
    tx.do("receipts.purge", before=tx.now - _WINDOW_US, limit=_PURGED_AT_ONCE)
    tx.do(
        "receipts.put",
        namespace=op.namespace,
        key=key,
        op=type(op).__name__,
        fingerprint=fingerprint,
        answer=msgspec.json.encode(value).decode(),
        now=tx.now,
    )
    return Answered(value)


def _reused(key: str, known: _Receipt) -> InvalidRequest:
    return InvalidRequest(
        f"the idempotency key {key[:_KEY_SHOWN]!r} came before with another request ({known.op}); take a new key for a "
        "new request, or send the same body as then to get its answer again",
        code="idempotency_key_reused",
        status=422,
    )
