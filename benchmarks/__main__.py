"""`python -m benchmarks [P1 P3 …]`: measures, prints each figure beside its target, and keeps it if asked to."""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib import import_module

from benchmarks import report
from benchmarks.figures import Plan, Result

MEASURES = {
    "P1": "p01_import",
    "P2": "p02_install",
    "P3": "p03_embedded_run",
    "P4": "p04_http_run",
    "P5": "p05_events",
    "P7": "p07_ingest",
    "P8": "p08_lineage",
    "P10": "p10_artifacts",
    "P13": "p13_command_line",
}


def main() -> int:
    """0 when everything could be measured; whether targets are reached is told, not returned."""
    chosen = _parser().parse_args()
    plan = Plan(with_mlflow=chosen.with_mlflow, artifact_mib=int(os.environ.get("DATLAKE_BENCH_ARTIFACT_MIB", "1024")))
    results: list[Result] = []
    failed = False
    for name in chosen.names or MEASURES:
        began = time.monotonic()
        try:
            results.append(import_module(f"benchmarks.measures.{MEASURES[name]}").measure(plan))
        except (RuntimeError, OSError) as error:
            print(f"{name} could not be measured: {error}", file=sys.stderr)
            failed = True
            continue
        print(report.text_of(results[-1], time.monotonic() - began), flush=True)
        if chosen.save:
            report.keep(results[-1])
    print(report.summary(results))
    if chosen.save:
        report.write_readme()
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what Datlake is held to.")
    shown = ", ".join(MEASURES)
    parser.add_argument("names", nargs="*", type=_name, help=f"which of {shown}; all of them if none is named")
    parser.add_argument(
        "--with-mlflow", action="store_true", help="measure MLflow too (installs 620 MB, takes minutes)"
    )
    parser.add_argument("--save", action="store_true", help="keep the results and the table of benchmarks/README.md")
    return parser


def _name(text: str) -> str:
    name = text.upper()
    if name not in MEASURES:
        raise argparse.ArgumentTypeError(f"{text} is not measured here; what is: {', '.join(MEASURES)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
