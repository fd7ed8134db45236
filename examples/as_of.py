"""Reading a table as it was: by version, and as of a moment. Both are pinned on the run that read them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from datlake_sdk import DatlakeClient, JobContext

TABLE = "example_prices"


def main() -> None:
    """Writes two versions, then reads the latest, the older by its version, and the older as of its time."""
    folder = Path(tempfile.mkdtemp(prefix="datlake-as-of-"))
    with JobContext("example_write_prices") as writer:
        written = []
        for name in ("monday", "tuesday"):
            path = folder / f"{name}.csv"  # a new file for each version: what was read can be read again
            path.write_text(f"item,price\ntea,{len(name)}\n", encoding="utf-8")
            written.append(writer.register_snapshot(TABLE, path.as_uri(), format="csv", row_count=1))
    monday = written[0]

    with JobContext("example_read_prices") as reader:
        print("latest:             ", reader.get_table_latest_uri(TABLE))
        print(f"version={monday['version']}:          ", reader.get_table_latest_uri(TABLE, version=monday["version"]))
        print("as_of=monday's time:", reader.get_table_latest_uri(TABLE, as_of=monday["created_at"]))

    with DatlakeClient() as client:
        run = client.get_run(reader.run_id)
    print("the run has read versions", sorted({read.version for read in run.inputs if read.version}))


if __name__ == "__main__":
    main()
