"""MLflow at the same work, run by the interpreter of its own environment, so by its path and without this package.

`serve FOLDER [OPTION…]` starts its server, prints the address once it answers and stops it on SIGTERM; `run URL ROUNDS`
prints the milliseconds of each start and end of a run.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

READY_S = 180
WARM_UP = 10


def main() -> None:
    """Serves or runs, as the arguments say."""
    if sys.argv[1] == "serve":
        _serve(Path(sys.argv[2]), sys.argv[3:])
    else:
        print(json.dumps(_runs(sys.argv[2], int(sys.argv[3]))))


def _serve(folder: Path, options: list[str]) -> None:
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *options]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    with (folder / "log").open("wb") as log:
        # A group of its own: its workers outlive it otherwise.
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _wait(port, server)
        print(url, flush=True)
        server.wait()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        time.sleep(3)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return
                time.sleep(0.5)
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"MLflow's server did not answer within {READY_S} s")


def _runs(url: str, rounds: int) -> list[float]:
    mlflow = import_module("mlflow")
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("weather")
    samples = []
    for number in range(rounds + WARM_UP):
        began = time.perf_counter()
        mlflow.start_run()
        mlflow.end_run()
        if number >= WARM_UP:
            samples.append((time.perf_counter() - began) * 1000)
    return samples


if __name__ == "__main__":
    main()
