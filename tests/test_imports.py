"""What `from datlake_sdk import …` costs and touches: judged in a fresh interpreter, as a user's job is one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

IMPORT = "from datlake_sdk import DatlakeClient, JobContext"

# Whatever opens sockets, serves, or computes belongs to the moment it is used.
HEAVY = {
    *("urllib3", "http", "http.client", "urllib.request", "ssl", "socket", "requests", "httpx"),
    *("datlake_server", "starlette", "uvicorn", "uvloop", "httptools", "anyio", "apsw", "sqlite3"),
    *("polars", "pandas", "pyarrow", "duckdb", "numpy"),
}
# The standard library's own weights: together they cost more than `import msgspec`.
SLOW = {
    *("asyncio", "logging", "subprocess", "concurrent", "concurrent.futures", "multiprocessing"),
    *("inspect", "dataclasses", "importlib.resources", "importlib.metadata", "argparse", "rich"),
}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that the import brings beyond those of `import msgspec`, the one library every model needs."""
    told = fresh(
        f"import sys, msgspec; before = set(sys.modules); {IMPORT}\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    return set(json.loads(told))


def test_importing_the_sdk_loads_no_http_library_no_server_and_no_dataframe_engine(loaded: set[str]) -> None:
    """The SDK sits in every job, also in those that never reach a network."""
    assert loaded & HEAVY == set()


def test_importing_the_sdk_loads_none_of_the_slow_parts_of_the_standard_library(loaded: set[str]) -> None:
    """The import budget is half again `import msgspec`; each of these would eat it alone."""
    assert loaded & SLOW == set()


def test_importing_the_sdk_touches_nothing_of_the_process() -> None:
    """Somebody else's program: hooks, streams, signals and exits are theirs before and after."""
    told = fresh(f"{LOOK}\nbefore = look()\n{IMPORT}\nafter = look()\n{COMPARE}")
    assert json.loads(told) == []


def test_the_look_at_the_process_sees_a_patched_hook() -> None:
    """The check above would notice: here the import is replaced by a statement that patches."""
    told = fresh(f"{LOOK}\nbefore = look()\nsys.excepthook = print\nafter = look()\n{COMPARE}")
    assert json.loads(told) == ["sys.excepthook"]


LOOK = """
import atexit, builtins, os, signal, sys, threading, warnings

def look():
    seen = {f"sys.{name}": getattr(sys, name) for name in (
        "excepthook", "unraisablehook", "displayhook", "breakpointhook", "stdin", "stdout", "stderr", "exit")}
    seen |= {f"os.{name}": getattr(os, name) for name in ("_exit", "fork", "execv", "kill") if hasattr(os, name)}
    seen |= {f"builtins.{name}": getattr(builtins, name) for name in ("print", "open", "input", "__import__")}
    seen |= {f"signal {number}": signal.getsignal(number) for number in signal.valid_signals()}
    seen |= {"threading.excepthook": threading.excepthook, "threads": threading.active_count()}
    seen |= {"trace": sys.gettrace(), "profile": sys.getprofile(), "exits": atexit._ncallbacks()}
    seen |= {"meta_path": list(sys.meta_path), "path_hooks": list(sys.path_hooks), "path": list(sys.path)}
    seen |= {"environment": dict(os.environ), "folder": os.getcwd(), "warnings": list(warnings.filters)}
    return seen
"""
COMPARE = "import json; print(json.dumps([name for name in before if before[name] != after[name]]))"


def fresh(code: str) -> str:
    """What `code` prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
