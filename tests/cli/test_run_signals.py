"""How `datlake run` ends when somebody wants it to stop, and what a terminal sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.typed import COMMAND, Datlake

# Says that it is there, notes every signal it gets, and ends a moment after the first.
NOTING = """
import os, signal, sys, time
def note(number, frame):
    with open("signals", "a") as file:
        file.write(f"{number}\\n")
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, note)
print("ready", flush=True)
while not os.path.exists("signals"):
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(5)
"""


def state_of(datlake: Datlake) -> tuple[object, object]:
    """State and reason of the one run there is."""
    (run,) = datlake("runs", "--json").items
    metadata = run["metadata"]
    return run["state"], metadata.get("aborted_because") if isinstance(metadata, dict) else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_dies_of_a_wish_to_stop_is_aborted(embedded: Datlake, number: signal.Signals) -> None:
    """`kill` reaches us alone: it is handed on, and the exit code is what a shell would say."""
    process = embedded.begin("run", "--job", "long", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert state_of(embedded) == ("aborted", f"killed by {number.name}")
    run_id = str(embedded("runs", "--json").items[0]["run_id"])
    assert embedded("log", run_id).out == "ready\n"


def test_a_program_that_tidies_up_first_is_waited_for(embedded: Datlake) -> None:
    """It gets the signal once, says goodbye in its own time, and its exit code is kept."""
    process = embedded.begin("run", "--", sys.executable, "-c", NOTING)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 5
    assert (embedded.folder / "signals").read_text().split() == [str(int(signal.SIGTERM))]
    assert state_of(embedded) == ("aborted", "SIGTERM, then exit code 5")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_by_any_other_signal_is_a_failure(embedded: Datlake, number: signal.Signals) -> None:
    """Nobody asked for it."""
    assert embedded("run", "--", "sh", "-c", f"kill -{int(number)} $$").code == 128 + number
    assert state_of(embedded) == ("failed", None)


def test_an_ignored_hangup_stays_ignored(embedded: Datlake) -> None:
    """`nohup datlake run …` survives the terminal, and so does its program."""
    command = " ".join(COMMAND)
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP; exec {command} run -- sh -c 'echo ready; sleep 0.5; echo done'"],
        env=embedded.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGHUP)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"done\n")


def test_a_program_left_behind_holds_nobody_up(embedded: Datlake) -> None:
    """A daemon that the job started keeps the pipe open; the run has ended all the same."""
    began = time.monotonic()
    told = embedded("run", "--", "sh", "-c", "sleep 5 & echo begun")
    assert (told.code, told.out) == (0, "begun\n")
    assert time.monotonic() - began < 4
    assert state_of(embedded)[0] == "completed"


def test_a_reader_that_leaves_ends_the_program_as_it_would_have_ended(embedded: Datlake) -> None:
    """`datlake run -- yes | head -1`: the program gets its SIGPIPE."""
    process = embedded.begin("run", "--", "yes")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 128 + signal.SIGPIPE
    assert process.stderr is not None
    process.stderr.close()
    assert state_of(embedded)[0] == "failed"


# --- on a terminal ----------------------------------------------------------------------------------------------------


# A session leader without a terminal gets the one it opens.
TAKE_TERMINAL = 'exec "$@" <>"$TERMINAL" >&0 2>&0'


def on_a_terminal(datlake: Datlake, *words: str, interrupt_after: bytes | None = None) -> tuple[int, str]:
    """(exit code, what the screen showed) of a command that has a terminal; Ctrl-C once the screen shows the mark."""
    ours, theirs = os.openpty()
    environment = {name: value for name, value in datlake.environment().items() if name not in {"CI", "NO_COLOR"}}
    process = subprocess.Popen(
        ["sh", "-c", TAKE_TERMINAL, "sh", *COMMAND, *words],
        cwd=datlake.folder,
        env=environment | {"TERM": "xterm", "TERMINAL": os.ttyname(theirs)},
        start_new_session=True,
    )
    time.sleep(0.1)  # the shell opens it meanwhile; a terminal that nobody has open ends our reading
    os.close(theirs)
    screen = b""
    while data := read_from(ours):
        screen += data
        if interrupt_after is not None and interrupt_after in screen:
            os.write(ours, b"\x03")
            interrupt_after = None
    os.close(ours)
    return process.wait(timeout=20), screen.decode()


def read_from(terminal: int) -> bytes:
    """What the terminal shows next, nothing once the other side has gone."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # that is how Linux says so
        return b""


def test_a_terminal_shows_a_line_at_the_start_and_a_card_at_the_end(embedded: Datlake) -> None:
    """Somebody is watching: where to look, and how it went."""
    code, screen = on_a_terminal(embedded, "run", "--job", "nightly", "-i", "raw", "--", "echo", "hi")
    assert code == 0
    assert screen.index("nightly") < screen.index("hi\r\n") < screen.index("completed")
    assert "datlake run show " in screen


def test_control_c_reaches_the_program_once(embedded: Datlake) -> None:
    """The terminal sends it to both of us; handing it on as well would be twice."""
    code, _ = on_a_terminal(embedded, "run", "--", sys.executable, "-c", NOTING, interrupt_after=b"ready")
    assert code == 5
    assert (embedded.folder / "signals").read_text().split() == [str(int(signal.SIGINT))]
    assert state_of(embedded) == ("aborted", "SIGINT, then exit code 5")
