"""The layers of the house: every contract in pyproject.toml is kept, and each of them can be broken."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

# One import against each contract: where it is written, and what it says.
OFFENCES = {
    "SDK: command line over context over client over transport over wire over errors": (
        "datlake_sdk/errors.py",
        "import datlake_sdk.transport",
    ),
    "Server: HTTP over the lake over services over store and objects": (
        "datlake_server/objects/__init__.py",
        "import datlake_server.services",
    ),
    "The wire is made of msgspec and the errors, nothing else": (
        "datlake_sdk/wire/__init__.py",
        "import datlake_sdk.transport",
    ),
    "OpenLineage's translation is made of the wire, the errors and msgspec": (
        "datlake_sdk/lineage/__init__.py",
        "import datlake_sdk.settings",
    ),
    "Services know the wire, OpenLineage, the errors, the caller and the transaction, nothing else": (
        "datlake_server/services/__init__.py",
        "import datlake_server.http",
    ),
    "The errors know nothing": ("datlake_sdk/errors.py", "import msgspec"),
    "The SDK reaches the server through the embedded transport and `datlake serve` alone": (
        "datlake_sdk/wire/__init__.py",
        "import datlake_server",
    ),
    "Two files speak HTTP to a server: the transport, and what forwards to OpenLineage targets": (
        "datlake_sdk/transport/__init__.py",
        "import urllib3",
    ),
    "One file speaks through openlineage-python": ("datlake_sdk/transport/__init__.py", "import openlineage.client"),
    "One file speaks to SQLite": ("datlake_server/services/__init__.py", "import apsw"),
    "One folder serves HTTP": ("datlake_server/services/__init__.py", "from starlette.requests import Request"),
    "The HTTP folder and `datlake serve` start the web server": (
        "datlake_server/store/__init__.py",
        "def serve() -> None:\n    import uvicorn",
    ),
    "The command line alone draws on terminals": ("datlake_sdk/transport/__init__.py", "import rich"),
    "No dataframe engine and no other HTTP client anywhere": (
        "datlake_sdk/transport/__init__.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import polars",
    ),
}


def test_every_layer_is_kept() -> None:
    """Layers that are only drawn decay; these are judged on every run of the suite."""
    verdict = lint(ROOT)
    assert verdict.returncode == 0, verdict.stdout


def test_every_contract_can_be_broken(tmp_path: Path) -> None:
    """A contract that cannot fail promises nothing, so each one meets an import it must refuse."""
    house = copy_of_the_house(tmp_path)
    for file, line in OFFENCES.values():
        with (house / "src" / file).open("a") as source:
            source.write(f"\n{line}\n")
    verdict = lint(house)
    assert verdict.returncode == 1
    assert broken(verdict.stdout) == set(OFFENCES), verdict.stdout


def test_every_contract_has_its_counterexample() -> None:
    """Whoever adds a contract shows that it bites."""
    assert {contract["name"] for contract in contracts()} == set(OFFENCES)


def test_every_module_a_contract_names_exists() -> None:
    """A contract about a file that was renamed would be kept for ever, and say nothing."""
    missing = [name for name in sorted(named_modules()) if not is_a_module(name)]
    assert missing == []


def test_no_module_of_ours_takes_public_names_from_the_package_itself() -> None:
    """They resolve lazily, and would close a circle that no graph shows. The command line is a user like others."""
    takers = {}
    for file in sorted((ROOT / "src").rglob("*.py")):
        if "cli" not in file.parts and (names := taken_from_the_package(file)) - {"__version__"}:
            takers[str(file.relative_to(ROOT))] = names
    assert takers == {}


def contracts() -> list[dict[str, object]]:
    """The contracts of pyproject.toml, as they are written there."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(settings["tool"]["importlinter"]["contracts"])


def taken_from_the_package(file: Path) -> set[str]:
    """The names, modules aside, that a file imports by `from datlake_sdk import …`."""
    imports = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom))
    names = {alias.name for node in imports if node.module == "datlake_sdk" for alias in node.names}
    return {name for name in names if not is_a_module(f"datlake_sdk.{name}")}


def named_modules() -> set[str]:
    """Each module of ours that stands in a contract."""
    written = " ".join(str(contract.get(key, "")) for contract in contracts() for key in contract if key != "name")
    return set(re.findall(r"datlake_(?:sdk|server)(?:\.\w+)*", written))


def is_a_module(name: str) -> bool:
    """Whether `src` holds a module or a package of this name."""
    place = ROOT / "src" / Path(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def copy_of_the_house(folder: Path) -> Path:
    """A copy of what import-linter reads, free to be spoiled."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for part in ("src", "tools"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    """What `lint-imports` says of the packages in `house`, told without a cache and without wrapping."""
    environment = {**os.environ, "PYTHONPATH": f"{house / 'src'}{os.pathsep}{house}", "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"],
        cwd=house,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def broken(told: str) -> set[str]:
    """The names of the contracts that were reported as broken."""
    return set(re.findall(r"^(.+) BROKEN", told, flags=re.MULTILINE))
