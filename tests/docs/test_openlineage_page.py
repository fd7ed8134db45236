"""What the page on OpenLineage says of names and of our own facets is what the code does."""

from __future__ import annotations

import re

import msgspec
import pytest

from datlake_sdk.lineage import own_facets
from datlake_sdk.lineage.naming import dataset_name
from tests.docs.pages import DOCS, code_words, headings, rows, section

PAGE = DOCS / "openlineage.md"

FACETS: dict[str, type[msgspec.Struct]] = {
    own_facets.RUN: own_facets.RunFacet,
    own_facets.DATA: own_facets.DataFacet,
    own_facets.EVENTS: own_facets.EventsFacet,
    own_facets.SNAPSHOT: own_facets.SnapshotFacet,
    own_facets.JOB: own_facets.JobFacet,
    own_facets.TABLE: own_facets.TableFacet,
    "Telling": own_facets.Telling,
}
NAMED = [
    (uri, *(re.findall(r"`([^`]+)`", cell)[0] for cell in row[1:]))
    for row in rows(section(PAGE, "What data is called"))[1:]
    for uri in sorted(code_words(row[0]))
    if "/" in uri and "…" not in uri
]


@pytest.mark.parametrize(("uri", "namespace", "name"), NAMED)
def test_a_uri_is_called_what_the_page_says(uri: str, namespace: str, name: str) -> None:
    """Who names data by hand looks here."""
    assert dataset_name(uri) == (namespace, name)


def test_every_kind_of_store_has_its_example() -> None:
    """The table is read, not skipped."""
    assert len(NAMED) >= len(rows(section(PAGE, "What data is called"))) - 1


@pytest.mark.parametrize("facet", sorted(FACETS))
def test_every_field_of_our_own_facets_is_on_the_page(facet: str) -> None:
    """Another tool that reads them has nothing else to go by."""
    told = [row[0].strip("`") for row in rows(section(PAGE, facet).partition("\n#")[0])[1:]]
    assert sorted(told) == sorted(FACETS[facet].__struct_fields__)


def test_the_page_names_no_facet_that_is_not_there() -> None:
    """A facet that is gone is gone from the page."""
    assert {heading for heading in headings(PAGE) if heading.startswith("datlake_")} == FACETS.keys() - {"Telling"}
