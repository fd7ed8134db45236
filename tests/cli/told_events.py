"""OpenLineage events of a small pipeline, as a producer would tell them."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

PRODUCER = "https://example.com/producer"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"

Event = dict[str, object]


def told(namespace: str, job: str, kind: str, minute: int, **data: tuple[str, ...]) -> Event:
    """An event of the only run of the job; `inputs` and `outputs` by name."""
    return {
        "eventType": kind,
        "eventTime": f"2026-11-20T03:{minute:02d}:00Z",
        "run": {"runId": str(uuid5(NAMESPACE_URL, f"{namespace}/{job}"))},
        "job": {"namespace": namespace, "name": job},
        **{role: [{"namespace": namespace, "name": name} for name in names] for role, names in data.items()},
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
    }


def pipeline(namespace: str) -> list[Event]:
    """`load` writes raw, `clean` makes clean of it, `report` fails before it wrote anything."""
    return [
        told(namespace, "load", "START", 0),
        told(namespace, "load", "COMPLETE", 5, outputs=("raw",)),
        told(namespace, "clean", "START", 10, inputs=("raw",)),
        told(namespace, "clean", "COMPLETE", 15, inputs=("raw",), outputs=("clean",)),
        told(namespace, "report", "START", 20, inputs=("clean",)),
        told(namespace, "report", "FAIL", 25, inputs=("clean",)),
    ]


def written(path: Path, events: list[Event]) -> str:
    """A file with an event on each line."""
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return str(path)
