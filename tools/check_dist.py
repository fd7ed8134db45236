"""Judges a built wheel and sdist as a user would meet them: what is in them, what they bring along, whether they run.

`make dist` calls it on the folder of built files, `tests/test_packaging.py` uses its judgements of contents. It never
looks at the environment it runs in: the wheel is installed into an empty one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("datlake_sdk", "datlake_server")
# The promise of a base install: ours and three more; pip is the environment's own.
BASE_INSTALL = {"datlake-sdk", "msgspec", "apsw", "urllib3"}
ENVIRONMENT_OWN = {"pip", "setuptools", "wheel"}
BASE_INSTALL_MIB = 20
SDIST_PARTS = {
    *("src", "tests", "tools", "examples", "benchmarks", "docs", "requirements", ".ci"),
    *("Makefile", "LICENSE", "PKG-INFO", "pyproject.toml", ".gitignore"),
}
JUNK = re.compile(
    r"(^|/)(__pycache__|\.venv|\.git|\.datlake|node_modules|dist|build|\.[a-z_]+_cache)(/|$)|\.(pyc|so|db)$"
)


def main() -> int:
    """0 when the built files are fit to be published; otherwise each finding on a line of its own, and 1."""
    arguments = _parser().parse_args()
    wheels, sdists = list(arguments.folder.glob("*.whl")), list(arguments.folder.glob("*.tar.gz"))
    found = [] if (len(wheels), len(sdists)) == (1, 1) else [f"{arguments.folder} should hold one wheel and one sdist"]
    for wheel in wheels:
        found += [*wheel_findings(wheel), *tag_findings(wheel, arguments.tag), *install_findings(wheel)]
    for sdist in sdists:
        found += sdist_findings(sdist)
    print(*(found or ["datlake: wheel and sdist are fit to be published"]), sep="\n")
    return 1 if found else 0


def wheel_findings(wheel: Path) -> Iterator[str]:
    """What the wheel lacks of `src`, and what it holds beyond it."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set(_package_files())
    yield from (f"{wheel.name} lacks {name}" for name in sorted(expected - packed))
    yield from (f"{wheel.name} should not hold {name}" for name in sorted(packed - expected))
    yield from (f"{wheel.name} lacks {name}/py.typed" for name in PACKAGES if f"{name}/py.typed" not in packed)


def sdist_findings(sdist: Path) -> Iterator[str]:
    """What in the sdist is no source, and what of `src` it lacks."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in sorted(names):
        top = name.partition("/")[0]
        if JUNK.search(name) or not (top in SDIST_PARTS or re.fullmatch(r"[A-Z]+\.md", top)):
            yield f"{sdist.name} should not hold {name}"
    yield from (f"{sdist.name} lacks src/{name}" for name in _package_files() if f"src/{name}" not in names)


def tag_findings(wheel: Path, tag: str | None) -> Iterator[str]:
    """What a release is told when its tag names another version than the wheel."""
    version = wheel.name.split("-")[1]
    if tag is not None and tag != f"v{version}":
        yield f"the tag {tag} does not name the version {version}; tag v{version}, or change __version__ and commit"


def install_findings(wheel: Path) -> Iterator[str]:
    """What goes wrong when the wheel alone is installed into an empty environment and its first commands are typed."""
    with tempfile.TemporaryDirectory(prefix="datlake-dist-") as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        _run(folder, "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel.resolve()))
        brought = set(_run(folder, "python", "-c", _DISTRIBUTIONS).split()) - ENVIRONMENT_OWN
        if brought != BASE_INSTALL:
            yield f"a base install should bring {sorted(BASE_INSTALL)}, and brought {sorted(brought)}"
        size_mib = float(_run(folder, "python", "-c", _SIZE))
        print(f"datlake: a base install brings {len(brought)} distributions, {size_mib:.1f} MiB")
        if size_mib > BASE_INSTALL_MIB:
            yield f"a base install should take at most {BASE_INSTALL_MIB} MiB, and takes {size_mib:.1f}"
        version = wheel.name.split("-")[1]
        if version not in _run(folder, "datlake", "--version"):
            yield f"`datlake --version` does not say {version}"
        print(_run(folder, "datlake", "demo"))


_DISTRIBUTIONS = "from importlib.metadata import distributions as d; print(*(x.metadata['Name'].lower() for x in d()))"
_SIZE = """
from importlib.metadata import distributions
own = [x for x in distributions() if x.metadata["Name"].lower() not in ("pip", "setuptools", "wheel")]
files = [f.locate() for x in own for f in x.files or () if not f.name.endswith(".pyc")]
print(sum(f.stat().st_size for f in files if f.exists()) / 2**20)
"""


def _run(folder: Path, command: str, *arguments: str) -> str:
    """What the command of the empty environment prints; its own words and a failed check when it fails."""
    program = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / command
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATLAKE_", "PYTHON"))}
    environment = {**kept, "HOME": str(folder), "DATLAKE_HOME": str(folder / "lake")}
    # The machine's pip settings stay in force; only what Python and Datlake would read from this user is taken away.
    if arguments[:2] == ("-m", "pip"):
        environment["HOME"] = os.environ.get("HOME", str(folder))
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"`{command} {' '.join(arguments)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _package_files() -> Iterator[str]:
    """Each file of the packages, as the wheel names it; byte code aside."""
    source = ROOT / "src"
    for package in PACKAGES:
        for file in sorted((source / package).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(source).as_posix()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where wheel and sdist lie")
    parser.add_argument("--tag", help="the release's tag, which must name the version: v1.2.3")
    return parser


if __name__ == "__main__":
    sys.exit(main())
