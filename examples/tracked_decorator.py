"""A function as a tracked job: each call is a run, with what it reads and writes named once, at the top."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from datlake_sdk import DatlakeClient, tracked

folder = Path(tempfile.mkdtemp(prefix="datlake-tracked-"))
orders, totals = folder / "orders.csv", folder / "totals.csv"
log = logging.getLogger(__name__)


@tracked("example_totals", inputs=[orders.as_uri()], outputs=[totals.as_uri()])
def add_up(scale: int) -> int:
    """The scaled sum of all orders, also written to `totals`; knows nothing of Datlake."""
    amounts = [int(line) for line in orders.read_text(encoding="utf-8").split()]
    total = scale * sum(amounts)
    totals.write_text(f"{total}\n", encoding="utf-8")
    log.info("added up %d orders", len(amounts))
    return total


def main() -> None:
    """Calls the function twice and shows the two runs."""
    orders.write_text("12\n30\n", encoding="utf-8")
    results = [add_up(1), add_up(scale=2)]
    print("The function answers as ever:", results)
    with DatlakeClient() as client:
        for run in client.list_runs("example_totals", limit=2).items:
            read, wrote = run.inputs[0].uri, run.outputs[0].uri
            print(f"run {run.run_id} {run.state}: {read} -> {wrote}")


if __name__ == "__main__":
    main()
