"""Whether this process is to tell an OpenLineage consumer of its runs: where openlineage-python is configured.

What a run asks at its start, so nothing is loaded here: a few look-ups in the environment, and where they find nothing,
whether one of the two files is there that openlineage-python reads. What tells is loaded only if so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datlake_sdk._openlineage_run import Emission
    from datlake_sdk._run_state import RunState
    from datlake_sdk.wire.models import Run
    from datlake_sdk.wire.operations import CompleteRun, StartRun

# One of them names where events go; without it openlineage-python would print them.
VARIABLES: Final = (
    "OPENLINEAGE_URL",
    "OPENLINEAGE_CONFIG",
    "OPENLINEAGE__TRANSPORT__TYPE",
    "OPENLINEAGE__TRANSPORT",
)
FILE: Final = "openlineage.yml"


class Silence:
    """Tells nobody of a run."""

    needs_notes = False

    def start(self, op: StartRun) -> None:
        """Nothing is told."""

    def ends_at(self, moment: float) -> None:
        """Nothing is waited for."""

    def end(self, op: CompleteRun, answer: Run | None, *, waits: bool = True) -> None:
        """Nothing is told."""


def emission_of(run: RunState) -> Emission | Silence:
    """What tells of the run: nothing where no consumer is configured, or telling is switched off."""
    if not run.client.settings.openlineage or not is_configured(os.environ):
        return Silence()
    from datlake_sdk._openlineage_run import Emission

    return Emission(run)


def is_configured(environ: Mapping[str, str]) -> bool:
    """True where openlineage-python is told where to send events, and is not disabled."""
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    return any(environ.get(name) for name in VARIABLES) or any(map(os.path.isfile, files(environ)))


def files(environ: Mapping[str, str]) -> list[str]:
    """Where openlineage-python looks for its file, in its order."""
    named, home = environ.get("OPENLINEAGE_CONFIG", ""), environ.get("HOME", "")
    usual = [FILE, os.path.join(home, ".openlineage", FILE)] if home else [FILE]
    return [named, *usual] if named else usual


def file_in_use(environ: Mapping[str, str]) -> str | None:
    """The absolute path of the file that openlineage-python reads; null where there is none."""
    return next((os.path.abspath(path) for path in files(environ) if os.path.isfile(path)), None)


def destination(environ: Mapping[str, str]) -> str:
    """Where the events go, as people are shown it and what waits is kept under; nothing secret is in it.

    A file wins over the environment, as it does in openlineage-python.
    """
    if (file := file_in_use(environ)) is not None:
        return f"openlineage {file}"
    url = environ.get("OPENLINEAGE_URL") or environ.get("OPENLINEAGE__TRANSPORT__URL")
    if url:
        from datlake_sdk.redaction import redact_uri

        return f"openlineage {redact_uri(url.strip())}"
    return f"openlineage of the environment ({_digest(environ)})"


def _digest(environ: Mapping[str, str]) -> str:
    """Two configurations that differ in more than their secrets are two destinations."""
    from hashlib import sha256

    from datlake_sdk.redaction import redact_text

    told = sorted(f"{name}={value}" for name, value in environ.items() if name.startswith("OPENLINEAGE__TRANSPORT"))
    return sha256(redact_text("\n".join(told)).encode("utf-8", "surrogatepass")).hexdigest()[:8]
