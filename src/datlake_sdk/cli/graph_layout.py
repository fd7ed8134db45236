"""Where the boxes of a drawing lie: in layers from left to right, with few crossings and few bends. Pure.

The classic road (Sugiyama's): turn around what closes a cycle, put each box in a layer, let long edges pass through the
layers between, order each layer by its neighbours, then move the boxes to where their edges run straight.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAYER_GAP: Final = 76.0
BOX_GAP: Final = 20.0
# Between two edges that pass through a layer, or one and a box.
LANE_GAP: Final = 12.0
ORDER_SWEEPS: Final = 12
PLACE_SWEEPS: Final = 12
# A drawing with more such places takes minutes and is no longer read; long edges are then drawn straight across.
LANES_MOST: Final = 20_000
# An edge that passes through layers is pulled straight before a box is moved to its neighbours.
LANE_WEIGHT: Final = 4.0


class Box(NamedTuple):
    """How large a box is."""

    width: float
    height: float


class Link(NamedTuple):
    """An edge between two boxes, by number, and how far below their tops it begins and ends."""

    source: int
    target: int
    source_at: float
    target_at: float


class Place(NamedTuple):
    """The top left corner of a box."""

    x: float
    y: float


class Layout(NamedTuple):
    """Where the boxes are, and the points that each link passes; one that runs backwards begins at its target."""

    places: list[Place]
    routes: list[list[Place]]
    is_backward: list[bool]
    width: float
    height: float


def laid_out(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """The boxes in layers; `links` run from the left to the right but where they close a cycle."""
    if not boxes:
        return Layout([], [[] for _ in links], [False for _ in links], 0.0, 0.0)
    backward = _backward(len(boxes), links)
    forward = [
        Link(link.target, link.source, link.target_at, link.source_at) if turned else link
        for link, turned in zip(links, backward, strict=True)
    ]
    drawing = _Drawing(boxes, forward)
    drawing.order()
    drawing.place()
    return drawing.layout(backward)


def _backward(count: int, links: Sequence[Link]) -> list[bool]:
    """Which links close a cycle, seen from where the data begins."""
    out: list[list[int]] = [[] for _ in range(count)]
    entered = [0] * count
    for number, link in enumerate(links):
        out[link.source].append(number)
        entered[link.target] += 1
    backward = [False] * len(links)
    state = [0] * count  # 1: on the road that is being walked, 2: done
    for start in sorted(range(count), key=lambda box: (entered[box] > 0, box)):
        road: list[tuple[int, Iterator[int]]] = []
        if not state[start]:
            road.append((start, iter(out[start])))
            state[start] = 1
        while road:
            box, rest = road[-1]
            number = next(rest, -1)
            if number < 0:
                state[box] = 2
                road.pop()
                continue
            target = links[number].target
            if state[target] == 1:
                backward[number] = target != box
            elif not state[target]:
                state[target] = 1
                road.append((target, iter(out[target])))
    return backward


def _layers(count: int, links: Sequence[Link]) -> list[int]:
    """The layer of each box: right of all that feed it, and beside what it feeds where that bends no more edges."""
    out: list[list[int]] = [[] for _ in range(count)]
    fed = [0] * count
    for link in links:
        if link.source != link.target:
            out[link.source].append(link.target)
            fed[link.target] += 1
    layer = [0] * count
    order = _from_left(out, fed)
    for box in order:
        for target in out[box]:
            layer[target] = max(layer[target], layer[box] + 1)
    for box in reversed(order):
        # With no more edges into it than out of it, to move it right makes none longer than others shorter.
        if out[box] and fed[box] <= len(out[box]):
            layer[box] = min(layer[target] for target in out[box]) - 1
    least = min(layer)
    return [each - least for each in layer]


def _from_left(out: list[list[int]], fed: list[int]) -> list[int]:
    """The boxes in an order in which each comes after all that feed it."""
    waiting = list(fed)
    order = [box for box, count in enumerate(fed) if not count]
    for box in order:  # grows while it is read
        for target in out[box]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


class _Slot:
    """A place in a layer: a box, or where a long edge passes. `links` are the edges to slots of the next layers."""

    __slots__ = ("box", "height", "inward", "onward", "order", "weight", "y")

    def __init__(self, box: int | None, height: float) -> None:
        self.box = box
        self.height = height
        self.weight = 1.0 if box is not None else LANE_WEIGHT
        self.order = 0
        self.y = 0.0
        # (neighbour, how far below its top the edge is, how far below mine)
        self.inward: list[tuple[_Slot, float, float]] = []
        self.onward: list[tuple[_Slot, float, float]] = []


class _Drawing:
    """The layers of slots, being ordered and placed."""

    def __init__(self, boxes: Sequence[Box], links: Sequence[Link]) -> None:
        self._boxes = boxes
        self._links = links
        self._slots = [_Slot(number, box.height) for number, box in enumerate(boxes)]
        self._layer = _layers(len(boxes), links)
        self._layers: list[list[_Slot]] = [[] for _ in range(max(self._layer) + 1)]
        for number, slot in enumerate(self._slots):
            self._layers[self._layer[number]].append(slot)
        self._spans: list[tuple[float, float]] = []
        self._lanes_left = LANES_MOST
        self._lanes = [self._joined(link) for link in links]

    def order(self) -> None:
        """Puts each layer in the order of its neighbours, and keeps the best of some sweeps."""
        self._number()
        best, least = [list(layer) for layer in self._layers], self._crossings()
        for sweep in range(ORDER_SWEEPS):
            if not least:
                break
            self._sweep_order(is_onward=sweep % 2 == 0)
            if (crossings := self._crossings()) < least:
                best, least = [list(layer) for layer in self._layers], crossings
        self._layers = best
        self._number()

    def place(self) -> None:
        """Gives each slot its height above the others."""
        for layer in self._layers:
            y = 0.0
            for above, slot in zip([None, *layer], layer, strict=False):
                y += 0.0 if above is None else above.height + _gap(above, slot)
                slot.y = y
        for sweep in range(PLACE_SWEEPS):
            is_onward = sweep % 2 == 0
            for layer in self._layers if is_onward else reversed(self._layers):
                _settle(layer, is_onward=is_onward)

    def layout(self, backward: list[bool]) -> Layout:
        """The result, moved so that nothing is above or left of nothing."""
        slots = [slot for layer in self._layers for slot in layer]
        top = min(slot.y for slot in slots)
        for slot in slots:
            slot.y -= top
        self._spread()
        places = [Place(self._spans[self._layer[number]][0], slot.y) for number, slot in enumerate(self._slots)]
        return Layout(
            places=places,
            routes=[self._route(link, lanes) for link, lanes in zip(self._links, self._lanes, strict=True)],
            is_backward=backward,
            width=self._spans[-1][1],
            height=max(slot.y + slot.height for slot in slots),
        )

    def _spread(self) -> None:
        """Gives each layer where it begins and ends."""
        x = 0.0
        for layer in self._layers:
            wide = max((self._boxes[slot.box].width for slot in layer if slot.box is not None), default=0.0)
            self._spans.append((x, x + wide))
            x += wide + LAYER_GAP

    def _joined(self, link: Link) -> list[_Slot]:
        """The slots that the link passes on its way, which join its ends."""
        first, last = self._layer[link.source], self._layer[link.target]
        lanes: list[_Slot] = []
        if last - first > 1 and self._lanes_left >= last - first:
            self._lanes_left -= last - first
            for between in range(first + 1, last):
                lanes.append(_Slot(None, 0.0))
                self._layers[between].append(lanes[-1])
        if link.source == link.target or (last - first > 1 and not lanes):
            return lanes
        road = [self._slots[link.source], *lanes, self._slots[link.target]]
        for number, left in enumerate(road[:-1]):
            right = road[number + 1]
            left_at = link.source_at if number == 0 else 0.0
            right_at = link.target_at if number == len(road) - 2 else 0.0
            left.onward.append((right, right_at, left_at))
            right.inward.append((left, left_at, right_at))
        return lanes

    def _number(self) -> None:
        for layer in self._layers:
            for order, slot in enumerate(layer):
                slot.order = order

    def _sweep_order(self, *, is_onward: bool) -> None:
        for layer in self._layers if is_onward else reversed(self._layers):
            layer.sort(key=lambda slot: _middle(slot, slot.inward if is_onward else slot.onward))
            for order, slot in enumerate(layer):
                slot.order = order

    def _crossings(self) -> int:
        return sum(_crossings_after(layer) for layer in self._layers)

    def _route(self, link: Link, lanes: list[_Slot]) -> list[Place]:
        first = self._layer[link.source]
        begin = self._spans[first][0] + self._boxes[link.source].width
        route = [Place(begin, self._slots[link.source].y + link.source_at)]
        for layer, lane in enumerate(lanes, start=first + 1):
            # Straight through the layer, so that no box of it is crossed.
            route += [Place(x, lane.y) for x in self._spans[layer]]
        end = self._spans[self._layer[link.target]][0]
        return [*route, Place(end, self._slots[link.target].y + link.target_at)]


def _middle(slot: _Slot, neighbours: list[tuple[_Slot, float, float]]) -> float:
    """Where its neighbours are, on average; where it is, if it has none."""
    if not neighbours:
        return float(slot.order)
    return sum(near.order + at / (near.height + 1) for near, at, _ in neighbours) / len(neighbours)


def _crossings_after(layer: list[_Slot]) -> int:
    """How many pairs of edges between this layer and the next cross."""
    passed: list[tuple[int, float]] = []
    crossings = 0
    for slot in layer:
        ends = sorted((near.order, at) for near, at, _ in slot.onward)
        crossings += sum(len(passed) - bisect_left(passed, (order, at + 1e-6)) for order, at in ends)
        for end in ends:
            insort(passed, end)
    return crossings


def _gap(above: _Slot, below: _Slot) -> float:
    return BOX_GAP if above.box is not None and below.box is not None else LANE_GAP


def _settle(layer: list[_Slot], *, is_onward: bool) -> None:
    """Moves each slot towards its neighbours, as near as the order and the gaps allow (least squares)."""
    blocks: list[tuple[float, float, int]] = []  # (sum of weighted wishes, weight, slots)
    offsets: list[float] = []
    offset = 0.0
    for number, slot in enumerate(layer):
        if number:
            offset += layer[number - 1].height + _gap(layer[number - 1], slot)
        offsets.append(offset)
        weight = slot.weight
        block = ((_wish(slot, is_onward=is_onward) - offset) * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            above = blocks.pop()
            block = (above[0] + block[0], above[1] + block[1], above[2] + block[2])
        blocks.append(block)
    number = 0
    for wishes, weight, slots in blocks:
        for slot in layer[number : number + slots]:
            slot.y = wishes / weight + offsets[number]
            number += 1


def _wish(slot: _Slot, *, is_onward: bool) -> float:
    """Where its edges would run straight."""
    near = (slot.inward if is_onward else slot.onward) or slot.inward or slot.onward
    if not near:
        return slot.y
    return sum(other.y + at - mine for other, at, mine in near) / len(near)
