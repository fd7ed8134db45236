"""Where the cards of a drawing lie: nothing covers anything, and data runs from left to right."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

from datlake_sdk.cli.graph_layout import Box, Layout, Link, Place, laid_out


def link(source: int, target: int) -> Link:
    """An edge between the middles of two boxes of the usual height."""
    return Link(source, target, 26.0, 26.0)


def made(count: int, seed: int) -> tuple[list[Box], list[Link]]:
    """A graph of so many boxes with some cycles, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    boxes = [Box(chance.choice([120.0, 220.0]), chance.choice([52.0, 180.0])) for _ in range(count)]
    ends = [(chance.randrange(count), chance.randrange(count)) for _ in range(2 * count)]
    return boxes, [Link(one, other, boxes[one].height / 2, boxes[other].height / 2) for one, other in ends]


def corners(box: Box, place: Place) -> tuple[float, float, float, float]:
    """Left, top, right and bottom."""
    return place.x, place.y, place.x + box.width, place.y + box.height


@pytest.mark.parametrize("seed", range(6))
def test_no_box_covers_another_and_all_lie_in_the_drawing(seed: int) -> None:
    """Whatever the graph: a name under another card cannot be read."""
    boxes, links = made(40, seed)
    layout = laid_out(boxes, links)
    placed = [corners(box, place) for box, place in zip(boxes, layout.places, strict=True)]
    for one, other in combinations(placed, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert all(left >= 0 and top >= 0 for left, top, _, _ in placed)
    assert all(right <= layout.width + 0.01 and bottom <= layout.height + 0.01 for _, _, right, bottom in placed)


@pytest.mark.parametrize("seed", range(6))
def test_edges_begin_and_end_at_their_boxes_and_cross_none_on_their_straight_parts(seed: int) -> None:
    """A line through a card looks as if it ended there."""
    boxes, links = made(40, seed)
    layout = laid_out(boxes, links)
    for one, route, is_backward in zip(links, layout.routes, layout.is_backward, strict=True):
        source, target = (one.target, one.source) if is_backward else (one.source, one.target)
        assert route[0].x == layout.places[source].x + boxes[source].width
        assert route[-1].x == layout.places[target].x
        assert all(left.x <= right.x for left, right in pairwise(route)) or source == target
        for left, right in zip(route[1:-1:2], route[2:-1:2], strict=True):  # through the layers between
            assert covered(left, right, boxes, layout) == []


def covered(left: Place, right: Place, boxes: list[Box], layout: Layout) -> list[int]:
    """The boxes that the straight line goes through."""
    return [
        number
        for number, (box, place) in enumerate(zip(boxes, layout.places, strict=True))
        if left.y == right.y
        and place.y < left.y < place.y + box.height
        and place.x < right.x
        and place.x + box.width > left.x
    ]


def test_a_chain_is_a_straight_line_from_left_to_right() -> None:
    """The simplest lineage there is must look like it."""
    layout = laid_out([Box(100, 52)] * 4, [link(0, 1), link(1, 2), link(2, 3)])
    assert [place.y for place in layout.places] == [0.0] * 4
    assert sorted(layout.places) == layout.places
    assert layout.is_backward == [False] * 3


def test_two_chains_that_are_told_crosswise_do_not_cross() -> None:
    """The order in which a lake answers says nothing about where a card belongs."""
    layout = laid_out([Box(100, 52)] * 6, [link(0, 3), link(1, 2), link(3, 4), link(2, 5)])
    heights = [place.y for place in layout.places]
    assert heights[0] == heights[3] == heights[4]
    assert heights[1] == heights[2] == heights[5]


def test_a_source_stands_beside_what_it_feeds_however_late_that_is() -> None:
    """Else its edge would run below the whole drawing."""
    layout = laid_out([Box(100, 52)] * 6, [link(0, 1), link(1, 2), link(2, 3), link(4, 5), link(5, 3)])
    assert layout.places[5].x == layout.places[2].x
    assert layout.places[4].x == layout.places[1].x


def test_what_closes_a_cycle_is_the_edge_that_runs_back() -> None:
    """A table that a job reads and writes: one edge each way, and the drawing ends."""
    layout = laid_out([Box(100, 52)] * 3, [link(0, 1), link(1, 2), link(2, 1)])
    assert layout.is_backward == [False, False, True]
    assert laid_out([Box(100, 52)], [link(0, 0)]).is_backward == [False]


def test_nothing_is_laid_out_as_nothing() -> None:
    assert laid_out([], []) == Layout([], [], [], 0.0, 0.0)
