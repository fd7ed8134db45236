"""A backend that is broken in any way never reaches the job (R1), whose story arrives when the backend is well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from datlake_sdk import DatlakeClient
from tests.faults.load import ROOT
from tests.faults.oracle import passes_afresh
from tests.faults.proxy import CLEAR, Fault, FaultProxy
from tests.faults.rounds import IS_LONG, keep, none_of, rounds
from tests.faults.servers import Served
from tests.faults.workers import on_host
from tests.places import Place

TURNS = rounds(1, 25)
AT_ONCE = 8
ENDINGS = {"normal": 0, "exception": 1, "exit": 3, "os._exit": 4}
HTML = b"<html><body>Please sign in</body></html>"


def saying(status: str, body: bytes, kind: str = "text/html", *more: str) -> Fault:
    """Every request gets this answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return Fault(says="\r\n".join([*head, "", ""]).encode() + body)


# By proxy: each may be mended, and then everything is to arrive.
FAULTS = {
    "refused": Fault(refuses=True),
    "black hole": Fault(holds=True),
    "500": saying("500 Internal Server Error", HTML),
    "503": saying("503 Service Unavailable", HTML, "text/html", "Retry-After: 1"),
    "bad JSON": saying("200 OK", b'{"run_id": ', "application/json"),
    "login page": saying("200 OK", HTML),
    "reset mid-answer": Fault(answer_bytes=200),
    "reset before the answer": Fault(resets_request=True),
}
# By address: there is no such server.
NO_SERVERS = {"DNS": "http://no-such-host.invalid:8765", "TLS": "https://127.0.0.1:{port}"}


class Job(NamedTuple):
    """One job: against what, how it is to end, and the folder that is its host."""

    fault: str
    url: str
    ending: str
    home: Path

    def started(self) -> subprocess.Popen[str]:
        """The job at work."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.every_call", self.ending],
            env=self.environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        """That of this host: nothing of another's outbox or breaker is seen."""
        place = Place(self.url, self.home, "default")
        return on_host(place, self.home, DATLAKE_DEFAULT_TIMEOUT_MS="1000")


class Ended(NamedTuple):
    """How a job ended."""

    job: Job
    code: int
    out: list[str]
    err: str

    @property
    def wrong(self) -> str | None:
        """What of its end is not its own, null where nothing is."""
        ending = self.job.ending
        is_through = ending in {"normal", "os._exit"}
        own = {"exception": 'KeyError: "the job\'s own"\n'}.get(ending, "")
        is_right = self.code == ENDINGS[ending] and ("worked" in self.out) == is_through and self.err.endswith(own)
        if is_right and ("Traceback" in self.err) == bool(own):
            return None
        return f"{self.job.fault}, {ending}: exit code {self.code}, {self.out}, {self.err[-1500:]}"


def ended(jobs: Sequence[Job]) -> list[Ended]:
    """How each ended; a few are at work at once."""
    found = []
    for at in range(0, len(jobs), AT_ONCE):
        some = jobs[at : at + AT_ONCE]
        for job, process in zip(some, [job.started() for job in some], strict=True):
            out, err = process.communicate(timeout=100)
            found.append(Ended(job, process.returncode, out.splitlines(), err))
    return found


def endings_of(number: int) -> list[str]:
    """All of them; in a short round the faults take turns with them."""
    names = list(ENDINGS)
    return names if IS_LONG else [names[number % len(names)]]


def undelivered(client: DatlakeClient, one: Ended) -> Iterator[str]:
    """What is missing on the server of what the job told, once its host has flushed its outbox."""
    flush = subprocess.run(
        [sys.executable, "-m", "datlake_sdk", "outbox", "flush"],
        env=one.job.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    told = f"{one.job.fault}, {one.job.ending}"
    if flush.returncode:
        yield f"{told}: flush said {flush.returncode}: {flush.stdout}{flush.stderr}"
    yield from (f"{told}: {what}" for what in gaps(client, one))


def gaps(client: DatlakeClient, one: Ended) -> Iterator[str]:
    """What a run lacks that an undisturbed one would have."""
    run_id = one.out[0].removeprefix("run ")
    run = client.get_run(run_id)
    expected = "completed" if one.job.ending in {"normal", "os._exit"} else "failed"
    if run.state != expected or len(run.endings) != 1:
        yield f"state {run.state} with {len(run.endings)} endings"
    if f"s3://b/{run_id}" not in {item.uri for item in run.outputs}:
        yield "its snapshot"
    if "s3://in/x" not in {item.uri for item in run.inputs}:
        yield "its input"
    kinds = [event.event_type for event in client.events(run_id, limit=1000)]
    if (kinds.count("told"), kinds.count("progress"), kinds.count("metrics")) != (20, 1, 1):
        yield f"events, of which there are {kinds}"
    for item in run.artifacts:
        if not b"".join(client.read_object(item.uri)):
            yield f"the bytes of {item.name}"
    if len(run.artifacts) < 5:
        yield f"artifacts, of which there are {[item.name for item in run.artifacts]}"


@pytest.mark.timeout(120 if TURNS == 1 else 3600)
def test_no_broken_backend_reaches_the_job_and_what_it_told_arrives_later(tmp_path: Path) -> None:
    """Exit code, output and exception are those of the job alone; its lineage comes late, once, whole."""
    wrong, missing, count = list[str](), list[str](), 0
    with Served(tmp_path / "lake") as server, server.client() as client, ExitStack() as stack:
        proxies = {name: stack.enter_context(FaultProxy(server.port)) for name in FAULTS}
        for turn in range(TURNS):
            jobs = [
                Job(name, proxies[name].url, ending, tmp_path / f"{turn}-{name}-{ending}")
                for number, name in enumerate(FAULTS)
                for ending in endings_of(number)
            ]
            for name, proxy in proxies.items():
                proxy.switch(FAULTS[name])
            done = ended(jobs)
            for proxy in proxies.values():
                proxy.switch(CLEAR)
            wrong += [one.wrong for one in done if one.wrong]
            missing += [what for one in done for what in undelivered(client, one)]
            count += len(done)
        assert passes_afresh(client)
    claims = [none_of("jobs that ended otherwise", len(wrong)), none_of("things that did not arrive", len(missing))]
    title = "every call of a job, each fault of the backend, each ending"
    keep("R1", title, claims, [], [f"{count} jobs; faults: {', '.join(FAULTS)}"])
    assert wrong == []
    assert missing == []


@pytest.mark.timeout(120 if TURNS == 1 else 3600)
def test_no_wrong_address_reaches_the_job(tmp_path: Path) -> None:
    """A name that nobody knows, and a server that speaks no TLS."""
    with FaultProxy(1, saying("400 Bad Request", HTML)) as proxy:
        jobs = [
            Job(name, address.format(port=proxy.port), ending, tmp_path / f"{turn}-{name}-{ending}")
            for turn in range(TURNS)
            for number, (name, address) in enumerate(NO_SERVERS.items())
            for ending in endings_of(number)
        ]
        wrong = [one.wrong for one in ended(jobs) if one.wrong]
    claims = [none_of("jobs that ended otherwise", len(wrong))]
    keep(
        "R1 addresses",
        "every call of a job, no such server",
        claims,
        [],
        [f"{len(jobs)} jobs; {', '.join(NO_SERVERS)}"],
    )
    assert wrong == []
