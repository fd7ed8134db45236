"""Which service answers which operation. A test proves that every operation has exactly one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.wire.operations import Op
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

A = TypeVar("A")
OpT = TypeVar("OpT", bound="Op[Any]")

HANDLERS: dict[type[Op[Any]], Callable[[Tx, Any, Caller], Any]] = {}


def handles(op_type: type[OpT]) -> Callable[[Callable[[Tx, OpT, Caller], A]], Callable[[Tx, OpT, Caller], A]]:
    """Makes the decorated function the one that answers `op_type`."""

    def register(service: Callable[[Tx, OpT, Caller], A]) -> Callable[[Tx, OpT, Caller], A]:
        HANDLERS[op_type] = service
        return service

    return register
