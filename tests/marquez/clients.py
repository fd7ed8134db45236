"""The real `marquez-python`, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self, cast

ROOT = Path(__file__).parents[2]
ASIDE = ROOT / "build" / "aside"
TALKER = Path(__file__).parent / "talker.py"

Answer = dict[str, Any]  # JSON of somebody else's shape


class Refused(Exception):
    """The client raised; `status` is that of the answer it got."""

    def __init__(self, error: str, status: int | None) -> None:
        super().__init__(error)
        self.status = status


class RealClient:
    """Calls methods of a `MarquezClient`; used as a context."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(TALKER), url],
            env=os.environ | {"PYTHONPATH": str(ASIDE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.methods: list[str] = self._heard()["methods"]
        self.called: set[str] = set()

    def call(self, method: str, *args: object, **kwargs: object) -> Answer:
        """What the method returns. Raises `Refused`."""
        assert self._process.stdin is not None
        self.called.add(method)
        print(json.dumps({"method": method, "args": args, "kwargs": kwargs}), file=self._process.stdin, flush=True)
        heard = self._heard()
        if "error" in heard:
            raise Refused(heard["error"], heard["status"])
        return cast("Answer", heard["value"])

    def _heard(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the client's process has ended"
        return cast("Answer", json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)
