"""Every operation, made of whatever its types allow, comes back the same from bytes and from an HTTP request."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, inspect

from datlake_sdk.wire.codec import checked, decode, decode_operation, encode
from datlake_sdk.wire.http import API_PREFIX, operation_from_request, request_from_operation
from datlake_sdk.wire.ids import derived_id, is_uuid, new_id, quoted
from datlake_sdk.wire.models import Graph, Job, Page, Run, Snapshot, Table
from datlake_sdk.wire.operations import OPERATIONS, Op
from datlake_sdk.wire.times import micros, moment
from datlake_server.http.router import Router

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ["..", ".", "-", "a/b", "a%2Fb", "é {} #?", "latest", "true", "7", "null", "+", "a&b=c", "?", "%00"]
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 -- as hypothesis wants it
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)


def of(kind: inspect.Type) -> st.SearchStrategy[object]:  # noqa: C901, PLR0911, PLR0912 -- one case a type
    """Values that the type allows, as msgspec describes it."""
    match kind:
        case inspect.UnionType():
            return st.one_of([of(one) for one in kind.types])
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return st.integers(-(2**63) if kind.ge is None else kind.ge, 2**63 - 1 if kind.le is None else kind.le)
        case inspect.FloatType():
            return st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)
        case inspect.StrType(pattern=None):
            return ANY_TEXT.filter(lambda text: len(text) >= (kind.min_length or 0))
        case inspect.RawType():
            return st.dictionaries(ANY_TEXT, PLAIN, max_size=3).map(lambda value: Raw(encode(value)))
        case inspect.StrType():
            return st.uuids().map(str) if "{8}" in str(kind.pattern) else NAMES
        case inspect.DateTimeType():
            return TIMES
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.ListType():
            return st.lists(of(kind.item_type), max_size=3)
        case inspect.DictType():
            return st.dictionaries(ANY_TEXT, PLAIN, max_size=3)
        case inspect.StructType():
            return struct(kind)
        case inspect.AnyType() | inspect.CustomType(cls=builtins.object):
            return PLAIN
    raise TypeError(kind)


def struct(kind: inspect.StructType) -> st.SearchStrategy[object]:
    """Structs with all required fields and some of the others."""
    required = {field.name: of(field.type) for field in kind.fields if field.required}
    # One level of what refers to itself is enough to see that it does.
    rest = {field.name: field.type for field in kind.fields if not field.required and field.name != "fields"}
    optional = {name: of(each) for name, each in rest.items()}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: kind.cls(**values))


def operations(op_type: type[Op[object]]) -> st.SearchStrategy[Op[object]]:
    """Operations of one kind."""
    described = inspect.type_info(op_type)
    assert isinstance(described, inspect.StructType)
    return struct(described)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def router() -> Router[type[Op[object]]]:
    table: Router[type[Op[object]]] = Router()
    for op_type in OPERATIONS:
        for path in op_type.http.paths:
            table.add(op_type.http.method, API_PREFIX + path, op_type)
    return table


@pytest.mark.parametrize("op_type", OPERATIONS, ids=lambda op: op.__name__)
def test_an_operation_survives_bytes_and_requests(op_type: type[Op[object]], router: Router[type[Op[object]]]) -> None:
    @given(operations(op_type))
    @settings(max_examples=25, deadline=None)
    def survives(op: Op[object]) -> None:
        assert checked(op) == op
        assert decode_operation(encode(op)) == op
        request = request_from_operation(op)
        assert request.target.isascii()
        path, _, query = request.target.partition("?")
        pairs = [pair.split("=", 1) for pair in query.split("&")] if query else []
        found, names = router.match(request.method, path.encode())
        values = {name: unquote_to_bytes(value).decode() for name, value in pairs}
        arrived = operation_from_request(found, names, values, request.body or b"")
        if found is op_type:
            assert arrived == op
        else:  # two operations share an address: a table's version that is called `latest`
            assert (op_type.__name__, found.__name__) == ("GetTableSnapshot", "LatestSnapshot")

    survives()


@pytest.mark.parametrize("kind", [Run, Snapshot, Table, Job, Graph, Page[Run], Page[Table]], ids=str)
def test_an_answer_survives_bytes(kind: type[object]) -> None:
    described = inspect.type_info(kind)

    @given(of(described))
    @settings(max_examples=15, deadline=None)
    def survives(answer: object) -> None:
        assert decode(encode(answer), kind) == answer

    survives()


@given(st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=20))
@settings(deadline=None)
def test_ids_sort_by_their_time(moments: list[int]) -> None:
    ids = [new_id(at) for at in moments]
    assert len(set(ids)) == len(ids)
    assert [one[:13] for one in sorted(ids)] == [one[:13] for one in (new_id(at) for at in sorted(moments))]
    assert all(is_uuid(one) and one[14] == "7" and one[19] in "89ab" for one in ids)


@given(st.lists(ANY_TEXT, min_size=1, max_size=3), st.lists(ANY_TEXT, min_size=1, max_size=3))
@settings(deadline=None)
def test_a_derived_id_is_the_same_for_the_same_parts_alone(left: list[str], right: list[str]) -> None:
    assert is_uuid(derived_id(*left))
    if not any("\x00" in part for part in (*left, *right)):  # keys come from headers, which hold none
        assert (derived_id(*left) == derived_id(*right)) == (left == right)


@given(st.text(max_size=30))
@settings(deadline=None)
def test_a_quoted_name_is_one_segment_and_comes_back(text: str) -> None:
    segment = quoted(text)
    assert segment.isascii()
    assert not set(segment) & set("/?#&+ ;=\\\"'<>{}")
    assert segment not in {".", ".."}
    assert unquote_to_bytes(segment).decode("utf-8", "surrogatepass") == text


@given(TIMES)
@settings(deadline=None)
def test_a_time_survives_as_microseconds(at: datetime) -> None:
    assert moment(micros(at)) == at
