"""A run says on a terminal what a person wants to know, and nothing a hostile name could smuggle in."""

from __future__ import annotations

import io
import os
import pty
import re
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datlake_sdk.terminal import Card, colour, end_card, speaks, start_line

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"

FULL = Card(
    job_name="daily_sales_etl",
    run_id=RUN,
    state="completed",
    duration_s=12.34,
    inputs=[("sales_raw", 12), ("s3://bucket/lookup.csv", None)],
    outputs=[("sales_curated", 7, 1_204_511, 3_412_000), ("sales_rejected", 103, 1, None)],
    warnings=[
        "the log could not be uploaded: the disk of the lake is full; free some space and run datlake outbox flush"
    ],
)

SHOWN = """\
datlake  daily_sales_etl  completed in 12.3 s  ─────────────────────────────────
  inputs    sales_raw               v12
            s3://bucket/lookup.csv
  outputs   sales_curated     v7  1 204 511 rows  3.4 MB
            sales_rejected  v103           1 row
  warnings  the log could not be uploaded: the disk of the lake is full; free
            some space and run datlake outbox flush
  run       datlake run show 01890a5d-ac96-774b-bcce-b302099a8057
"""


def columns(line: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_the_card_tells_state_duration_inputs_outputs_warnings_and_where_to_look() -> None:
    """Whoever watched the job wants one glance; everything else is behind the last line."""
    assert end_card(FULL) == SHOWN


def test_the_start_is_one_line_with_the_link() -> None:
    url = f"http://127.0.0.1:8765/runs/{RUN}"
    assert start_line("nightly", RUN, url) == f"datlake  nightly started  {url}\n"
    assert start_line("nightly", RUN) == f"nightly started  datlake run show {RUN}\n"


def test_a_link_is_shown_whole_when_there_is_one() -> None:
    url = "https://lake.example/" + "long/" * 30
    assert url in end_card(Card(job_name="j", run_id=RUN, state="completed", duration_s=1, url=url))
    assert url in start_line("j" * 100, RUN, url)


def test_a_run_that_was_not_recorded_says_so_and_why() -> None:
    """A link to a run that does not exist would be a lie."""
    card = Card(
        job_name="j", run_id=RUN, state="completed", duration_s=1, recorded=False,
        not_recorded_because="http://lake refused the connection",
    )  # fmt: skip
    shown = end_card(card)
    assert "NOT RECORDED: http://lake refused the connection" in shown
    assert "run show" not in shown


def test_a_failed_run_shows_its_error() -> None:
    shown = end_card(Card(job_name="j", run_id=RUN, state="failed", duration_s=0.0123, error="KeyError: 'tmax'"))
    assert "failed in 12 ms" in shown
    assert "error     KeyError: 'tmax'" in shown


@pytest.mark.parametrize(
    ("duration_s", "told"),
    [(0, "0 ms"), (-1, "0 ms"), (1, "1.0 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"), (7_260, "2 h 01 min")],
)
def test_durations_are_told_as_people_say_them(duration_s: float, told: str) -> None:
    assert f"in {told}  ─" in end_card(Card(job_name="j", run_id=RUN, state="completed", duration_s=duration_s))


def test_many_tables_are_counted_instead_of_filling_the_screen() -> None:
    shown = end_card(msgspec.structs.replace(FULL, inputs=[(f"table_{n}", n) for n in range(40)]))
    assert "and 32 more" in shown
    assert len(shown.splitlines()) < 20


NASTY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b\x07\r\n\t\u202e\u200b\udc80表é\u0301")))


@given(name=NASTY, words=NASTY, coloured=st.booleans())
def test_no_control_character_of_a_name_or_message_reaches_the_terminal(name: str, words: str, coloured: bool) -> None:
    """A table's name must not clear the screen, move the cursor or retitle the window."""
    card = Card(
        job_name=name, run_id=RUN, state="failed", duration_s=1, inputs=[(name, 1)], outputs=[(name, 1, 1, 1)],
        warnings=[words], error=words,
    )  # fmt: skip
    shown = start_line(name, RUN, coloured=coloured) + end_card(card, coloured=coloured)
    bare = re.sub(r"\x1b\[[0-9]+m", "", shown) if coloured else shown
    assert all(char == "\n" or char.isprintable() for char in bare)


@given(name=NASTY, words=NASTY, number=st.integers(0, 10**15))
def test_every_line_fits_eighty_columns(name: str, words: str, number: int) -> None:
    card = Card(
        job_name=name * 9, run_id=RUN, state="completed", duration_s=number, inputs=[(name * 9, number)],
        outputs=[(name, number, number, number)], warnings=[words * 9], error=words, recorded=False,
        not_recorded_because=words,
    )  # fmt: skip
    assert max(map(columns, end_card(card).splitlines())) <= 80
    assert columns(start_line(name * 9, RUN).rstrip("\n")) <= 80


def test_colours_change_nothing_but_colours() -> None:
    painted = end_card(FULL, coloured=True)
    assert "\x1b[32mcompleted\x1b[0m" in painted
    assert re.sub(r"\x1b\[[0-9]+m", "", painted) == SHOWN


def test_a_run_speaks_on_a_terminal_and_stays_silent_in_ci_pipes_and_files() -> None:
    """Output that nobody reads is noise in somebody's log."""
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "rb"), os.fdopen(terminal, "w") as stream:
        assert speaks(stream, {})
        assert speaks(stream, {"CI": ""})
        assert not speaks(stream, {"CI": "true"})
        assert colour(stream, {"TERM": "xterm"})
        assert not colour(stream, {"NO_COLOR": "1"})
        assert not colour(stream, {"TERM": "dumb"})
    assert not speaks(io.StringIO(), {})
    assert not speaks(stream, {})
