"""The router finds the right endpoint for every name a path can hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datlake_sdk.errors import InvalidRequest, NotFound
from datlake_sdk.wire.ids import quoted
from datlake_server.http.router import MethodRefused, Router

NAMES = st.text(min_size=1, max_size=30).filter(lambda text: text.encode("utf-8", "replace").decode() == text)


@pytest.fixture(scope="module")
def router() -> Router[str]:
    table: Router[str] = Router()
    for method, path in [
        ("GET", "/jobs"),
        ("GET", "/jobs/{job_name}"),
        ("PATCH", "/jobs/{job_name}"),
        ("POST", "/jobs/register-snapshot"),
        ("GET", "/jobs/{job_name}/runs"),
        ("POST", "/jobs/{job_name}/runs"),
        ("GET", "/tables/{table_name}/snapshots/latest"),
        ("GET", "/tables/{table_name}/snapshots/{version}"),
        ("GET", "/datasets/{bucket}"),
        ("PUT", "/datasets/{bucket}/{object...}"),
    ]:
        table.add(method, path, f"{method} {path}")
    return table


@given(name=NAMES)
def test_every_name_comes_out_as_it_went_in(router: Router[str], name: str) -> None:
    """Names come from people and producers; one that is mistaken for a path answers for another table."""
    found, names = router.match("GET", f"/tables/{quoted(name)}/snapshots/latest".encode())
    assert found == "GET /tables/{table_name}/snapshots/latest"
    assert names == {"table_name": name}


@pytest.mark.parametrize(
    "name", ["a/b", "a%2Fb", "..", ".", "é {} #?", "../x", "latest", "register-snapshot", "-", "%"]
)
def test_awkward_names_are_names(router: Router[str], name: str) -> None:
    """Each of them has broken a server that routes on the decoded path."""
    assert router.match("GET", f"/jobs/{quoted(name)}/runs".encode())[1] == {"job_name": name}


def test_a_segment_is_unquoted_once_and_only_once(router: Router[str]) -> None:
    """`a%252Fb` is the table `a%2Fb`, and neither `a/b` nor a path."""
    assert router.match("GET", b"/jobs/a%252Fb")[1] == {"job_name": "a%2Fb"}
    assert router.match("GET", b"/jobs/a%2Fruns")[1] == {"job_name": "a/runs"}


def test_a_job_may_be_called_like_a_route(router: Router[str]) -> None:
    """`POST /jobs/register-snapshot` is an address of its own; a job of that name still has its own page."""
    assert router.match("POST", b"/jobs/register-snapshot")[0] == "POST /jobs/register-snapshot"
    assert router.match("GET", b"/jobs/register-snapshot")[1] == {"job_name": "register-snapshot"}
    assert router.match("PATCH", b"/jobs/register-snapshot")[1] == {"job_name": "register-snapshot"}


def test_the_rest_of_an_objects_path_is_its_name(router: Router[str]) -> None:
    """Object names hold slashes, and may hold encoded ones."""
    assert router.match("PUT", b"/datasets/b/x/y%20z/../q")[1] == {"bucket": "b", "object": "x/y z/../q"}


def test_a_wrong_method_says_which_are_right(router: Router[str]) -> None:
    """405 is of use only with `Allow`; it says what the document says of the address."""
    with pytest.raises(MethodRefused) as refused:
        router.match("DELETE", b"/jobs/register-snapshot")
    assert refused.value.allow == "POST"


def test_head_goes_where_get_goes(router: Router[str]) -> None:
    """RFC 9110 asks for it, and probes use it."""
    assert router.match("HEAD", b"/jobs")[0] == "GET /jobs"


@pytest.mark.parametrize(
    "path", [b"/", b"", b"/nope", b"/jobs/", b"//jobs", b"/jobs/a/b", b"/datasets/b/", b"/jobs%2Fa"]
)
def test_an_unknown_address_is_not_found(router: Router[str], path: bytes) -> None:
    """An empty segment is no name, and an encoded slash is no path."""
    with pytest.raises(NotFound):
        router.match("GET", path)


@pytest.mark.parametrize("path", [b"/jobs/%FF", b"/jobs/%ZZ", b"/jobs/100%", b"/jobs/%C3", b"/jobs/\xff"])
def test_an_address_that_cannot_be_read_is_refused(router: Router[str], path: bytes) -> None:
    """Guessing at a name finds the wrong table."""
    with pytest.raises(InvalidRequest) as refused:
        router.match("GET", path)
    assert refused.value.status == 400
