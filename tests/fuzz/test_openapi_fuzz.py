"""The running server answers whatever its own OpenAPI document allows, and what it forbids, as the document says."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from datlake_sdk import __version__
from datlake_server.http.marquez import document as marquez
from datlake_server.http.marquez.addresses import PREFIX
from datlake_server.http.openapi import document

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

Operation = schemathesis.APIOperation[Any, Any, Any, Any]  # of no interest here, and its parts have no names

schema = schemathesis.openapi.from_dict(document(__version__))
# Of an address that answers under two prefixes the first is asked.
marquez_schema = schemathesis.openapi.from_dict(marquez.document(__version__))


def test_the_document_that_is_fuzzed_is_the_one_that_is_served(served: tuple[str, Path]) -> None:
    with urllib.request.urlopen(f"{served[0]}/api/v1/openapi.json", timeout=5) as answer:  # noqa: S310 -- our own server
        assert json.load(answer) == json.loads(json.dumps(document(__version__)))


fuzzed = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
    derandomize=True,
)


@schema.parametrize()
@fuzzed
def test_every_address_keeps_to_the_document(case: schemathesis.Case[Operation], served: tuple[str, Path]) -> None:
    """0 × 5xx, and no status, media type or shape that is not written down."""
    case.call_and_validate(base_url=served[0], checks=CHECKS)


@marquez_schema.parametrize()
@fuzzed
def test_every_address_of_marquezs_keeps_to_its_document(
    case: schemathesis.Case[Operation], served: tuple[str, Path]
) -> None:
    """What the document leaves open is answered or refused, and never breaks."""
    case.call_and_validate(base_url=f"{served[0]}{PREFIX}", checks=CHECKS)
