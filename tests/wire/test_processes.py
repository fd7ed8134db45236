"""Whether a process still lives is told for certain, or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import msgspec
import pytest
from msgspec.structs import replace

from datlake_sdk.wire.models import ProcessIdentity
from datlake_sdk.wire.processes import is_alive, own_identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of processes in /proc")

WHO = (
    "import msgspec, sys\n"
    "from datlake_sdk.wire.processes import own_identity\n"
    "print(msgspec.json.encode(own_identity()).decode(), flush=True)\n"
    "sys.stdin.read()\n"
)


def start(*before: str) -> tuple[subprocess.Popen[str], ProcessIdentity]:
    """A process that waits for its input to end, and what it says it is."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, msgspec.json.decode(process.stdout.readline(), type=ProcessIdentity)


def stop(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=20)


def test_a_process_is_alive_while_it_runs_and_gone_when_it_has_ended() -> None:
    """A zombie is gone: a parent that does not ask for its child's status would keep a run open for ever."""
    process, who = start()
    assert is_alive(own_identity()) is True
    assert is_alive(who) is True
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(who) is False
    stop(process)
    assert is_alive(who) is False


def test_another_process_with_the_same_number_is_another() -> None:
    """Numbers are given out again, in a container within seconds."""
    process, who = start()
    assert is_alive(replace(who, started=who.started - 1)) is False
    stop(process)


def test_what_ran_before_the_host_started_anew_is_gone() -> None:
    earlier = replace(own_identity(), host="loader-7", boot_id="00000000-0000-0000-0000-000000000000")
    assert is_alive(replace(earlier, host=own_identity().host)) is (
        None if own_identity().host == "localhost" else False
    )
    assert is_alive(earlier) is None


@pytest.mark.parametrize(
    "unknown",
    [
        {"host": "another-host"},
        {"boot_id": ""},
        {"pid_namespace": 0},
        {"pid_namespace": 1},
    ],
    ids=str,
)
def test_a_process_that_cannot_be_seen_from_here_is_neither_dead_nor_alive(unknown: dict[str, object]) -> None:
    """Its number means another process here, or none."""
    gone = replace(own_identity(), pid=2**31 - 1)
    assert is_alive(gone) is False
    assert is_alive(replace(gone, **unknown)) is None


def test_a_process_of_another_container_is_neither_dead_nor_alive() -> None:
    """Containers on one machine share its boot id, often its name, and each has a process number 1."""
    unshare = [shutil.which("unshare") or "unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a process table of its own")
    process, who = start(*unshare)
    assert who.pid == 1
    assert is_alive(who) is None
    stop(process)


def test_a_forked_child_is_another_process() -> None:
    """What the parent had read of itself is not the child's."""
    parent = own_identity()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, msgspec.json.encode(own_identity()))
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    who = msgspec.json.decode(os.read(read, 4096), type=ProcessIdentity)
    os.close(read)
    assert (who.pid, who != parent) == (child, True)
