"""The distribution as it is built: what a wheel and an sdist hold, and what they ask of an environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import datlake_sdk
from tools import check_dist

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built by the pinned backend without a network."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def metadata(built: Path) -> Message:
    """What the wheel says about itself."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_both_packages_whole_and_nothing_else(built: Path) -> None:
    """SQL, migrations and `py.typed` are read at run time or by type checkers: without them only users would notice."""
    (wheel,) = built.glob("*.whl")
    assert list(check_dist.wheel_findings(wheel)) == []


def test_the_sdist_holds_sources_and_no_leavings(built: Path) -> None:
    """What lies about in a working tree, such as a lake or an environment, must never be published."""
    (sdist,) = built.glob("*.tar.gz")
    assert list(check_dist.sdist_findings(sdist)) == []


def test_the_version_is_the_one_the_package_tells(metadata: Message) -> None:
    """One place holds the version; a second one would drift."""
    assert metadata["Version"] == datlake_sdk.__version__


def test_a_base_install_asks_for_three_distributions(metadata: Message) -> None:
    """The SDK lives in other people's jobs: each further requirement is a conflict waiting for somebody."""
    base = [asked for asked in metadata.get_all("Requires-Dist", []) if "extra ==" not in asked]
    assert sorted(asked.split(">")[0] for asked in base) == ["apsw", "msgspec", "urllib3"]


def test_no_requirement_has_an_upper_bound(metadata: Message) -> None:
    """A library that caps its requirements takes its users' freedom to upgrade, for breaks that may never come."""
    asked = [line.partition(";")[0] for line in metadata.get_all("Requires-Dist", [])]
    assert [line for line in asked if "<" in line or "==" in line or "~=" in line] == []


def test_every_requirement_is_pinned_for_development() -> None:
    """`make test` judges what users install only if the pins follow pyproject.toml; `make lock` brings them in step."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    for file in sorted((ROOT / "requirements").glob("*.in")):
        if file.name not in {"lock.in", "aside.in"} and not file.name.startswith("engines-"):  # they live elsewhere
            asked += re.findall(r"^[a-z][\w.-]*", file.read_text(), flags=re.MULTILINE)
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "dev.txt").read_text(), flags=re.MULTILINE))
    assert {re.split(r"[^\w.-]", line)[0] for line in asked} - pinned == set()


def test_a_tag_that_names_another_version_is_refused(built: Path) -> None:
    """A release is what its tag says, or it is not published."""
    (wheel,) = built.glob("*.whl")
    assert list(check_dist.tag_findings(wheel, f"v{datlake_sdk.__version__}")) == []
    assert list(check_dist.tag_findings(wheel, "v999.0.0")) != []


def test_a_wheel_that_lacks_a_file_is_refused(built: Path, tmp_path: Path) -> None:
    """The judgement of contents must notice; here one file is left out and a stranger is put in."""
    (wheel,) = built.glob("*.whl")
    spoiled = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(spoiled, "w") as target:
        for name in source.namelist():
            if name != "datlake_server/py.typed":
                target.writestr(name, source.read(name))
        target.writestr("notes.txt", "left behind")
    told = "\n".join(check_dist.wheel_findings(spoiled))
    assert "lacks datlake_server/py.typed" in told
    assert "should not hold notes.txt" in told
