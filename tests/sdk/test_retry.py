"""When the SDK tries again: read from values, without a clock and without a socket."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datlake_sdk.errors import Conflict, NotFound, ServerError, TransientNetworkError
from datlake_sdk.transport.retry import (
    ONCE,
    RETRY_AFTER_CAP_S,
    Budget,
    FailedAttempt,
    Policy,
    is_retried,
    retried,
    retry_after_s,
)
from datlake_sdk.wire.problems import error_class

CHANCES = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0, 1e6)


@given(failed=st.integers(1, 20), left_s=SECONDS, chance=CHANCES)
def test_a_pause_is_drawn_whole_and_never_longer_than_the_cap(failed: int, left_s: float, chance: float) -> None:
    """Full jitter: clients that failed together do not come back together."""
    pause = Policy().pause_s(failed, left_s, lambda: chance)
    if pause is not None:
        assert pause == chance * min(8.0, 0.1 * 2 ** (failed - 1))
        assert pause < left_s


@given(failed=st.integers(5, 100), left_s=SECONDS)
def test_there_are_at_most_five_attempts(failed: int, left_s: float) -> None:
    """A server in trouble is not helped by more."""
    assert Policy().pause_s(failed, left_s, lambda: 0.0) is None


@given(asked=SECONDS, left_s=SECONDS, chance=CHANCES)
def test_what_the_server_asks_for_is_waited_in_full_or_not_at_all(asked: float, left_s: float, chance: float) -> None:
    """Coming back early is what it asked us not to do; when the time is not there, giving up at once is kinder."""
    pause = Policy().pause_s(1, left_s, lambda: chance, asked)
    if asked >= left_s:
        assert pause is None
    elif pause is not None:
        assert min(asked, RETRY_AFTER_CAP_S) <= pause < left_s


@given(text=st.text(max_size=100) | st.floats().map(str) | st.integers().map(str))
def test_retry_after_is_finite_and_not_negative_or_nothing(text: str) -> None:
    """It comes from anywhere: `1e999`, `nan` and `-5` have all been seen."""
    seconds = retry_after_s(text, 0.0)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (formatdate(1_000_010, usegmt=True), 10.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("soon", None),
        ("", None),
        (None, None),
        ("1" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, 1_000_000.0) == seconds


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_answers_that_may_change_are_asked_for_again(status: int) -> None:
    """Every write carries its key, so asking twice counts once."""
    assert is_retried(error_class(status)("x", status=status))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 501, 507])
def test_answers_that_will_not_change_are_final(status: int) -> None:
    assert not is_retried(error_class(status)("x", status=status))


def test_an_operation_in_progress_is_waited_for() -> None:
    """The first sending of the same key is being worked on; its answer is ours."""
    assert is_retried(Conflict("x", code="operation_in_progress"))


def test_the_same_call_is_made_until_it_succeeds() -> None:
    """The pauses are those of the policy."""
    errors = [FailedAttempt(TransientNetworkError("x"), is_final=False) for _ in range(3)]
    pauses: list[float] = []

    def send() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    assert (
        retried(send, policy=Policy(), budget=Budget(), left_s=lambda: 9.0, wait=pauses.append, chance=lambda: 0.5)
        == "answer"
    )
    assert pauses == [0.05, 0.1, 0.2]


@pytest.mark.parametrize(("policy", "is_final"), [(Policy(), True), (ONCE, False)])
def test_a_final_error_leaves_at_once(policy: Policy, is_final: bool) -> None:
    """A name that is not there is not there a second later either."""

    def send() -> str:
        raise FailedAttempt(NotFound("no such table"), is_final=is_final)

    with pytest.raises(NotFound, match="no such table"):
        retried(send, policy=policy, budget=Budget(), left_s=lambda: 9.0, wait=_never, chance=lambda: 0.0)


def test_a_long_retry_after_ends_the_call_at_once() -> None:
    """Waiting until the deadline only to fail helps nobody."""

    def send() -> str:
        raise FailedAttempt(ServerError("busy", status=503), is_final=False, retry_after_s=30.0)

    with pytest.raises(ServerError):
        retried(send, policy=Policy(), budget=Budget(), left_s=lambda: 5.0, wait=_never, chance=lambda: 0.0)


@given(calls=st.lists(st.booleans(), max_size=400))
def test_retries_are_twenty_and_a_tenth_of_the_successes(calls: list[bool]) -> None:
    """However many calls fail, what the lake is asked in addition stays small."""
    budget, spent, earned = Budget(), 0, 0
    for is_success in calls:
        if is_success:
            budget.earn()
            earned += 1
        else:
            spent += budget.spend()
    assert spent <= 20 + earned / 10
    assert earned or spent == min(20, len(calls))


def test_ten_successes_earn_a_retry_and_no_more_than_twenty_are_saved() -> None:
    """A week of good calls is no reason for a thousand retries."""
    budget = Budget()
    for _ in range(1_000):
        budget.earn()
    assert [budget.spend() for _ in range(21)] == [True] * 20 + [False]
    for _ in range(10):
        budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]


def test_a_call_without_budget_fails_at_its_first_error() -> None:
    """It would only add to what the lake cannot bear."""
    budget = Budget(retries=2)

    def send() -> str:
        raise FailedAttempt(ServerError("busy", status=503), is_final=False)

    pauses: list[float] = []
    for _ in range(3):
        with pytest.raises(ServerError):
            retried(send, policy=Policy(), budget=budget, left_s=lambda: 9.0, wait=pauses.append, chance=lambda: 0.5)
    assert pauses == [0.05, 0.1]


def test_a_success_pays_into_the_budget() -> None:
    budget = Budget(retries=1)
    assert budget.spend()
    for _ in range(10):
        retried(lambda: 1, policy=Policy(), budget=budget, left_s=lambda: 9.0, wait=_never, chance=lambda: 0.0)
    assert budget.spend()


def _never(_: float) -> None:
    pytest.fail("nothing was to be waited for")
