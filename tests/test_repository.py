"""The repository as a stranger finds it: nothing of one machine, nothing too large to read, documents that hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools import check_docs

ROOT = Path(__file__).parent.parent

# Written with one-letter classes, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(
    r"/wor[k]/(main|shared|steering|\.)|/roo[t]/|/hom[e]/runner/|/op[t]/(pypi|wheels)|/tm[p]/build/"
)
REGISTRY_HOSTS = re.compile(
    r"py[p]i\.(org|io)|pythonhoste[d]|registr[y]\.(npmjs|yarnpkg)|de[b]\.debian|^--(extra-)?index-ur[l]|^--find-link[s]",
    re.MULTILINE,
)
MAX_BYTES = 1 << 20
MAX_LINES = 450


def tracked_files() -> list[Path]:
    """Each file under version control; in an unpacked sdist, each file there is."""
    if not (ROOT / ".git").exists():
        return [file for file in ROOT.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in told.split("\0") if name and (ROOT / name).is_file()]


def text_of(file: Path) -> str:
    """The file's text; what is no text is read as far as it goes."""
    return file.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("forbidden", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["machine paths", "registry hosts"])
def test_no_file_speaks_of_one_machine_or_registry(forbidden: re.Pattern[str]) -> None:
    """A path of somebody's machine works for nobody else, and a named host overrules the reader's own mirror."""
    found = {
        str(file.relative_to(ROOT)): match[0] for file in tracked_files() if (match := forbidden.search(text_of(file)))
    }
    assert found == {}


def test_no_file_is_larger_than_a_mebibyte() -> None:
    """What is large is data or a build, and belongs elsewhere."""
    large = {str(file.relative_to(ROOT)): file.stat().st_size for file in tracked_files()}
    assert {name: size for name, size in large.items() if size > MAX_BYTES} == {}


def test_every_source_file_is_short_enough_to_be_read() -> None:
    """Beyond 400 lines there is a seam to be found; beyond 450 it has to be."""
    lines = {str(file.relative_to(ROOT)): text_of(file).count("\n") for file in tracked_files() if file.suffix == ".py"}
    assert {name: count for name, count in lines.items() if count >= MAX_LINES} == {}


def test_the_documents_hold_what_they_say() -> None:
    """Links lead somewhere, Python is Python, and each `make` target that is named is there."""
    assert list(check_docs.findings(ROOT)) == []


def test_the_readme_names_the_two_commands_that_do_everything() -> None:
    """A newcomer types these two, in this order, and has seen it all work."""
    readme = text_of(ROOT / "README.md")
    assert "make demo" in readme
    assert "make test" in readme


def test_a_document_with_faults_is_told_of_each(tmp_path: Path) -> None:
    """The check of documents must notice; here is one of each fault it looks for."""
    (tmp_path / "Makefile").write_text("test:\n\ttrue\n")
    (tmp_path / "docs" / "decisions").mkdir(parents=True)
    (tmp_path / "docs" / "decisions" / "README.md").write_text("# Decisions\n")
    (tmp_path / "docs" / "decisions" / "0001-a.md").write_text("# A\n")
    (tmp_path / "page.md").write_text(
        "# Page\n\n[gone](gone.md) [here](#page) [nowhere](#no-such)\n\nType `make tset`.\n\n```python\nif:\n```\n"
    )
    told = "\n".join(check_docs.findings(tmp_path))
    assert told.count("\n") == 4, told
    for fault in ("gone.md", "#no-such", "make tset", "line 8 is no Python", "0001-a.md"):
        assert fault in told


def test_ci_runs_the_readmes_test_command() -> None:
    """What CI proves and what the README promises must be the same command."""
    script = ROOT / ".ci" / "run"
    commands = [line.strip() for line in text_of(script).splitlines() if line.startswith("make ")]
    assert commands == ["make test", "make check"]
    assert script.stat().st_mode & 0o111
