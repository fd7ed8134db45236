"""Writes a lake of lineage straight into its tables: `lineage_lake.py HOME EDGES`. Prints the names of typical roots.

Twelve layers of tables; a job reads two neighbours of one layer and writes one table of the next, so that what is
behind a table of the last layer is a wedge of 78 tables and 66 jobs. The hub is made from hundreds of such wedges that
share nothing: 40,000 tables and jobs. Numbers are dealt out at random, so that neighbours are far apart on the disk.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

import apsw
import msgspec

from datlake_server.lake import Lake

LAYERS: Final = 12
EDGES_OF_A_JOB: Final = 3
WEDGE: Final = LAYERS * (LAYERS + 1) // 2 + LAYERS * (LAYERS - 1) // 2
HUB_ANCESTORS: Final = 40_000
TYPICAL: Final = 100
AT: Final = 1_760_000_000_000_000
HUB: Final = "hub"
_ROWS_AT_ONCE: Final = 50_000

TABLES: Final = """
INSERT INTO tables (table_id, namespace, name, created_at, latest_id, snapshot_count) VALUES (?, 'default', ?, ?, ?, 1)
"""
JOBS: Final = "INSERT INTO jobs (job_id, namespace, name, created_at) VALUES (?, 'default', ?, ?)"
RUNS: Final = """
INSERT INTO runs (run_id, job_id, namespace, state, started_at, ended_at, last_seen_at)
VALUES (?, ?, 'default', 'completed', ?, ?, ?)
"""
SNAPSHOTS: Final = """
INSERT INTO snapshots (snapshot_id, table_id, version, uri, format, schema, fields, created_at, accepted_at, run_id,
                       metadata, column_lineage, fingerprint)
VALUES (?, ?, 1, ?, 'parquet', 'null', '[]', ?, ?, ?, '{}', 'null', '')
"""
EDGES: Final = """
INSERT INTO edges (source, job_id, target, first_seen, last_seen, run_count, last_run_id) VALUES (?, ?, ?, ?, ?, 1, ?)
"""
PAIRS: Final = """
INSERT INTO pairs (run_id, source, target, source_snapshot, target_snapshot, at) VALUES (?, ?, ?, ?, ?, ?)
"""

Row = tuple[object, ...]


def main() -> None:
    """Builds and prints."""
    home, edges = sys.argv[1], int(sys.argv[2])
    Lake.open(home).close()
    connection = apsw.Connection(str(Path(home, "lake.db")))
    shape = Shape(edges)
    connection.execute("PRAGMA synchronous = OFF; BEGIN")
    for statement, rows in shape.statements():
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            connection.executemany(statement, some)
    connection.execute("COMMIT; PRAGMA synchronous = FULL")
    connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    print(msgspec.json.encode(shape.typical()).decode())


class Shape:
    """Which job reads and writes which tables."""

    def __init__(self, edges: int) -> None:
        """So wide that about as many edges are drawn between tables and jobs."""
        self.width = max(LAYERS, edges // EDGES_OF_A_JOB // (LAYERS - 1))
        dealt = random.Random(1)  # noqa: S311 -- a deck that is shuffled the same each time
        self._tables = [*range(1, self.width * LAYERS + 2)]
        self._jobs = [*range(1, self.width * (LAYERS - 1) + 2)]
        dealt.shuffle(self._tables)
        dealt.shuffle(self._jobs)
        wedges = min(HUB_ANCESTORS // WEDGE, self.width // LAYERS)
        self._hub_sources = [self.table(LAYERS - 1, number * (self.width // wedges)) for number in range(wedges)]
        self._picked = dealt.sample(range(self.width), min(TYPICAL, self.width))
        self.drawn = self.width * (LAYERS - 1) * EDGES_OF_A_JOB + wedges + 1

    def table(self, layer: int, at: int) -> int:
        """The number of a table."""
        number: int = self._tables[layer * self.width + at % self.width]
        return number

    def typical(self) -> list[str]:
        """Names of tables of the last layer."""
        return [f"t{self.table(LAYERS - 1, at)}" for at in self._picked]

    def steps(self) -> Iterator[tuple[int, list[int], int]]:
        """Every job with the tables that it reads and the one that it writes."""
        jobs = iter(self._jobs)
        for layer in range(1, LAYERS):
            for at in range(self.width):
                yield next(jobs), [self.table(layer - 1, at), self.table(layer - 1, at + 1)], self.table(layer, at)
        yield next(jobs), self._hub_sources, self._tables[-1]

    def statements(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """Every statement with its rows."""
        tables, jobs, hub = sorted(self._tables), sorted(self._jobs), self._tables[-1]
        yield TABLES, ((one, HUB if one == hub else f"t{one}", AT, _id(one)) for one in tables)
        yield JOBS, ((one, f"j{one}", AT) for one in jobs)
        yield RUNS, ((_id(-one), one, AT, AT, AT) for one in jobs)
        made_by = {target: job for job, _, target in self.steps()}
        yield (
            SNAPSHOTS,
            ((_id(one), one, f"s3://lake/{one}", AT, AT, _id(-made_by.get(one, 0)) or None) for one in tables),
        )
        yield EDGES, ((source, job, target, AT, AT, _id(-job)) for job, source, target in self._pairs())
        yield (
            PAIRS,
            ((_id(-job), source, target, _id(source), _id(target), AT) for job, source, target in self._pairs()),
        )

    def _pairs(self) -> Iterator[tuple[int, int, int]]:
        for job, sources, target in self.steps():
            ends = ((job, source, one) for source in sources for one in (0, target))
            yield from chain(ends, [(job, 0, target)])


def _id(number: int) -> str:
    """An id that looks like one of a snapshot, or of a run where the number is negative; of nothing it is empty."""
    return f"{'1' if number < 0 else '0'}193a5c0-0000-7000-8000-{abs(number):012x}" if number else ""


if __name__ == "__main__":
    main()
