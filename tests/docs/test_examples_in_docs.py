"""The code in the documents, run as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, SDK_PAGE, blocks

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
WITH_CODE = [page for page in PAGES if any(block.info in {"python", "python script"} for block in blocks(page))]
KINDS = {"python", "python script", "python pytest"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished interpreter, in `folder` and with a lake in it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATLAKE_")}
    environment |= {"DATLAKE_HOME": str(folder / "lake"), "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_document_runs_from_top_to_bottom(tmp_path: Path, page: Path) -> None:
    """People copy from documents; what does not run there costs them an evening."""
    done = run(tmp_path, "-W", "error", "-m", "tests.docs.type_along", str(page))
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_recipe_for_testing_a_job_is_a_test_that_passes(tmp_path: Path) -> None:
    """It is the only block that pytest itself has to run."""
    (recipe,) = [block for block in blocks(SDK_PAGE) if block.info == "python pytest"]
    (tmp_path / "test_recipe.py").write_text(recipe.body, encoding="utf-8")
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "test_recipe.py")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_that_is_not_run_is_python_and_names_its_reason(page: Path) -> None:
    """`python no-run: reason` is the one way to be left out, so that nothing is left out by accident."""
    for block in blocks(page):
        if not block.info.startswith("python") or block.info in KINDS:
            continue
        assert re.fullmatch(r"python no-run: \S.+", block.info), f"{page.name} line {block.line}: {block.info}"
        compile(block.body, f"{page.name} line {block.line}", "exec", dont_inherit=True)
