"""The log of a run holds what the job said, and never becomes the job's problem."""

from __future__ import annotations

import io
import logging
import os
import re
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest

from datlake_sdk.logs.capture import RunLog
from datlake_sdk.logs.tee import tee_streams

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RunLog]:
    opened = RunLog.open(tmp_path, run_id=RUN, job_name="nightly")
    yield opened
    opened.close()


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("job.steps")


def text(log: RunLog) -> str:
    return Path(log.close()).read_text(encoding="utf-8")


def test_a_record_stands_in_the_file_with_time_level_and_logger(log: RunLog, logger: logging.Logger) -> None:
    log.attach()
    logger.warning("read %d rows", 3)
    log.detach()
    logger.warning("too late")
    first, second = text(log).splitlines()
    assert RUN in first
    assert "nightly" in first
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING job\.steps: read 3 rows", second)


def test_the_file_can_be_read_by_its_user_alone_while_the_run_goes(log: RunLog, logger: logging.Logger) -> None:
    """Logs hold data; and a killed job leaves what it said."""
    log.attach()
    logger.warning("said")
    assert stat.S_IMODE(Path(log.path).stat().st_mode) == 0o600
    assert "said" in Path(log.path).read_text()


def test_without_a_level_nothing_is_changed_and_the_first_line_says_what_is_not_shipped(
    log: RunLog, logger: logging.Logger
) -> None:
    """With Python's defaults info() ships nothing; people find that out the night they need it."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    try:
        log.attach()
        logger.info("hidden")
        assert root.level == logging.WARNING
    finally:
        root.setLevel(before)
    shipped = text(log)
    assert "below WARNING are not shipped" in shipped.splitlines()[0]
    assert "log_level=" in shipped
    assert "hidden" not in shipped


def test_a_level_opens_the_root_logger_for_the_run_and_restores_it(log: RunLog, logger: logging.Logger) -> None:
    root = logging.getLogger()
    before = root.level
    log.attach("INFO")
    logger.info("shown")
    logger.debug("hidden")
    log.detach()
    assert root.level == before
    shipped = text(log)
    assert "INFO job.steps: shown" in shipped
    assert "hidden" not in shipped
    assert "log_level=" not in shipped


def test_runs_that_end_in_any_order_leave_the_level_that_was_there_before(tmp_path: Path) -> None:
    """Runs on several threads overlap; the last to go must not leave the level of another."""
    root = logging.getLogger()
    before = root.level
    first, second = (RunLog.open(tmp_path, run_id=RUN, job_name=name) for name in ("a", "b"))
    first.attach("DEBUG")
    second.attach("INFO")
    assert root.level == logging.DEBUG
    first.close()
    assert root.level == min(before, logging.INFO)
    second.close()
    assert root.level == before


def test_a_level_the_job_sets_meanwhile_stays(log: RunLog) -> None:
    root = logging.getLogger()
    before = root.level
    try:
        log.attach("DEBUG")
        root.setLevel(logging.ERROR)
        log.detach()
        assert root.level == logging.ERROR
    finally:
        root.setLevel(before)


def test_records_of_another_run_stay_out(tmp_path: Path, logger: logging.Logger) -> None:
    mine = threading.local()
    log = RunLog.open(tmp_path, run_id=RUN, job_name="nightly", accepts=lambda: getattr(mine, "run", False))
    log.attach()
    logger.warning("theirs")
    mine.run = True
    logger.warning("ours")
    shipped = text(log)
    assert "ours" in shipped
    assert "theirs" not in shipped


def test_tracebacks_are_written_for_records_and_for_the_runs_end(log: RunLog, logger: logging.Logger) -> None:
    log.attach()
    try:
        raise KeyError("missing column")  # noqa: TRY301 - it is the story
    except KeyError as error:
        logger.exception("step failed")
        log.write_traceback(error)
    assert text(log).count("KeyError: 'missing column'") == 2


def test_a_record_that_does_not_fit_its_arguments_or_cannot_be_printed_does_not_raise(
    log: RunLog, logger: logging.Logger
) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError

        __repr__ = __str__

    log.attach()
    raised, logging.raiseExceptions = logging.raiseExceptions, False
    root = logging.getLogger()
    # The test runner's own handlers would choke on what this test is about, and take their worker with them.
    others = [handler for handler in root.handlers if handler is not log.handler]
    root.handlers = [log.handler]
    try:
        logger.warning("%d rows", "many")
        logger.warning("%s", Broken())
        logger.warning("lone \udc80 surrogate")
    finally:
        logging.raiseExceptions = raised
        root.handlers = [*others, *(handler for handler in root.handlers if handler is log.handler)]
    shipped = text(log)
    assert "%d rows ('many',)" in shipped
    assert "<record could not be read>" in shipped
    assert "lone \\udc80 surrogate" in shipped


def test_a_record_whose_text_logs_is_written_and_one_that_logs_itself_ends(log: RunLog, logger: logging.Logger) -> None:
    """ORM objects log when they are printed."""

    class Chatty:
        def __str__(self) -> str:
            logger.warning("lazy load")
            return "chatty"

    class Endless:
        def __str__(self) -> str:
            logger.warning("again %s", self)
            return "endless"

    logger.propagate = False  # other handlers would print the record anew, each time logging again
    silent = logging.NullHandler()  # and so would Python's last resort, were ours alone
    logger.addHandler(silent)
    logger.addHandler(log.handler)
    logger.warning("%s", Chatty())
    logger.warning("%s", Endless())
    logger.removeHandler(log.handler)
    logger.removeHandler(silent)
    logger.propagate = True
    shipped = text(log)
    assert "lazy load" in shipped
    assert "job.steps: chatty" in shipped
    assert "job.steps: endless" in shipped
    assert log.lines_lost == 1


def test_beyond_the_size_limit_the_head_is_kept_and_the_tail_says_what_is_missing(tmp_path: Path) -> None:
    log = RunLog.open(tmp_path, run_id=RUN, job_name="nightly", max_bytes=1_000)
    for number in range(1_000):
        log.write_text(f"line {number}")
    lines = text(log).splitlines()
    kept = [line for line in lines if line.startswith("line ")]
    assert kept == [f"line {number}" for number in range(len(kept))]
    assert log.lines_lost == 1_000 - len(kept)
    assert f"{log.lines_lost} lines" in lines[-1]


def test_a_full_disk_is_counted_and_told_once_and_never_raised(tmp_path: Path) -> None:
    """A file size limit fails the write as a full disk does."""
    code = (
        "import logging, resource, signal, sys\n"
        "from datlake_sdk.logs.capture import RunLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "logging.basicConfig(stream=sys.stdout, format='%(name)s %(message)s')\n"
        f"log = RunLog.open({str(tmp_path)!r}, run_id='r', job_name='j'); log.attach()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))\n"
        "for n in range(50): log.write_text(f'number {n} of fifty')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "log.write_text('room again'); print(log.close()); print(log.lines_lost)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    told, path, lost = answer.stdout.splitlines()
    assert told.startswith("datlake The run's log cannot be written")
    lines = Path(path).read_text().splitlines()
    assert "room again" in lines
    assert f"{lost} lines could not be written" in lines[-1]
    # A line that lacks nothing but its newline counts as lost, too.
    kept = sum(line.endswith("of fifty") for line in lines)
    assert 50 - kept <= int(lost) <= 51 - kept


def test_a_large_log_is_streamed(tmp_path: Path) -> None:
    """A job that logs gigabytes must not need them as memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    log = RunLog.open(tmp_path, run_id=RUN, job_name="nightly")
    for _ in range(1_000):
        log.write_text("x" * 100_000)
    assert Path(log.close()).stat().st_size > 100_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_threads_never_mix_their_lines(log: RunLog, logger: logging.Logger) -> None:
    def work(number: int) -> None:
        for step in range(200):
            logger.warning("from %d %d", number, step)

    log.attach()
    _on_threads(work)
    lines = text(log).splitlines()[1:]
    assert len(lines) == 1_600
    assert all(re.search(r"WARNING job\.steps: from \d \d+$", line) for line in lines)


# --- streams ----------------------------------------------------------------------------------------------------------


class Screen(io.StringIO):
    """A terminal as far as programs can tell."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@contextmanager
def teed(sink: Callable[[str], None]) -> Generator[Screen]:
    """A screen as standard output, with the tee over it."""
    with redirect_stdout(Screen()) as screen, tee_streams(sink):
        yield screen


def test_what_is_printed_is_still_printed_and_stands_in_the_log() -> None:
    lines: list[str] = []
    with redirect_stdout(Screen()) as screen:
        with tee_streams(lines.append):
            print("one\ntwo")
            print("half", end="")
            assert sys.stdout.isatty()
        assert sys.stdout is screen
        print("after")
    assert screen.getvalue() == "one\ntwo\nhalfafter\n"
    assert lines == ["one\n", "two\n", "half"]


def test_colours_and_progress_bars_stay_on_the_terminal() -> None:
    """A progress bar of ten thousand steps is one line in the log."""
    lines: list[str] = []
    with teed(lines.append) as screen:
        for step in range(101):
            sys.stdout.write(f"\r\x1b[32m{step}%\x1b[0m done")
        print("\r\n\x1b]0;title\x07windows\r\nlines\r")
    assert lines == ["100% done\n", "windows\n", "lines\n"]
    assert "\x1b[32m50%" in screen.getvalue()


def test_the_streams_own_attributes_are_reached_through_the_tee() -> None:
    code = (
        "import sys; from datlake_sdk.logs.tee import tee_streams\n"
        "lines = []; out = sys.stdout\n"
        "with tee_streams(lines.append):\n"
        "    assert sys.stdout.fileno() == 1 and sys.stdout.buffer is out.buffer\n"
        "    assert sys.stdout.encoding == out.encoding\n"
        "    sys.stdout.reconfigure(line_buffering=True); sys.stdout.flush(); print('x', file=sys.stderr)\n"
        "assert sys.stdout is out and lines == ['x\\n']\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)


def test_a_stream_that_somebody_put_over_ours_stays() -> None:
    """Notebooks and test runners replace the streams, too; whoever came last keeps them."""
    lines: list[str] = []
    theirs = io.StringIO()
    with redirect_stdout(Screen()) as screen:
        with tee_streams(lines.append):
            ours = sys.stdout
            sys.stdout = theirs
        assert sys.stdout is theirs
        ours.write("passed on\n")
    assert screen.getvalue() == "passed on\n"
    assert lines == []


def test_a_sink_that_prints_or_raises_does_not_disturb_the_job() -> None:
    def sink(line: str) -> None:
        print("echo")
        raise OSError(line)

    with teed(sink) as screen:
        print("one")
        print("two")
    assert [line for line in screen.getvalue().split() if line != "echo"] == ["one", "two"]


def test_logging_into_a_captured_stream_from_inside_the_log_ends() -> None:
    """A console handler made inside the block writes to the tee, whose log may in turn have something to say."""
    lines: list[str] = []
    logger = logging.getLogger("console.only")
    logger.propagate = False

    def sink(line: str) -> None:
        lines.append(line)
        logger.warning("the sink logs")

    with teed(sink) as screen:
        handler = logging.StreamHandler(sys.stdout)
        logger.addHandler(handler)
        logger.warning("said")
        logger.removeHandler(handler)
    assert lines == ["said\n"]
    assert "the sink logs" in screen.getvalue()


def test_lines_of_several_threads_stay_whole_in_the_log() -> None:
    lines: list[str] = []

    def work(number: int) -> None:
        for step in range(200):
            print(number, "says", step)

    with teed(lines.append) as screen:
        _on_threads(work)
    assert len(lines) == 1_600
    assert all(re.fullmatch(r"\d says \d+\n", line) for line in lines)
    assert screen.getvalue().count("\n") == 1_600


def _on_threads(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _run_alone(code: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter, where nobody has configured logging, makes of `code` with an attached log."""
    script = (
        "import logging, sys, tempfile\n"
        "from datlake_sdk.logs.capture import RunLog\n"
        "log = RunLog.open(tempfile.mkdtemp(), run_id='r', job_name='j')\n" + code
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)


def test_a_warning_still_reaches_stderr_where_nobody_configured_logging() -> None:
    """Python prints it by its last resort, which any handler on the root would silence; ours must not."""
    answer = _run_alone(
        "log.attach('ERROR')\n"
        "second = RunLog.open(tempfile.mkdtemp(), run_id='s', job_name='j'); second.attach()\n"
        "logging.getLogger('job').warning('disk is nearly full')\n"
    )
    assert answer.stderr == "disk is nearly full\n"


def test_a_job_configures_logging_inside_its_block_as_anywhere() -> None:
    """`basicConfig` does nothing on a root that has handlers, so ours must not count as one."""
    answer = _run_alone(
        "log.attach()\n"
        "assert not logging.getLogger().hasHandlers()\n"
        "logging.basicConfig(level='INFO', format='mine: %(message)s', stream=sys.stdout)\n"
        "logging.info('said')\n"
        "log.detach()\n"
        "assert type(logging.getLogger().handlers) is list and len(logging.getLogger().handlers) == 1\n"
        "print(open(log.close()).read())\n"
    )
    assert answer.stdout.startswith("mine: said\n")
    assert "INFO root: said" in answer.stdout


def test_a_level_that_is_none_is_refused_by_name(log: RunLog) -> None:
    with pytest.raises(ValueError, match="log_level='CHATTY' is no level"):
        log.attach("CHATTY")
