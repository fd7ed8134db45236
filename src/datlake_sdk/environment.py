"""Where and from what code this process runs: git commit, host, user, arguments, versions.

A run's context starts `EnvironmentProbe` beside its own work and adds the answer to the run. Environment variables and
git remotes are never captured, arguments are redacted, a part that cannot be found out is left out, nothing raises.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from datlake_sdk._lazy import loading

if TYPE_CHECKING:
    import threading

__all__ = ["EnvironmentProbe", "capture"]


def capture() -> dict[str, object]:
    """Every part that could be found out, by name; may take up to 2 s for git."""
    # git first: it works in a process of its own while the job goes on here.
    parts: tuple[Callable[[], dict[str, object]], ...] = (_git, _host, _process, _python, _package, _entry_point)
    found: dict[str, object] = {}
    for part in parts:
        try:
            found.update(part())
        except Exception:  # noqa: BLE001, S112 - exotic platforms fail in exotic ways; what is missing is seen to be missing
            continue
    return found


class EnvironmentProbe:
    """Captures the environment once per process, off the caller's path; after a fork, once again for the child."""

    def __init__(self) -> None:
        # By process id, so that a forked child finds no answer, no lock and no thread of its parent.
        self._captures: dict[int, _Capture] = {}

    def start(self) -> None:
        """The capture is under way on a daemon thread; asked again, nothing happens."""
        self._current().start()

    def result(self, wait_s: float) -> dict[str, object] | None:
        """What was captured; `None` if it takes longer than `wait_s` more seconds, or no thread could be started."""
        current = self._current()
        current.start()
        return current.answer(wait_s)

    def _current(self) -> _Capture:
        return self._captures.setdefault(os.getpid(), _Capture())


class _Capture:
    """One capture on one thread."""

    def __init__(self) -> None:
        # Taking the ticket is atomic where taking a lock would not survive a fork.
        self._ticket = [True]
        self._thread: threading.Thread | None = None
        self._found: dict[str, object] | None = None

    def start(self) -> None:
        try:
            self._ticket.pop()
        except IndexError:
            return
        import threading

        thread = threading.Thread(target=self._run, name="datlake-environment", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no threads left, or the interpreter is going down
            return
        self._thread = thread

    def answer(self, wait_s: float) -> dict[str, object] | None:
        if self._found is None and self._thread is not None:
            self._thread.join(wait_s)
        return None if self._found is None else dict(self._found)

    def _run(self) -> None:
        from importlib import import_module

        for name in ("datlake_sdk.redaction", "datlake_sdk._git"):
            with loading():  # the job uses them, too, also in a child that is forked now
                import_module(name)
        self._found = capture()


# --- the parts --------------------------------------------------------------------------------------------------------


def _host() -> dict[str, object]:
    if hasattr(os, "uname"):  # the same as platform's, without its import
        system = os.uname()
        host, kind = system.nodename, f"{system.sysname}-{system.release}-{system.machine}"
    else:
        import platform

        found = platform.uname()
        host, kind = found.node, f"{found.system}-{found.release}-{found.machine}"
    return {"host": host, "platform": kind, "user": _user()}


def _user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except ImportError:
        return os.getlogin()
    except KeyError:  # a container often runs as a uid nobody knows
        return f"uid {os.geteuid()}"


def _process() -> dict[str, object]:
    from datlake_sdk.redaction import redact_argv, redact_text

    found: dict[str, object] = {"pid": os.getpid(), "argv": redact_argv([_printable(word) for word in sys.argv])}
    try:
        found["working_directory"] = redact_text(_printable(os.getcwd()))
    except OSError:  # removed under the process
        return found
    return found


def _printable(text: str) -> str:
    """The text with undecodable bytes shown as escapes, so that it can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _python() -> dict[str, object]:
    version = sys.version_info
    told = f"{version.major}.{version.minor}.{version.micro}"
    level = {"final": "", "candidate": "rc"}.get(version.releaselevel, version.releaselevel)
    return {
        "python_version": f"{told}{level}{version.serial}" if level else told,
        "python_implementation": sys.implementation.name,
    }


def _package() -> dict[str, object]:
    import datlake_sdk

    return {"datlake_version": datlake_sdk.__version__}


def _entry_point() -> dict[str, object]:
    from datlake_sdk.redaction import redact_text

    name = _entry_point_name()
    found: dict[str, object] = {"entry_point": redact_text(_printable(name))}
    version = _version_of(name)
    return {**found, "entry_point_version": version} if version else found


def _entry_point_name() -> str:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    if "ipykernel" in sys.modules:
        return "notebook"
    file = getattr(main, "__file__", None)
    if isinstance(file, str) and file != "<stdin>":
        return file
    if sys.argv and sys.argv[0] == "-c":
        return "-c"
    return "interactive" if hasattr(sys, "ps1") or sys.flags.interactive else "stdin"


def _version_of(entry_point: str) -> str | None:
    """The version of the distribution called like the module or installed command, the one case simply known."""
    if entry_point.endswith(".py") or entry_point in ("-c", "notebook", "interactive", "stdin"):
        return None
    from importlib.metadata import PackageNotFoundError, version

    name = os.path.basename(entry_point).partition(".")[0]
    try:
        return version(name) if name else None
    except PackageNotFoundError:
        return None


def _git() -> dict[str, object]:
    """Commit, branch and dirty flag of the repository of the program, else of the working directory."""
    from datlake_sdk._git import git_dir_of, head_of, is_dirty

    found: dict[str, object] = {"git_commit": None, "git_branch": None, "git_dirty": None}
    try:
        for folder in (*_program_folder(), os.getcwd()):
            if (git_dir := git_dir_of(folder)) is not None:
                found.update(head_of(git_dir))
                found["git_dirty"] = is_dirty(folder)
                break
    except (OSError, UnicodeDecodeError):
        return found
    return found


def _program_folder() -> list[str]:
    """The folder of the program's file: cron starts a job anywhere. None for what is installed with Python."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(file, str):
        return []
    folder = os.path.dirname(os.path.realpath(file))
    prefixes = (os.path.join(os.path.realpath(each), "") for each in (sys.prefix, sys.base_prefix))
    installed = any(folder.startswith(prefix) for prefix in prefixes)
    return [] if installed or "site-packages" in folder else [folder]
