"""Every decoder answers any bytes with a value or with `InvalidRequest`, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datlake_sdk.errors import InvalidRequest
from datlake_sdk.transport.answers import Received, value_from
from datlake_sdk.transport.retry import FailedAttempt, retry_after_s
from datlake_sdk.wire import codec
from datlake_sdk.wire.http import operation_from_request, request_from_operation
from datlake_sdk.wire.models import Graph, Page, Run, Snapshot
from datlake_sdk.wire.operations import OPERATIONS, Op
from datlake_sdk.wire.problems import CONTENT_TYPE
from datlake_server.http.endpoint import key_from_header
from datlake_server.http.router import Router
from datlake_server.services.pages import moment_before, name_after, number_after
from datlake_server.services.schemas import fields_of

FEW = settings(max_examples=150, deadline=None)

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**40) | st.just("\x00")
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
fields = sorted({name for op_type in OPERATIONS for name in op_type.__struct_fields__})
bodies = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    values.map(msgspec.json.encode),
    st.dictionaries(st.sampled_from(fields), values, max_size=6).map(msgspec.json.encode),
    st.builds(
        lambda op, rest: msgspec.json.encode({"op": op.__name__, **rest}),
        st.sampled_from(OPERATIONS),
        st.dictionaries(st.sampled_from(fields), values, max_size=6),
    ),
    st.integers(1, 3000).map(lambda depth: b"[" * depth),
    st.integers(1, 3000).map(lambda depth: b'{"metadata":' * depth),
)


def answered_or_refused(work: Callable[[], object]) -> object:
    """What `work` answers, or null where it refuses as a decoder may."""
    try:
        return work()
    except InvalidRequest as error:
        assert error.message  # noqa: PT017 -- it may also be answered
        assert error.status in {400, 422}  # noqa: PT017 -- as above
        return None


@given(bodies)
@example(b'{"op":"StartRun","job_name":"\\ud800"}')
@example(b'{"op":"StartRun","job_name":"j","metadata":{"a":1e999}}')
@example(b"")
@FEW
def test_an_operation_from_any_bytes(body: bytes) -> None:
    """What is read can be written again: it will stand in a journal."""
    op = answered_or_refused(lambda: codec.decode_operation(body))
    if op is not None:
        assert isinstance(op, Op)
        assert codec.decode_operation(codec.encode(op)) == op or "NaN" in repr(op)


@pytest.mark.parametrize("op_type", OPERATIONS, ids=lambda op: op.__name__)
def test_a_request_of_any_bytes(op_type: type[Op[object]]) -> None:
    """Names, query and body come from anybody; what is accepted can be sent on."""

    @given(
        st.dictionaries(st.sampled_from(op_type.__struct_fields__), st.text(max_size=40), max_size=4),
        st.dictionaries(st.sampled_from(op_type.__struct_fields__) | st.text(max_size=5), st.text(max_size=40)),
        bodies,
    )
    @settings(max_examples=25, deadline=None)
    def fuzz(names: dict[str, str], query: dict[str, str], body: bytes) -> None:
        op = answered_or_refused(lambda: operation_from_request(op_type, names, query, body))
        if op is not None:
            assert isinstance(op, Op)
            answered_or_refused(lambda: request_from_operation(codec.checked(op)))

    fuzz()


@given(st.sampled_from([Run, Snapshot, Graph, Page[Run]]), bodies, st.integers(100, 599), st.text(max_size=30))
@FEW
def test_an_answer_of_any_bytes(kind: type[object], body: bytes, status: int, content_type: str) -> None:
    """A proxy, a login page or another program may answer in a server's place."""
    for sent in (content_type, "application/json", CONTENT_TYPE):
        try:
            value_from(Received(status, {"content-type": sent, "retry-after": content_type}, body, "http://x"), kind)
        except FailedAttempt as failed:
            assert failed.error.message  # noqa: PT017 -- it may also be answered


@given(st.text(max_size=80) | bodies.map(lambda body: body.hex()))
@example(f"[{10**30}]".encode().hex())
@example("é")
@FEW
def test_a_cursor_of_any_text(cursor: str) -> None:
    for read in (name_after, moment_before, lambda text: number_after(text, 0)):
        answered_or_refused(lambda read=read: read(cursor))  # type: ignore[misc]


@given(values)
@FEW
def test_fields_of_any_schema(schema: object) -> None:
    """Schemas come in more shapes than anybody knows."""
    if isinstance(schema, (dict, list)):
        msgspec.json.encode(fields_of(schema))


@given(st.text(max_size=300))
@FEW
def test_headers_of_any_text(text: str) -> None:
    answered_or_refused(lambda: key_from_header(text))
    wait = retry_after_s(text, 0.0)
    assert wait is None or wait >= 0


@given(st.binary(max_size=60).map(lambda path: b"/" + path), st.sampled_from(["GET", "PUT", "BREW"]))
@FEW
def test_a_path_of_any_bytes(path: bytes, method: str) -> None:
    from datlake_sdk.errors import DatlakeError

    router: Router[str] = Router()
    for template in ("/a/{x}", "/a/{x}/b", "/a/{x}/b/{y}", "/o/{bucket}/{rest...}"):
        router.add("GET", template, template)
    try:
        router.match(method, path)
    except DatlakeError as error:
        assert error.status in {400, 404, 405}  # noqa: PT017 -- which error it is, is the question
