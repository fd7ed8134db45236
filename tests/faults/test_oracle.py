"""The oracle notices: each kind of trouble, made on purpose, is told as that kind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from datlake_sdk import DatlakeClient
from datlake_sdk.wire.operations import AddInputs, CompleteRun, LogEvents, Op, RegisterSnapshot, StartRun
from tests.faults.load import life
from tests.faults.oracle import Ledger, judge, passes_afresh
from tests.places import Place


@pytest.fixture
def lake(tmp_path: Path) -> DatlakeClient:
    """An embedded lake of its own."""
    return Place(str(tmp_path / "lake"), tmp_path, "default").client()


def ledger_of(ops: list[Op[object]]) -> Ledger:
    """All of them issued and acknowledged."""
    keyed = {str(op.key): op for op in ops}
    return Ledger(keyed, set(keyed), [], [])


def test_it_finds_nothing_where_nothing_went_wrong(lake: DatlakeClient) -> None:
    ops = [op for number in range(6) for op in life(1, number)]
    for op in ops:
        lake.call(op)
        lake.call(op)
    verdict = judge(lake, ledger_of(ops))
    assert verdict.is_clean, str(verdict)
    assert (verdict.issued, verdict.facts) == (30, 48)
    assert passes_afresh(lake)


@pytest.mark.parametrize("kind", [StartRun, AddInputs, RegisterSnapshot, LogEvents, CompleteRun])
def test_it_misses_each_kind_of_operation(lake: DatlakeClient, kind: type[Op[object]]) -> None:
    """Acknowledged and not there: the loss that every loop looks for."""
    ops = list(life(1, 1))
    for op in ops:
        if not isinstance(op, kind):
            lake.call(op)
    verdict = judge(lake, ledger_of(ops))
    assert verdict.lost, str(verdict)


def test_it_sees_what_nobody_issued_and_what_was_changed(lake: DatlakeClient) -> None:
    ops = list(life(1, 1))
    for op in ops:
        lake.call(msgspec.structs.replace(op, row_count=7) if isinstance(op, RegisterSnapshot) else op)
    verdict = judge(lake, ledger_of(ops))
    assert [fact[0] for fact in verdict.foreign] == ["snapshot"]
    for op in life(2, 1):
        lake.call(op)
    assert {"start", "event", "ending"} <= {fact[0] for fact in judge(lake, ledger_of(ops)).foreign}


def test_what_was_issued_and_not_acknowledged_may_be_there_or_not(lake: DatlakeClient) -> None:
    """Nobody was told, so both are right."""
    ops = list(life(1, 1))
    ledger = ledger_of(ops)._replace(acked=set())
    assert judge(lake, ledger).is_clean
    for op in ops:
        lake.call(op)
    assert judge(lake, ledger).is_clean
