"""Which service answers which operation. A test proves that every operation has exactly one.

What jobs ask is imported with the lake. What only people and other tools ask (`ELSEWHERE`) is imported when they do: it
would be a tenth of a job's first run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

from datlake_sdk.wire.operations import (
    DiffRuns,
    ExportOpenLineage,
    Impact,
    Lineage,
    RecordLineage,
    RecordLineageBatch,
    RunOpenLineage,
    Search,
    Trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.wire.operations import Op
    from datlake_server.caller import Caller
    from datlake_server.store.base import Tx

A = TypeVar("A")
OpT = TypeVar("OpT", bound="Op[Any]")

HANDLERS: dict[type[Op[Any]], Callable[[Tx, Any, Caller], Any]] = {}
ELSEWHERE: Final[dict[type[Op[Any]], str]] = {
    DiffRuns: "diff",
    ExportOpenLineage: "openlineage_export",
    Impact: "roads",
    Lineage: "graph",
    RecordLineage: "openlineage.ingest",
    RecordLineageBatch: "openlineage.ingest",
    RunOpenLineage: "openlineage_export",
    Search: "search",
    Trace: "roads",
}


def service_of(op_type: type[Op[Any]]) -> Callable[[Tx, Any, Caller], Any]:
    """The service that answers `op_type`."""
    if op_type not in HANDLERS:
        import_module(f"datlake_server.services.{ELSEWHERE[op_type]}")
    return HANDLERS[op_type]


def handles(op_type: type[OpT]) -> Callable[[Callable[[Tx, OpT, Caller], A]], Callable[[Tx, OpT, Caller], A]]:
    """Makes the decorated function the one that answers `op_type`."""

    def register(service: Callable[[Tx, OpT, Caller], A]) -> Callable[[Tx, OpT, Caller], A]:
        HANDLERS[op_type] = service
        return service

    return register
