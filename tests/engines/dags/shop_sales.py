"""A shop's sales as a DAG: fetched by Bash, cleaned and reported by Python; each task says what it reads and writes.

Run by Airflow, in Airflow's own environment: nothing here knows of Datlake.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import (  # type: ignore[import-not-found] # pyright: ignore[reportMissingImports]
    BashOperator,
)
from airflow.providers.standard.operators.python import (  # type: ignore[import-not-found] # pyright: ignore[reportMissingImports]
    PythonOperator,
)
from airflow.sdk import DAG, Asset  # type: ignore[import-not-found] # pyright: ignore[reportMissingImports]

FOLDER = Path(os.environ["SHOP_FOLDER"])
RAW, CLEAN, REPORT = (FOLDER / f"{name}.csv" for name in ("orders_raw", "orders_clean", "sales_report"))


def clean_orders() -> None:
    """The orders without empty lines; tells of customers, too, which no inlet names."""
    from airflow.providers.openlineage.api.datasets import (  # type: ignore[import-not-found] # pyright: ignore[reportMissingImports]
        emit_dataset_lineage,
    )
    from openlineage.client.event_v2 import (  # type: ignore[import-not-found,unused-ignore] # pyright: ignore[reportMissingImports]
        InputDataset,
    )

    emit_dataset_lineage(inputs=[InputDataset(namespace="postgres://till:5432", name="shop.public.customers")])
    CLEAN.write_text("\n".join(line for line in RAW.read_text().splitlines() if line))


def report_sales(**context: Any) -> None:  # noqa: ANN401 -- Airflow's own signature
    """The number of orders; none where the run is told to break."""
    if context["dag_run"].conf.get("broken"):
        raise ValueError("the sales do not add up")
    REPORT.write_text(f"orders\n{len(CLEAN.read_text().splitlines()) - 1}\n")


with DAG(
    "shop_sales",
    schedule="@daily",
    start_date=datetime(2026, 3, 1, tzinfo=UTC),
    catchup=False,
    description="What the shop sold.",
    tags=["shop"],
    default_args={"owner": "sales-team"},
):
    fetch = BashOperator(
        task_id="fetch",
        bash_command=f"printf 'order_id,cents\\n10,1250\\n\\n11,800\\n' > '{RAW}'",
        outlets=[Asset(RAW.as_uri())],
    )
    clean = PythonOperator(
        task_id="clean", python_callable=clean_orders, inlets=[Asset(RAW.as_uri())], outlets=[Asset(CLEAN.as_uri())]
    )
    report = PythonOperator(
        task_id="report", python_callable=report_sales, inlets=[Asset(CLEAN.as_uri())], outlets=[Asset(REPORT.as_uri())]
    )
    fetch.set_downstream(clean)
    clean.set_downstream(report)
