"""A run says which code made it, on which machine, and nothing that was meant to stay there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datlake_sdk.environment import EnvironmentProbe, capture

ASK = "import json; from datlake_sdk.environment import capture; print(json.dumps(capture()))"


def ask(folder: Path, *words: str, code: str | None = ASK, **environ: str) -> dict[str, object]:
    start = ["-c", code] if code is not None else []
    answer = subprocess.run(
        [sys.executable, *start, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(answer.stdout)
    return found


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    answer = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "trunk/main")
    (folder / "job.py").write_text("1\n")
    git(folder, "add", "job.py")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_run_names_the_commit_and_branch_around_its_working_directory(repository: Path) -> None:
    """The question next month is which code wrote this file."""
    inner = repository / "jobs"
    inner.mkdir()
    found = ask(inner)
    assert found["git_commit"] == git(repository, "rev-parse", "HEAD")
    assert (found["git_branch"], found["git_dirty"]) == ("trunk/main", False)


def test_changed_files_make_the_code_dirty_and_untracked_ones_do_not(repository: Path) -> None:
    """Jobs write beside their code; that changes nothing about what ran."""
    (repository / "output.csv").write_text("x")
    assert ask(repository)["git_dirty"] is False
    (repository / "job.py").write_text("2\n")
    assert ask(repository)["git_dirty"] is True


@pytest.mark.parametrize("shape", ["packed", "detached", "worktree", "submodule"])
def test_the_commit_is_found_in_every_shape_of_repository(repository: Path, tmp_path: Path, shape: str) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    folder = repository
    if shape == "packed":
        git(repository, "pack-refs", "--all")
    if shape == "detached":
        git(repository, "checkout", "-q", "--detach")
    if shape == "worktree":
        folder = tmp_path / "tree"
        git(repository, "worktree", "add", "-q", "-b", "side", str(folder))
    if shape == "submodule":
        outer = tmp_path / "outer"
        outer.mkdir()
        git(outer, "init", "-q")
        git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository), "inner")
        folder = outer / "inner"
    found = ask(folder)
    assert (found["git_commit"], found["git_dirty"]) == (commit, False)
    branches = {"packed": "trunk/main", "detached": None, "worktree": "side", "submodule": "trunk/main"}
    assert found["git_branch"] == branches[shape]


def test_without_a_repository_or_a_commit_nothing_is_guessed(tmp_path: Path) -> None:
    found = ask(tmp_path)
    assert (found["git_commit"], found["git_branch"], found["git_dirty"]) == (None, None, None)
    git(tmp_path, "init", "-q", "-b", "new")
    found = ask(tmp_path)
    assert (found["git_commit"], found["git_branch"]) == (None, "new")


def test_without_git_installed_the_commit_is_known_and_dirty_is_not(repository: Path, tmp_path: Path) -> None:
    """Slim images have the repository but not the program."""
    found = ask(repository, PATH=str(tmp_path))
    assert found["git_commit"] == git(repository, "rev-parse", "HEAD")
    assert found["git_dirty"] is None


def test_a_repository_cannot_make_the_job_run_its_programs(repository: Path, tmp_path: Path) -> None:
    """A configured fsmonitor is a command that `git status` runs."""
    git(repository, "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    ask(repository)
    assert not (tmp_path / "ran").exists()


def test_arguments_are_redacted_and_environment_variables_are_not_captured(tmp_path: Path) -> None:
    found = ask(tmp_path, "--password", "hunter2", "s3://u:hunter2@b/k", "plain", MY_SECRET="hunter2", SOME="visible9")
    assert found["argv"] == ["-c", "--password", "***", "s3://u:***@b/k", "plain"]
    assert "hunter2" not in json.dumps(found)
    assert "visible9" not in json.dumps(found)


def test_host_user_versions_and_process_are_told(tmp_path: Path) -> None:
    found = ask(tmp_path)
    assert found["python_version"] == ".".join(map(str, sys.version_info[:3]))
    assert found["working_directory"] == str(tmp_path)
    assert found["entry_point"] == "-c"
    assert {"host", "user", "pid", "platform", "python_implementation", "datlake_version"} <= found.keys()


def test_the_entry_point_is_the_script_or_the_module(tmp_path: Path) -> None:
    (tmp_path / "nightly.py").write_text(ASK)
    assert ask(tmp_path, "nightly.py", code=None)["entry_point"] == str(tmp_path / "nightly.py")
    assert ask(tmp_path, "-m", "nightly", code=None)["entry_point"] == "nightly"


def test_a_probe_answers_from_its_own_thread_and_gives_each_caller_a_copy() -> None:
    probe = EnvironmentProbe()
    probe.start()
    first = probe.result(30)
    assert first is not None
    assert first["pid"] == os.getpid()
    first.clear()
    assert probe.result(0)


def test_a_probe_that_is_not_ready_says_so_instead_of_waiting(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's job comes first, however long git takes on a cold disk."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 1\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(repository)
    probe = EnvironmentProbe()
    assert probe.result(0) is None
    found = probe.result(30)
    assert found is not None
    assert found["git_dirty"] is None


def test_a_forked_child_is_captured_anew(tmp_path: Path) -> None:
    """A pool's workers are other processes; the parent's thread does not exist in them."""
    code = (
        "import json, os; from datlake_sdk.environment import EnvironmentProbe\n"
        "probe = EnvironmentProbe(); assert probe.result(30)\n"
        "if os.fork() == 0:\n"
        "    found = probe.result(30)\n"
        "    print(json.dumps({'right': found['pid'] == os.getpid()}), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()"
    )
    assert ask(tmp_path, code=code) == {"right": True}


def test_capturing_here_and_now_never_raises() -> None:
    assert capture()["pid"] == os.getpid()
