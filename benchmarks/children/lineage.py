"""Asks a lake of `lineage_lake.py` for graphs, and walks it bare in turns: `lineage.py HOME URL ROUNDS NAME…`.

The bare walk is one join for each step, with a set of what was seen, and neither names nor figures. With an empty URL
the lake is asked in this process, else the server at that address. Prints the milliseconds of each case.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import msgspec
import urllib3

from benchmarks.children.lineage_lake import HUB
from datlake_sdk import DatlakeClient
from datlake_sdk.wire.models import Graph

FAR = 100
CUT = 5000
# A hub costs as much as fifty others.
HUB_EVERY = 10
UP = "SELECT e.source FROM json_each(?) f CROSS JOIN edges e WHERE e.target = f.value AND e.source <> 0"


def main() -> None:
    """Asks and prints."""
    home, url, rounds, *names = sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
    with DatlakeClient(url or home) as client, closing(_opened(home)) as connection:
        cases = _cases(client, connection, url)
        for name in names:  # what is asked for the first time comes from the disk
            for case in ("closure", "walk"):
                cases[case](name)
        cases["hub"](HUB)
        samples: dict[str, list[float]] = {case: [] for case in cases}
        for number in range(rounds):
            for case, ask in cases.items():
                if case != "hub" or number % HUB_EVERY == 0:
                    samples[case].append(_ms(partial(ask, HUB if case == "hub" else names[number % len(names)])))
    print(msgspec.json.encode(samples).decode())


def _cases(client: DatlakeClient, connection: apsw.Connection, url: str) -> dict[str, Callable[[str], object]]:
    numbers = {str(name): int(str(number)) for name, number in connection.execute("SELECT name, table_id FROM tables")}
    cases: dict[str, Callable[[str], object]] = {
        "closure": lambda name: _whole(client.lineage(name, direction="upstream", depth=FAR)),
        "both ways, four edges far": client.lineage,
        "hub": lambda name: _cut(client.lineage(name, direction="upstream", depth=FAR, max_nodes=CUT)),
        "walk": lambda name: _walked(connection, numbers[name]),
    }
    if url:
        pool = urllib3.PoolManager()
        cases["bare call"] = lambda _: pool.request("GET", f"{url}/api/v1/health/live").data
    return cases


def _whole(graph: Graph) -> Graph:
    assert not graph.truncated
    return graph


def _cut(graph: Graph) -> Graph:
    assert graph.next_cursor is not None
    assert len(graph.nodes) == CUT
    return graph


def _walked(connection: apsw.Connection, table: int) -> int:
    """How many tables are behind the table."""
    seen, near = {table}, [table]
    while near:
        ends = msgspec.json.encode(near).decode()
        found = {int(str(row[0])) for row in connection.execute(UP, (ends,)).fetchall()}
        near = list(found - seen)
        seen |= found
    return len(seen)


def _opened(home: str) -> apsw.Connection:
    return apsw.Connection(str(Path(home, "lake.db")), apsw.SQLITE_OPEN_READONLY)


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
