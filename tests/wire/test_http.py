"""An operation survives its way through an HTTP request, whatever it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datlake_sdk.errors import DatlakeError, InvalidRequest
from datlake_sdk.wire import operations
from datlake_sdk.wire.codec import checked, decode_operation, encode
from datlake_sdk.wire.http import API_PREFIX, operation_from_request, request_from_operation
from datlake_sdk.wire.ids import is_uuid, new_id, quoted
from datlake_sdk.wire.operations import OPERATIONS, Op, answer_type
from datlake_sdk.wire.problems import Problem, error_from_problem, problem_from_error
from datlake_server.http.router import Router

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
)
OPAQUE = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), PLAIN | st.lists(PLAIN, max_size=3), max_size=4
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis wants naive bounds
IDS = st.uuids().map(str)


@pytest.fixture(scope="module")
def router() -> Router[type[Op[object]]]:
    table: Router[type[Op[object]]] = Router()
    for op_type in OPERATIONS:
        for path in op_type.http.paths:
            table.add(op_type.http.method, API_PREFIX + path, op_type)
    return table


def arrived(router: Router[type[Op[object]]], op: Op[object]) -> Op[object]:
    """What a server reads from the request that carries `op`."""
    request = request_from_operation(op)
    path, _, query = request.target.partition("?")
    values = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
    found, names = router.match(request.method, path.encode())
    decoded = {name: unquote_to_bytes(value).decode() for name, value in values.items()}
    return operation_from_request(found, names, decoded, request.body or b"")


@given(
    op=st.one_of(
        st.builds(
            operations.StartRun,
            job_name=NAMES,
            namespace=NAMES,
            run_id=st.none() | IDS,
            metadata=OPAQUE,
            started_at=st.none() | TIMES,
        ),
        st.builds(
            operations.CompleteRun,
            job_name=NAMES,
            run_id=IDS,
            success=st.booleans(),
            metadata=OPAQUE,
            ended_at=st.none() | TIMES,
        ),
        st.builds(
            operations.RegisterSnapshot,
            table_name=NAMES,
            uri=NAMES,
            format=NAMES,
            schema=st.none() | OPAQUE,
            expected_version=st.none() | st.integers(0, 2**63 - 1),
        ),
        st.builds(operations.LogEvent, event_type=NAMES, data=OPAQUE, namespace=NAMES),
        st.builds(
            operations.ListRuns,
            job_name=st.none() | NAMES,
            since=st.none() | TIMES,
            limit=st.integers(1, 1000),
            state=st.sampled_from([None, "lost"]),
        ),
        st.builds(operations.GetRun, run_id=NAMES, job_name=st.none() | NAMES),
        st.builds(operations.GetTableSnapshot, table_name=NAMES, version=NAMES, namespace=NAMES),
        st.builds(operations.DiffRuns, run_id=NAMES, other=NAMES),
        st.builds(operations.ListObjects, bucket=NAMES, prefix=st.just("") | NAMES),
        st.builds(
            operations.Lineage,
            name=NAMES,
            version=st.none() | st.integers(1, 99),
            depth=st.integers(1, 100),
            as_of=st.none() | TIMES,
        ),
        st.builds(operations.UpdateTable, table_name=NAMES, owner=st.none() | NAMES | st.just(msgspec.UNSET)),
    )
)
def test_an_operation_arrives_as_it_was_sent(router: Router[type[Op[object]]], op: Op[object]) -> None:
    """Names with slashes, percents and dots, absent and null fields, times and opaque JSON."""
    assert arrived(router, op) == op


@given(name=NAMES)
def test_a_quoted_name_is_one_ascii_segment(name: str) -> None:
    """No client collapses it, no proxy splits it."""
    text = quoted(name)
    assert text.isascii()
    assert not set(text) & set("/?#& ")
    assert text not in {".", ".."}
    assert unquote_to_bytes(text).decode() == name


@given(job_name=NAMES, metadata=OPAQUE)
def test_an_operation_is_a_value_that_can_be_kept(job_name: str, metadata: dict[str, object]) -> None:
    """A journal holds bytes; reading them gives the same operation."""
    op = operations.StartRun(job_name=job_name, metadata=metadata)
    assert decode_operation(encode(op)) == checked(op) == op


@pytest.mark.parametrize(
    "op",
    [
        operations.StartRun(job_name=""),
        operations.StartRun(job_name="a\nb"),
        operations.StartRun(job_name="x" * 2049),
        operations.StartRun(job_name="j", run_id="7"),
        operations.StartRun(job_name="j", run_id=new_id() + "\n"),
        operations.ListRuns(limit=0),
        operations.RegisterSnapshot(table_name="t", uri="", format="csv"),
        operations.StartRun(job_name="\ud800"),
        operations.StartRun(job_name="j", metadata={"a": object()}),
    ],
)
def test_what_http_would_refuse_the_process_refuses(op: Op[object]) -> None:
    """Constructors validate nothing, so both roads go through this."""
    with pytest.raises(InvalidRequest):
        checked(op)


@given(
    status=st.integers(400, 599),
    code=NAMES,
    detail=NAMES,
    run_id=st.none() | IDS,
    version=st.none() | st.integers(0, 99),
)
def test_an_error_is_the_same_at_both_ends(
    status: int, code: str, detail: str, run_id: str | None, version: int | None
) -> None:
    """Embedded and HTTP raise one class for one cause, with all its facts."""
    problem = Problem(status=status, code=code, detail=detail, run_id=run_id, request_id="r", current_version=version)
    error = error_from_problem(problem)
    again = error_from_problem(msgspec.json.decode(msgspec.json.encode(problem_from_error(error)), type=Problem))
    assert type(again) is type(error)
    assert _facts(again) == _facts(error)


def test_every_operation_says_where_it_lives_and_what_it_answers() -> None:
    """The one table is complete and without doubles."""
    places = [(op_type.http.method, path) for op_type in OPERATIONS for path in op_type.http.paths]
    assert len(places) == len(set(places))
    assert all(answer_type(op_type) is not None and op_type.__doc__ for op_type in OPERATIONS)


@given(now_ms=st.integers(0, 2**48 - 1))
def test_ids_sort_by_time(now_ms: int) -> None:
    """UUIDv7: an index on them grows at its end."""
    early, late = new_id(now_ms), new_id(min(now_ms + 1, 2**48 - 1))
    assert is_uuid(early)
    assert early[14] == "7"
    assert early[:13] <= late[:13]


def _facts(error: DatlakeError) -> dict[str, object]:
    return {name: value for name, value in vars(error).items() if not name.startswith("_")}
