"""What a person types: `datlake …` as a process of its own, on the lake of the story."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, cast

from tests.places import Place

COMMAND = (sys.executable, "-W", "error", "-m", "datlake_sdk")


class Told(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """The object that stdout holds."""
        return cast("dict[str, object]", json.loads(self.out))

    @property
    def items(self) -> list[dict[str, object]]:
        """The items of the page that stdout holds."""
        return cast("list[dict[str, object]]", self.json["items"])


class Datlake(NamedTuple):
    """The command line of one story."""

    place: Place
    folder: Path

    def __call__(self, *words: str, **more: str) -> Told:
        """A command that has ended; its output is text."""
        done = self.raw(*words, **more)
        return Told(done.returncode, done.stdout.decode(), done.stderr.decode())

    def raw(self, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """A command that has ended, with the bytes it wrote."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def begin(self, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """A command that is running, in a process group of its own as a shell would have it."""
        return subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the command."""
        # On a server, too, there is a home for what stays here; it must not be that of whoever runs the tests.
        mine = {"DATLAKE_HOME": str(self.folder / "home"), **self.place.environment()}
        return {**mine, "PYTHONIOENCODING": "utf-8", **more}
