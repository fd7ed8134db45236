"""The README's ten lines, whole: a job reads a table, writes another, and the lake knows what came from what."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from datlake_sdk import DatlakeClient, JobContext

folder = Path(tempfile.mkdtemp(prefix="datlake-quickstart-"))
schema = {"shop": "string", "amount": "int64"}

# Somebody's job writes a table …
with JobContext("sales_import") as job:
    raw = folder / "sales.csv"
    raw.write_text("shop,amount\nnorth,12\nsouth,-1\nsouth,30\n", encoding="utf-8")
    job.register_snapshot("sales_raw", raw.as_uri(), format="csv", schema=schema, row_count=3)

# … and yours reads it and writes the next.
with JobContext("daily_sales_etl", metadata={"source": "shops"}, ship_logs=True) as job:
    source = job.get_table_latest_uri("sales_raw")  # recorded as an input, pinned to that snapshot
    with Path(url2pathname(urlsplit(source).path)).open(encoding="utf-8", newline="") as file:
        sales = [row for row in csv.DictReader(file) if int(row["amount"]) > 0]
    curated = folder / "sales_curated.csv"
    with curated.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(schema))
        writer.writeheader()
        writer.writerows(sales)
    job.register_snapshot("sales_curated", curated.as_uri(), format="csv", schema=schema, row_count=len(sales))
    job.log_event("metrics", {"rows": len(sales)})

with DatlakeClient() as client:
    run = client.get_run(job.run_id)
    graph = client.lineage("sales_curated", direction="upstream")
print(f"{run.job_name} {run.state}: read {run.inputs[0].table_name}, wrote {run.outputs[0].table_name}")
print("sales_curated comes from:", ", ".join(sorted(node.name for node in graph.nodes if node.kind == "table")))
