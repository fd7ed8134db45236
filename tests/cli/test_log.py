"""`datlake log` while the run goes: what it has said so far, what it goes on to say, and how that ends."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable

from datlake_sdk import Artifact, DatlakeClient
from datlake_sdk._connection import transport_of
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.wire.ids import object_uri, run_log_key
from tests.cli.typed import Datlake

SAYS = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def begun(client: DatlakeClient, said: bytes) -> str:
    """A run that goes, and has said so much."""
    run = client.start_run("nightly")
    grow(client, run.run_id, 0, said)
    return run.run_id


def grow(client: DatlakeClient, run_id: str, offset: int, said: bytes) -> None:
    """The run goes on to say so much."""
    namespace = client.settings.namespace
    transport_of(client).append_log(namespace, run_id, offset, said, CallOptions(timeout_s=5))


def end(client: DatlakeClient, run_id: str, said: bytes) -> None:
    """The run ends, and names its log."""
    uri = object_uri("b", run_log_key("nightly", run_id))
    digest = hashlib.sha256(said).hexdigest()
    log = Artifact(type="log", uri=uri, name="run.log", size_bytes=len(said), sha256=digest)
    client.complete_run("nightly", run_id, artifacts=[log])


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_that_goes_shows_what_it_has_said_so_far(datlake: Datlake, client: DatlakeClient) -> None:
    """A job that hangs since an hour is looked into, not waited for."""
    run_id = begun(client, b"loading \xff\n")
    assert datlake.raw("log", run_id[:30]).stdout == b"loading \xff\n"
    end(client, run_id, b"loading \xff\n")
    assert datlake.raw("log", "--follow", run_id).stdout == b"loading \xff\n"


def test_a_run_that_said_nothing_yet_says_so(embedded: Datlake) -> None:
    with embedded.place.client() as client:
        told = embedded("log", client.start_run("nightly").run_id)
    assert (told.code, told.out, "said nothing yet" in told.err) == (3, "", True)


def test_following_ends_with_the_run(datlake: Datlake, client: DatlakeClient) -> None:
    """It shows each line as it comes, and leaves when there is no more to come."""
    run_id = begun(client, b"one\n")
    following = datlake.begin("log", "--follow", run_id)
    assert following.stdout is not None
    assert following.stdout.readline() == b"one\n"
    grow(client, run_id, 4, b"two\n")
    assert following.stdout.readline() == b"two\n"
    end(client, run_id, b"one\ntwo\n")
    assert following.communicate(timeout=30) == (b"", b"")
    assert following.returncode == 0


def test_ctrl_c_ends_following_as_a_shell_expects(embedded: Datlake) -> None:
    with embedded.place.client() as client:
        following = embedded.begin("log", "-f", begun(client, b"one\n"))
    assert following.stdout is not None
    assert following.stdout.readline() == b"one\n"
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=30) == (b"", b"")
    assert following.returncode == 130


def test_following_and_json_exclude_each_other(embedded: Datlake) -> None:
    told = embedded("log", "x", "--follow", "--json")
    assert (told.code, "leave one of them out" in told.err) == (2, True)


def test_what_a_program_prints_can_be_read_while_it_runs(embedded: Datlake) -> None:
    """And after `datlake run` was killed, which then ships nothing more."""
    tracking = embedded.begin("run", "--job", "nightly", "--", sys.executable, "-c", SAYS)
    with embedded.place.client() as client:
        until(lambda: bool(client.list_runs().items))
        [run] = client.list_runs().items
        until(lambda: b"".join(client.read_log(run.run_id)).endswith(b"\n"))
        said = b"".join(client.read_log(run.run_id)).decode()
    tracking.kill()
    os.kill(int(said), signal.SIGKILL)
    tracking.communicate(timeout=30)
    assert embedded("log", run.run_id).out == said
