"""A program whose jobs run while the operating system fails them; run as a process by `test_disk_trouble.py`.

Each argument is a fault, `point:errno:probability` as libfiu names them, or `nothing:0:0`. For each a line of JSON says
what left the `with` block and which snapshots were acknowledged. libfiu must be preloaded.
"""

from __future__ import annotations

import ctypes
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from datlake_sdk import JobContext


class Told(msgspec.Struct):
    """What became of one job."""

    fault: str
    run_id: str = ""
    escaped: list[str] = []
    acked: list[str] = []
    warned: list[str] = []
    result: int = 0


@contextmanager
def trouble(fault: str) -> Iterator[None]:
    """Within the block the calls of the operating system that `fault` names fail."""
    point, number, probability = fault.split(":")
    if point == "nothing":
        yield
        return
    library = ctypes.CDLL("libfiu.so.0")
    library.fiu_enable_random.argtypes = [
        ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_float,
    ]  # fmt: skip
    library.fiu_disable.argtypes = [ctypes.c_char_p]
    library.fiu_init(0)
    library.fiu_enable_random(point.encode(), 1, int(number), 0, float(probability))
    try:
        yield
    finally:
        library.fiu_disable(point.encode())


def run(fault: str, told: Told) -> None:
    """One job, which counts what it is told in `told`; its own work is a sum."""
    with trouble(fault), JobContext("troubled") as job:
        told.run_id = job.run_id
        job.add_input("s3://in/x")
        for number in range(5):
            made = job.register_snapshot("t", f"s3://b/{job.run_id}/{number}", "csv")
            if made["version"] is not None:
                told.acked.append(made["snapshot_id"])
            job.log_event("told", {"n": number})
            job.log_metrics({"n": number})
            told.result += number
        job.attach_json("report", {"a": 1})
    told.warned = job.warnings


def main() -> int:
    """0 when every job ended as it would have without us."""
    for fault in sys.argv[1:]:
        told = Told(fault)
        try:
            run(fault, told)
        except BaseException as error:  # noqa: BLE001 -- whatever leaves the block is what is asked about
            told.escaped.append(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        print(msgspec.json.encode(told).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
