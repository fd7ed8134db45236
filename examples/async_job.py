"""A tracked job in asyncio: what may wait for the lake is awaited, what never waits (`log_event`) is not."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from datlake_sdk import JobContext

STATIONS = ("EWR", "JFK", "LGA")


async def measure(station: str) -> str:
    """One line of CSV, after some waiting."""
    await asyncio.sleep(0.01)
    return f"{station},{len(station)}"


async def main() -> None:
    """Three measurements at once, one table, and a reader of it."""
    path = Path(tempfile.mkdtemp(prefix="datlake-async-")) / "measured.csv"
    async with JobContext("example_measure", metadata={"stations": list(STATIONS)}) as job:
        lines = await asyncio.gather(*(measure(station) for station in STATIONS))
        path.write_text("\n".join(["station,value", *lines]) + "\n", encoding="utf-8")
        snapshot = await job.register_snapshot("example_measured", path.as_uri(), format="csv", row_count=len(lines))
        job.log_event("metrics", {"rows": len(lines)})
    print(f"wrote {snapshot['table_name']} version {snapshot['version']}, {len(lines)} rows")

    async with JobContext("example_consume") as job:
        uri = await job.get_table_latest_uri("example_measured")
    print(f"read {uri} in run {job.run_id}")


if __name__ == "__main__":
    asyncio.run(main())
