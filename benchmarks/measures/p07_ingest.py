"""P7: how many OpenLineage events a second a server takes, one by one and in batches, all of them safe on disk."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import msgspec

from benchmarks import peers
from benchmarks.children.lineage_events import events
from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.processes import answer_of, environment, samples_of, scratch
from benchmarks.servers import datlake_server

EVENTS = 4_000
EMITS = 300
TURNS = 3
SINGLE = "single POST, 8 senders"
# Events a second that must be taken, by way of telling.
TARGETS = {SINGLE: 1_200, "batches of 100": 4_000, "batches of 1000": 4_000}
EMITTER = Path(__file__).parent.parent / "children" / "openlineage_emits.py"
UNITS = {"rate": ("", "/s"), "wait": (", until the answer", "ms")}
UNITS |= {side: (f", the {side}'s processor", "µs an event") for side in ("server", "sender")}

Samples = dict[str, list[float]]


def measure(plan: Plan) -> Result:
    """Some turns, each on a fresh lake: every way of telling after the other, then openlineage-python's own."""
    told, emitted = dict[str, list[float]](), list[float]()
    with scratch(Path(tempfile.gettempdir())) as work:
        for _ in range(TURNS):
            with scratch() as disk, datlake_server(disk) as lake:
                arguments = [lake.url, str(lake.pid), str(EVENTS)]
                for what, samples in samples_of("ingest", arguments, work).items():
                    told.setdefault(what, []).extend(samples)
                emitted += _emitted(plan, lake.url, work)
    return Result(
        name="P7",
        title="OpenLineage ingest",
        figures=[*_figures(told), *_peer(emitted)],
        claims=[
            Claim(name, "events/s", statistics.median(told[f"{name}|rate"]), target, at_most=False)
            for name, target in TARGETS.items()
        ],
        notes=_notes(),
        versions=peers.versions(plan),
    )


def _emitted(plan: Plan, url: str, work: Path) -> list[float]:
    if peers.OPENLINEAGE not in peers.installed(plan):
        return []
    command = [peers.OPENLINEAGE.python, str(EMITTER), url, str(EMITS)]
    return msgspec.json.decode(answer_of(command, work, environment()), type=list[float])


def _figures(told: Samples) -> list[Figure]:
    found = []
    for key, samples in told.items():
        name, _, what = key.partition("|")
        words, unit = UNITS[what]
        found.append(figure(name + words, unit, samples))
    return found


def _peer(emitted: list[float]) -> list[Figure]:
    return [figure("openlineage-python tells this server, http transport", "/s", emitted)] if emitted else []


def _notes() -> list[str]:
    sizes = [len(event) for event in events(100)]
    shape = f"Events of {min(sizes) / 1000:.1f} and {max(sizes) / 1000:.1f} KB, {statistics.mean(sizes) / 1000:.1f} KB"
    return [
        f"{shape} on average, of runs that each have a START and a COMPLETE; server and sender share the cores.",
        "Beside the targets a stretch: 8,000 events/s in batches.",
    ]
