"""The lake keeps what it answered to keys of its callers' choice, for a month, with the effect or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire.ids import new_id
from datlake_sdk.wire.models import DataRef
from datlake_sdk.wire.operations import AddInputs, DescribeRun, Events, LogEvent, LogEvents, Op, StartRun
from datlake_server.caller import Caller
from datlake_server.lake import Lake
from datlake_server.services.receipts import Answered

DAY_US = 24 * 3600 * 1_000_000
START_US = 1_790_000_000_000_000


class Clock:
    """Tells what it was set to."""

    def __init__(self) -> None:
        self.now = START_US

    def __call__(self) -> int:
        """Microseconds since 1970."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The lake's."""
    return Clock()


@pytest.fixture
def lake(tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    """A lake whose time is the test's."""
    opened = Lake.open(str(tmp_path), clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """One lake for many examples, each in a namespace of its own."""
    opened = Lake.open(str(tmp_path_factory.mktemp("lake")))
    yield opened
    opened.close()


def receipts(home: Path) -> int:
    """How many are kept."""
    connection = apsw.Connection(str(home / "lake.db"))
    try:
        return int(str(connection.execute("SELECT count(*) FROM receipts").fetchall()[0][0]))
    finally:
        connection.close()


def told(number: int, key: str, namespace: str = "default") -> tuple[LogEvent, Caller]:
    """An event, and who sends it."""
    return LogEvent(namespace=namespace, event_type="told", data={"n": number}), Caller(key=key)


sent = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 2), st.sampled_from([LogEvent, StartRun])), max_size=10
)


@given(sent)
@settings(max_examples=100, deadline=None)
def test_a_key_is_answered_as_it_was_first(shared: Lake, requests: list[tuple[str, int, type[Op[object]]]]) -> None:
    """Whatever is sent in whatever order: one effect a key, its answer for the same request, a refusal for another."""
    namespace, run_id = new_id(), new_id()
    shared.dispatch(StartRun(namespace=namespace, job_name="j", run_id=run_id))
    first: dict[str, tuple[object, object]] = {}
    for key, number, kind in requests:
        op: Op[object] = (
            LogEvent(namespace=namespace, event_type="told", data={"n": number}, run_id=run_id)
            if kind is LogEvent
            else StartRun(namespace=namespace, job_name="j", metadata={"n": number})
        )
        if key in first and first[key][0] != op:
            with pytest.raises(InvalidRequest) as refused:
                shared.answer(op, Caller(key=key))
            assert (refused.value.code, refused.value.status) == ("idempotency_key_reused", 422)
            continue
        answered = shared.answer(op, Caller(key=key))
        assert answered.is_replay == (key in first)
        assert answered.value == first.setdefault(key, (op, answered.value))[1]
    events = shared.dispatch(Events(namespace=namespace, run_id=run_id)).items
    assert len(events) == sum(isinstance(op, LogEvent) for op, _ in first.values())


def test_a_key_is_known_for_thirty_days(lake: Lake, clock: Clock) -> None:
    """Longer than a laptop stays in a drawer; not for ever, or the lake would keep every answer."""
    run_id = new_id()
    ops = [AddInputs(job_name="j", run_id=run_id, items=[DataRef(table_name=name)]) for name in ("t", "u")]
    first = lake.answer(ops[0], Caller(key="k")).value
    clock.now += 30 * DAY_US
    assert lake.answer(ops[0], Caller(key="k")) == Answered(first, is_replay=True)
    with pytest.raises(InvalidRequest):
        lake.answer(ops[1], Caller(key="k"))
    clock.now += 1
    later = lake.answer(ops[1], Caller(key="k"))
    assert (len(later.value.inputs), later.is_replay) == (2, False)
    assert lake.answer(ops[1], Caller(key="k")).is_replay


def test_what_a_key_made_is_known_by_its_id_for_ever(lake: Lake, clock: Clock) -> None:
    """An outbox may be older than any receipt."""
    first = lake.dispatch(*told(1, "k"))
    clock.now += 31 * DAY_US
    assert lake.answer(*told(1, "k")) == Answered(first, is_replay=False)


def test_old_receipts_go_as_new_ones_come(lake: Lake, clock: Clock, tmp_path: Path) -> None:
    """A few at a time: no write pays for a month of others."""
    for number in range(25):
        lake.dispatch(*told(number, f"old-{number}"))
    clock.now += 31 * DAY_US
    kept = []
    for number in range(4):
        lake.dispatch(*told(number, f"new-{number}"))
        kept.append(receipts(tmp_path))
    assert kept == [16, 7, 3, 4]


def test_what_has_a_key_of_its_own_leaves_no_receipt(lake: Lake, tmp_path: Path) -> None:
    """The jobs of the SDK: their ids are in the rows, which are kept for ever."""
    run_id = new_id()
    ops: list[Op[object]] = [
        StartRun(job_name="j", run_id=run_id),
        AddInputs(job_name="j", run_id=run_id, items=[]),
        LogEvent(event_type="told", event_id=new_id()),
        LogEvents(events=[]),
        DescribeRun(job_name="j", run_id=run_id),
    ]
    for op in ops:
        assert not any(lake.answer(op, Caller(key=op.key)).is_replay for _ in range(2))
    for op in (DescribeRun(job_name="j", run_id=run_id, metadata={"n": n}) for n in range(2)):
        assert not lake.answer(op, Caller(key="theirs")).is_replay  # says what is to hold, so it may be sent again
    assert receipts(tmp_path) == 0


def test_a_receipt_is_kept_with_its_effect_or_not_at_all(lake: Lake, tmp_path: Path) -> None:
    """Else a key would stand for something that never was."""
    run_id = new_id()
    lake.dispatch(StartRun(namespace="theirs", job_name="j", run_id=run_id))
    with pytest.raises(InvalidRequest):
        lake.dispatch(LogEvent(event_type=""), Caller(key="k"))
    refused = LogEvent(event_type="told", job_name="j", run_id=run_id)
    for _ in range(2):
        with pytest.raises(Exception, match="there is no run"):
            lake.answer(refused, Caller(key="k"))
    assert receipts(tmp_path) == 0
    assert not lake.answer(*told(1, "k")).is_replay
