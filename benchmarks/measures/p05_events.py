"""P5: what `log_event` costs the job, how fast one process delivers, and a control operation that goes to the disk."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from benchmarks.figures import Claim, Figure, Plan, Result, figure
from benchmarks.processes import samples_of, scratch
from benchmarks.servers import datlake_server

EVENTS = 10_000
DEFERRED = 400
TURNS = 3

Samples = dict[str, list[float]]


def measure(plan: Plan) -> Result:
    """Jobs in processes of their own, embedded and served in turns; then one whose lake refuses to be reached."""
    del plan
    with scratch() as disk, scratch(Path(tempfile.gettempdir())) as work, datlake_server(disk) as lake:
        places = {"embedded": {"DATLAKE_HOME": str(disk / "lake")}, "over HTTP": {"DATLAKE_API_URL": lake.url}}
        told: dict[str, Samples] = {name: {} for name in places}
        for _ in range(TURNS):
            for name, place in places.items():
                outbox = {"DATLAKE_OUTBOX_DIR": str(disk / "outbox")}
                found = samples_of("events", [str(disk), str(EVENTS)], work, **place, **outbox)
                for what, samples in found.items():
                    told[name].setdefault(what, []).extend(samples)
        kept = _deferred(disk, work)
    return Result(
        name="P5",
        title="telling: log_event, and what waits for a lake that is away",
        figures=[*_figures(told), *(figure(what, "µs", samples) for what, samples in kept.items())],
        claims=[*(claim for name in told for claim in _claims(name, told[name])), _deferred_claim(kept)],
        notes=["Each event is one call in a tight loop, while another thread of the process delivers."],
    )


def _deferred(disk: Path, work: Path) -> Samples:
    with socket.socket() as held:  # bound and not listening: it refuses
        held.bind(("127.0.0.1", 0))
        place = {
            "DATLAKE_API_URL": f"http://127.0.0.1:{held.getsockname()[1]}",
            "DATLAKE_OUTBOX_DIR": str(disk / "outbox"),
        }
        return samples_of("events", [str(disk), str(DEFERRED), "deferred"], work, **place)


def _figures(told: dict[str, Samples]) -> list[Figure]:
    units = {"log_event": "µs", "append": "µs", "events/s": "/s", "CPU": "µs an event"}
    return [
        figure(f"{what}, {name}", units[what], samples)
        for name, found in told.items()
        for what, samples in found.items()
    ]


def _claims(name: str, found: Samples) -> list[Claim]:
    call = figure("", "", found["log_event"])
    rate, cpu = figure("", "", found["events/s"]), figure("", "", found["CPU"])
    return [
        Claim(f"log_event {name}, p50", "µs", call.median, 15),
        Claim(f"log_event {name}, p99", "µs", call.p99 or call.high, 500),
        Claim(f"delivered {name}", "events/s", rate.median, 5000, at_most=False),
        Claim(f"the job's own CPU {name}", "µs an event", cpu.median, 100),
    ]


def _deferred_claim(kept: Samples) -> Claim:
    call = figure("", "", kept["deferred"])
    return Claim("a registration deferred to the disk, p99", "ms", (call.p99 or call.high) / 1000, 25)
