"""`datlake backup` and `datlake restore` as they are typed."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from tests.cli.typed import COMMAND, Datlake
from tests.places import serve, stop


def test_a_lake_is_backed_up_and_restored(embedded: Datlake, tmp_path: Path) -> None:
    """The whole way of whoever looks after a lake: back up, lose it, restore, go on."""
    assert embedded("demo").code == 0
    told = embedded("backup", "lake.tar")
    assert (told.code, told.err) == (0, "")
    assert "3 runs, 4 snapshots, 4 objects" in told.out
    assert str(tmp_path / "lake.tar") in told.out
    runs = embedded("--namespace", "demo", "runs", "--json").out
    refused = embedded("restore", "lake.tar")
    assert refused.code == 5
    assert "--force" in refused.err
    restored = embedded("restore", "lake.tar", "--force", "--json")
    assert restored.code == 0
    assert Path(str(restored.json["moved_to"])).is_dir()
    assert embedded("--namespace", "demo", "runs", "--json").out == runs
    again = embedded("restore", "lake.tar", "--home", "other", "--json")
    assert (again.code, again.json["moved_to"]) == (0, None)
    assert embedded("--home", "other", "--namespace", "demo", "runs", "--json").out == runs


def test_what_cannot_be_is_told_in_one_line(embedded: Datlake, tmp_path: Path) -> None:
    """Each with the exit code of its kind, and nothing left behind."""
    for words, code, part in (
        (("backup", "lake.tar"), 3, "no lake in"),
        (("restore", "lake.tar"), 3, "no file"),
        (("restore", __file__), 5, "no backup that can be restored"),
        (("backup", "lake.tar", "--url", "http://127.0.0.1:9"), 2, "--home DIR` there"),
        (("restore", "lake.tar", "--url", "http://127.0.0.1:9"), 2, "--home DIR` there"),
    ):
        told = embedded(*words)
        assert (told.code, told.out, told.err.count("\n")) == (code, "", 1), told
        assert part in told.err
    assert embedded("demo").code == 0
    told = embedded("backup", str(tmp_path / "none" / "lake.tar"))
    assert (told.code, "cannot be written" in told.err) == (1, True)
    assert list(tmp_path.glob("lake.tar*")) == []


def test_a_served_lake_is_backed_up_beside_its_server_and_not_restored(tmp_path: Path, embedded: Datlake) -> None:
    """The server goes on; only putting another lake in its place has to wait for its end."""
    home = tmp_path / "lake"
    server, url = serve(home)
    assert embedded("demo", "--url", url).code == 0
    assert embedded("backup", "lake.tar", "--home", str(home)).code == 0
    refused = embedded("restore", "lake.tar", "--home", str(home), "--force")
    assert refused.code == 2
    assert f"process {server.pid}" in refused.err
    assert url in refused.err
    stop(server)
    assert embedded("restore", "lake.tar", "--home", str(home), "--force").code == 0


def test_an_object_that_the_lake_had_lost_is_told_and_the_rest_is_kept(embedded: Datlake) -> None:
    """Exit code 1 wakes somebody up; the backup is there all the same."""
    assert embedded("demo").code == 0
    lost = min((embedded.place.home / "objects" / "sha256").rglob("*/*"))
    lost.unlink()
    told = embedded("backup", "lake.tar", "--json")
    assert (told.code, told.json["missing"]) == (1, [lost.name])
    assert f"objects that have lost their bytes in the lake: 1 ({lost.name})" in told.err
    assert embedded("restore", "lake.tar", "--home", "other").code == 1


def test_how_far_it_is_is_shown_on_a_terminal_and_nowhere_else(embedded: Datlake) -> None:
    """A log of a nightly backup full of percentages is read by nobody."""
    assert embedded("demo").code == 0
    mine, theirs = pty.openpty()
    command = [*COMMAND, "backup", "lake.tar"]
    done = subprocess.run(
        command, cwd=embedded.folder, env=embedded.environment(), stderr=theirs, capture_output=False, check=False
    )
    os.close(theirs)
    shown = os.read(mine, 65_536).decode()
    os.close(mine)
    assert done.returncode == 0
    assert "datlake: records" in shown
    assert shown.endswith("\r\x1b[K")
    assert embedded("backup", "lake.tar").err == ""
