"""A graph that is too large for one answer goes on where it stopped, on every level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from datlake_sdk import DatlakeClient, InvalidRequest, JobContext
from datlake_sdk.wire.models import Graph
from tests.graphs import Facets, Teller, at, edges, hidden, label, names
from tests.places import Place

MANY = 12


@pytest.fixture
def tell(client: DatlakeClient, place: Place) -> Teller:
    """Tells the lake of this story."""
    return Teller(client, place.namespace)


@pytest.fixture
def fan(tell: Teller) -> Teller:
    """One run makes twelve tables of one, and each column of it of the same column; another reads two of them."""
    facets: dict[str, Facets] = {
        f"t{number}": {"columnLineage": {"fields": {"c": {"inputFields": [tell.source("raw", "c")]}}}}
        for number in range(MANY)
    }
    tell.run("fan", ["raw"], facets, facets=facets, minute=1)
    tell.run("join", ["t3", "t7"], ["joined"], minute=2)
    return tell


def pages(ask: Callable[[str | None], Graph]) -> Iterator[Graph]:
    """Every page."""
    page = ask(None)
    yield page
    while page.next_cursor is not None:
        page = ask(page.next_cursor)
        yield page


def all_edges(found: list[Graph]) -> list[tuple[str, str]]:
    """The edges of all pages, by the names of their ends."""
    known = {node.id: label(node) for page in found for node in page.nodes}
    return sorted((known[edge.source], known[edge.target]) for page in found for edge in page.edges)


def test_pages_of_tables_are_the_graph(fan: Teller) -> None:
    """What a page brings hangs on what came before: its edges name nodes of earlier pages."""
    client = fan.client
    found = list(pages(lambda cursor: client.lineage("raw", direction="downstream", max_nodes=4, cursor=cursor)))
    whole = client.lineage("raw", direction="downstream")
    assert [len(page.nodes) for page in found] == [4, 4, 4, 4]
    assert [page.truncated for page in found] == [True, True, True, False]
    assert all_edges(found) == sorted(edges(whole))
    assert {page.root for page in found} == {whole.root}
    fan_of = {name: counts for page in found for name, counts in hidden(page).items()}
    assert fan_of["fan"] == (0, MANY - 2)  # as its own page shows it: with two of them


def test_pages_of_runs_are_the_graph(fan: Teller) -> None:
    """Of snapshots and runs as of tables and jobs."""
    client = fan.client
    newest = client.latest_snapshot("t3").snapshot_id
    found = list(pages(lambda cursor: client.lineage(snapshot_id=newest, max_nodes=2, cursor=cursor)))
    assert all_edges(found) == sorted(edges(client.lineage(snapshot_id=newest)))
    run = found[0].nodes[0].run_id
    by_run = list(pages(lambda cursor: client.lineage(run_id=run, depth=3, max_nodes=5, cursor=cursor)))
    assert all_edges(by_run) == sorted(edges(client.lineage(run_id=run, depth=3)))
    assert len(by_run) == 4


def test_pages_of_columns_are_the_graph(fan: Teller) -> None:
    """The frame of a table's columns is on the first page."""
    client = fan.client
    found = list(pages(lambda cursor: client.lineage("raw", level="column", max_nodes=5, cursor=cursor)))
    assert all_edges(found) == sorted(edges(client.lineage("raw", level="column")))
    assert names(found[0]) >= {"raw", "raw.c"}
    assert sum(len(page.nodes) for page in found) == MANY + 2


def test_what_is_told_between_two_pages_is_not_in_the_second(fan: Teller) -> None:
    """Else nodes would move between pages, and one be missed or told twice."""
    client = fan.client
    asked = partial(client.lineage, "raw", direction="downstream", max_nodes=4)
    first = asked()
    with JobContext(client, "a_later_job") as job:
        job.add_input("raw")
        job.register_snapshot("made_later", "s3://b/later", "csv")
    rest = list(pages(lambda cursor: asked(cursor=cursor or first.next_cursor)))
    assert sum(len(page.nodes) for page in (first, *rest)) == MANY + 4
    assert "a_later_job" not in {name for page in rest for name in names(page)}
    assert "a_later_job" in {name for page in pages(lambda cursor: asked(cursor=cursor)) for name in names(page)}


def test_a_cursor_is_of_one_question(fan: Teller) -> None:
    """Another question has other nodes; only how many are answered at once may change."""
    client = fan.client
    cursor = client.lineage("raw", direction="downstream", max_nodes=4).next_cursor
    assert cursor is not None
    assert len(client.lineage("raw", direction="downstream", max_nodes=7, cursor=cursor).nodes) == 7
    others: list[Callable[[], object]] = [
        lambda: client.lineage("raw", direction="upstream", cursor=cursor),
        lambda: client.lineage("raw", direction="downstream", depth=5, cursor=cursor),
        lambda: client.lineage("raw", direction="downstream", as_of=at(1), cursor=cursor),
        lambda: client.lineage("t1", direction="downstream", cursor=cursor),
        lambda: client.lineage("raw", direction="downstream", cursor="5b5d"),
        lambda: client.lineage("raw", direction="downstream", cursor="no cursor"),
    ]
    for ask in others:
        with pytest.raises(InvalidRequest) as refused:
            ask()
        assert refused.value.code == "bad_cursor"
