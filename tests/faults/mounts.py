"""File systems of their own for the fault tests: a small one in memory, and one on an image that can lose its power."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.rounds import need


@contextmanager
def small_disk(at: Path, size_mib: int) -> Iterator[Path]:
    """A file system in memory that holds so much and no more; the test is skipped where none can be mounted."""
    need("mount", "umount", root=True)
    at.mkdir()
    done = _do("mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "none", str(at))
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield at
    finally:
        _unmount(at)


class PowerlessDisk:
    """An ext4 file system on an image. `cut` is the moment at which its power goes: what was not on it then is gone."""

    def __init__(self, image: Path, at: Path, size_mib: int = 64) -> None:
        need("mkfs.ext4", "xfs_io", "mount", "umount", root=True, loop=True)
        self._image = image
        self.at = at
        at.mkdir()
        with image.open("wb") as file:
            file.truncate(size_mib << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, timeout=60)
        done = _do("mount", "-o", "loop", str(image), str(at))
        if done.returncode:
            pytest.skip(f"no image can be mounted here: {done.stderr.strip()}")

    def cut(self) -> None:
        """From now on nothing reaches the disk and nothing is read from it; what was only in memory never will."""
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", str(self.at)], check=True, timeout=60, capture_output=True)

    def turn_read_only(self) -> None:
        """From now on the file system takes no writes, as after an error that the kernel found in it."""
        subprocess.run(["mount", "-o", "remount,abort", str(self.at)], check=True, timeout=60, capture_output=True)

    def power_on(self) -> None:
        """The file system as a machine finds it that starts again. Nobody may have a file of it open."""
        _unmount(self.at)
        subprocess.run(["mount", "-o", "loop", str(self._image), str(self.at)], check=True, timeout=60)

    def close(self) -> None:
        """The file system is mounted no more."""
        _unmount(self.at)


@contextmanager
def powerless_disk(folder: Path, size_mib: int = 64) -> Iterator[PowerlessDisk]:
    """A disk in `folder` whose power can be cut; the test is skipped where there can be none."""
    disk = PowerlessDisk(folder / "disk.img", folder / "disk", size_mib)
    try:
        yield disk
    finally:
        disk.close()


def _unmount(at: Path) -> None:
    done = _do("umount", str(at))
    if done.returncode and "not mounted" not in done.stderr:
        _do("umount", "--lazy", str(at))  # something still holds it: it goes when that does
        pytest.fail(f"{at} could not be unmounted: {done.stderr.strip()}")


def _do(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
