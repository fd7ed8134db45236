"""What git knows of a folder: commit and branch read from its files, changes asked of the program.

`environment.py` calls it, on its own thread.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import Final

__all__ = ["git_dir_of", "head_of", "is_dirty"]

# A status of a huge repository on a cold disk takes longer; the run's record is not worth waiting for it.
GIT_TIMEOUT_S: Final = 2.0
_ASK_EVERY_S: Final = 0.002

# fsmonitor is a command a repository may name: looking at a repository must not run its programs.
_STATUS: Final = (
    *("-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--no-ahead-behind"),
    "--untracked-files=no",
)


def git_dir_of(folder: str) -> str | None:
    while True:
        candidate = os.path.join(folder, ".git")
        if os.path.isfile(os.path.join(candidate, "HEAD")):
            return candidate
        # A worktree or submodule has a file here that says where its folder is.
        pointer = _line_of(candidate)
        if pointer is not None and pointer.startswith("gitdir:"):
            return os.path.normpath(os.path.join(folder, pointer.removeprefix("gitdir:").strip()))
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def head_of(git_dir: str) -> dict[str, object]:
    shared = os.path.normpath(os.path.join(git_dir, _line_of(os.path.join(git_dir, "commondir")) or "."))
    target = _line_of(os.path.join(git_dir, "HEAD")) or ""
    branch: str | None = None
    # A symbolic ref may name another one; five is more than anybody has, and ends a circle.
    for _ in range(5):
        if not target.startswith("ref:"):
            break
        name = target.removeprefix("ref:").strip()
        if not name.startswith("refs/") or ".." in name:
            return {}
        branch = branch or name.removeprefix("refs/heads/")
        target = _ref(name, git_dir, shared)
    is_commit = len(target) in (40, 64) and set(target) <= set("0123456789abcdef")
    # The reftable format keeps ".invalid" here for those who look without git.
    return {"git_commit": target if is_commit else None, "git_branch": None if branch == ".invalid" else branch}


def _ref(name: str, git_dir: str, shared: str) -> str:
    for folder in (git_dir, shared):
        value = _line_of(os.path.join(folder, *name.split("/")))
        if value:
            return value
    try:
        with open(os.path.join(shared, "packed-refs"), encoding="utf-8") as file:
            for line in file:
                value, _, packed = line.strip().partition(" ")
                if packed == name:
                    return value
    except FileNotFoundError:
        return ""
    return ""


def _line_of(path: str) -> str | None:
    """The file's first line, `None` where there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline(4096).strip()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        return None


def is_dirty(folder: str) -> bool | None:
    """Whether tracked files differ from the commit; null where git does not tell within two seconds."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-C", folder, *_STATUS]
    try:
        told = _spawned(command, environ) if hasattr(os, "posix_spawnp") else _run(command, environ)
    except OSError:
        return None
    lines = told.splitlines() if told else []
    # The branch header proves that git answered: a job that reaps its children itself takes git's exit status away.
    if not lines or not lines[0].startswith(b"# branch."):
        return None
    return any(not line.startswith(b"#") for line in lines)


def _spawned(command: list[str], environ: dict[str, str]) -> bytes | None:
    """What the command prints. Without subprocess, whose import costs a short job more than git itself."""
    reader, writer = os.pipe()
    try:
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        try:
            pid = os.posix_spawnp(command[0], command, environ, file_actions=streams)
        finally:
            os.close(writer)
        end_s = time.monotonic() + GIT_TIMEOUT_S
        told = _read_to_end(reader, end_s)
        return told if _ended_well(pid, end_s) else None
    finally:
        os.close(reader)


def _read_to_end(file: int, end_s: float) -> bytes:
    ready, pieces = select.poll(), list[bytes]()
    ready.register(file, select.POLLIN | select.POLLHUP)
    while ready.poll(max(0.0, end_s - time.monotonic()) * 1000) and (piece := os.read(file, 65_536)):
        pieces.append(piece)
    return b"".join(pieces)


def _ended_well(pid: int, end_s: float) -> bool:
    """True where the child ended with 0, or the job took its status; one that does not end in time is ended."""
    with suppress(ChildProcessError):
        while time.monotonic() < end_s:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status == 0
            time.sleep(_ASK_EVERY_S)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return False
    return True


def _run(command: list[str], environ: dict[str, str]) -> bytes | None:
    import subprocess

    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            env=environ,
            check=False,
        )
    except subprocess.SubprocessError:
        return None
    return answer.stdout if answer.returncode == 0 else None
