"""Tells an OpenLineage consumer of one run, beside its lake: when it starts, and how it ended. Loaded where configured.

Events are made and kept on a thread of their own and sent on the outbox's: the job waits at its end alone, no longer
than for its lake. What is not sent by then is the next process's, or `datlake outbox flush`'s. Nothing here raises.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

import msgspec
from msgspec.structs import replace

from datlake_sdk import _openlineage as openlineage
from datlake_sdk._openlineage_client import INSTALL, Carrier, is_installed
from datlake_sdk._outbox.outbox import Outbox
from datlake_sdk._recorder import EXIT_CHORES_S, EXIT_PATIENCE_S
from datlake_sdk.errors import DatlakeError
from datlake_sdk.lineage.emit import Ancestor, run_events
from datlake_sdk.lineage.naming import dataset_name
from datlake_sdk.wire.models import DataRef, Run, RunData, Snapshot
from datlake_sdk.wire.operations import GetRun, GetSnapshot, RecordLineage
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datlake_sdk._run_state import RunState
    from datlake_sdk.settings import Settings
    from datlake_sdk.wire.operations import CompleteRun, StartRun

# To load openlineage-python is progress, but not for ever: on a busy host it takes seconds.
LOADING_S: Final = 5.0
ASK_S: Final = 1.0
# Where a lake has used up all patience, a consumer that is well still gets the end.
LEAST_S: Final = 0.3
# What other processes added to the run is looked up in the lake, so many at most.
LOOKED_UP: Final = 100

_ROADS: Final[dict[tuple[str, str], Road]] = {}
_told: Final[set[str]] = set()
_TELLING: Final[WeakSet[Emission]] = WeakSet()


class Road(NamedTuple):
    """What waits for one consumer on this host, and what sends it."""

    outbox: Outbox
    carrier: Carrier


def road_for(settings: Settings) -> Road:
    """The road to the consumer that the environment names now. One per process and consumer."""
    destination = openlineage.destination(os.environ)
    key = (settings.outbox_dir, destination)
    if key not in _ROADS:
        carrier = Carrier(openlineage.file_in_use(os.environ))
        _ROADS.setdefault(key, Road(Outbox(settings, lambda: carrier, destination), carrier))
    return _ROADS[key]


class Emission:
    """The events of one run. Owned by its `RunState`, in the process that started it."""

    needs_notes = True

    def __init__(self, run: RunState) -> None:
        """Nothing is told yet."""
        self._run = run
        self.pid = os.getpid()
        self.outbox, self._carrier = road_for(run.client.settings)
        self._ancestors: list[Ancestor] = []
        self._started: StartRun | None = None
        self._threads: list[threading.Thread] = []
        self._until = 0.0
        self._is_out = False
        self._has_ended = False

    def start(self, op: StartRun) -> None:
        """The start is told in the background."""
        self._started = op
        _TELLING.add(self)
        self._begin(partial(self._tell_start, op))

    def end(self, op: CompleteRun, answer: Run | None, *, waits: bool = True) -> None:
        """The end is told, once; the caller waits for what moves. `answer` is the run as its lake has it."""
        if self._has_ended:
            return
        self._has_ended = True
        self._begin(partial(self._tell_end, op, answer, self._threads[-1:]))
        if waits:
            for thread in self._threads:
                thread.join(self._patience_s())
        if waits and not self._is_out:
            self._wait()

    def ends_at(self, moment: float) -> None:
        """The end begins at this moment (monotonic seconds): what the lake lets the job wait is waited for both."""
        self._until = moment + EXIT_PATIENCE_S

    def _patience_s(self) -> float:
        return max(self._until - time.monotonic(), LEAST_S)

    def _wait(self) -> None:
        until = time.monotonic() + LOADING_S
        while not self.outbox.flush(self._patience_s(), EXIT_CHORES_S):
            if not self._carrier.is_loading or time.monotonic() >= until:
                self._run.recorder.warn(f"OpenLineage events of this run wait on this host: {self._why()}")
                return
        if not self._others_tell() and self.outbox.is_empty:
            # Children of a fork often end by `os._exit`: the next process would find their files and send all again.
            self.outbox.close()

    def _others_tell(self) -> bool:
        """True where another run of this process is open, and tells the same consumer."""
        _TELLING.discard(self)
        return any(each.pid == self.pid and each.outbox is self.outbox for each in list(_TELLING))

    def _why(self) -> str:
        """What is in the way. Jobs that end before a call to a consumer that hangs does still make it known as away."""
        breaker, error = self.outbox.breaker, self.outbox.last_error
        if breaker.is_open:
            return "the consumer has not answered this host for a while"
        if error is not None:
            return error.message
        if not self._carrier.is_loading:
            breaker.failed()
        return "the consumer did not answer in time"

    # --- on threads of their own --------------------------------------------------------------------------------------

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=partial(self._guarded, work), name="datlake-openlineage", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: they are kept, and sent by the next process
            self._guarded(work)
            return
        self._threads.append(thread)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as broken:  # noqa: BLE001 -- whatever is wrong with telling, it is not the job's
            self._run.recorder.warn(f"OpenLineage was not told of this run: {type(broken).__name__}: {broken}")

    def _tell_start(self, op: StartRun) -> None:
        if not is_installed():
            self._is_out = True
            self._warn_once(f"OpenLineage is configured, but openlineage-python is not installed: {INSTALL}")
            return
        self._ancestors = list(_ancestors(self._run))
        self._post(self._events(_started(op), [])[:1])
        self.outbox.adopt_soon()

    def _tell_end(self, op: CompleteRun, answer: Run | None, before: Sequence[threading.Thread]) -> None:
        for thread in before:
            thread.join()
        if self._is_out or self._started is None:
            return
        run = _ended(self._run, self._started, op) if answer is None else _as_told(answer, op)
        self._post(self._events(run, self._snapshots(run))[1:])

    def _events(self, run: Run, snapshots: Sequence[Snapshot]) -> list[dict[str, object]]:
        parent, root = (*self._ancestors, None, None)[:2]
        return run_events(run, snapshots, parent=parent, root=root)

    def _post(self, events: Sequence[dict[str, object]]) -> None:
        for event in events:
            self.outbox.post(RecordLineage(event=msgspec.Raw(msgspec.json.encode(event))))

    def _snapshots(self, run: Run) -> list[Snapshot]:
        """What is known of the run's data; what others added to its outputs is looked up in the lake."""
        known = self._run.notes.snapshots
        unknown = [one.snapshot_id for one in run.outputs if one.snapshot_id and one.snapshot_id not in known]
        found = dict(known)
        for snapshot_id in unknown[:LOOKED_UP]:
            try:
                asked = GetSnapshot(namespace=run.namespace, snapshot_id=snapshot_id)
                found[snapshot_id] = self._run.client.call(asked, timeout=ASK_S, retries=False)
            except DatlakeError:
                break  # the lake went away: the events say what is known
        return list(found.values())

    def _warn_once(self, text: str) -> None:
        if text not in _told:
            _told.add(text)
            self._run.recorder.warn(text)


def _ancestors(run: RunState) -> Iterator[Ancestor]:
    """The run around this one, and the first of all, where they are of this process; else the one that started it."""
    around, above = list[Ancestor](), _above(run)
    while above is not None:
        around.append(Ancestor(run_id=above.run_id, namespace=above.namespace, job_name=above.job_name))
        above = _above(above)
    if around:
        yield from (around[0], around[-1])
    elif run.parent_run_id is not None:
        with suppress(DatlakeError):  # without its job's name no facet can name it
            asked = GetRun(namespace=run.namespace, run_id=run.parent_run_id)
            found = run.client.call(asked, timeout=ASK_S, retries=False)
            yield Ancestor(run_id=found.run_id, namespace=found.namespace, job_name=found.job_name)


def _above(run: RunState) -> RunState | None:
    # For our own modules: no promise to users.
    return None if run.around is None else run.around._run  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _started(op: StartRun) -> Run:
    return Run(
        run_id=op.run_id or "",
        job_name=op.job_name,
        namespace=op.namespace,
        state="running",
        started_at=op.started_at or utc_now(),
        parent_run_id=op.parent_run_id,
        metadata=op.metadata,
    )


def _as_told(answer: Run, op: CompleteRun) -> Run:
    """The run as its lake has it, ended as this process says: what another one said of it is the lake's to weigh."""
    state = "aborted" if op.aborted else "completed" if op.success else "failed"
    return replace(answer, state=state, ended_at=op.ended_at, error=op.error, endings=[])


def _ended(run: RunState, started: StartRun, op: CompleteRun) -> Run:
    """The run as this process knows it."""
    notes = run.notes
    read = [_data(run, ref, notes.snapshots) for role, ref in notes.refs if role == "input"]
    written = [_data(run, ref, notes.snapshots) for role, ref in notes.refs if role == "output"]
    registered = [_of_snapshot(one) for one in notes.snapshots.values() if one.run_id == run.run_id]
    whole = replace(
        _started(started),
        metadata={**started.metadata, **op.metadata},
        environment=op.environment or run.environment(ASK_S),
        inputs=read,
        outputs=[*registered, *written],
        artifacts=op.artifacts,
    )
    return _as_told(whole, op)


def _data(run: RunState, ref: DataRef, snapshots: dict[str, Snapshot]) -> RunData:
    known = snapshots.get(ref.snapshot_id or "")
    if known is not None:
        return replace(_of_snapshot(known), stale=ref.stale, age_s=ref.age_s, deferred=ref.deferred)
    if ref.table_name is None and ref.uri is not None:
        namespace, name = dataset_name(ref.uri)
    else:
        namespace, name = ref.namespace or run.namespace, ref.table_name or ""
    return RunData(namespace=namespace, table_name=name, snapshot_id=ref.snapshot_id, uri=ref.uri)


def _of_snapshot(snapshot: Snapshot) -> RunData:
    return RunData(
        table_name=snapshot.table_name,
        namespace=snapshot.namespace,
        snapshot_id=snapshot.snapshot_id,
        version=snapshot.version or None,
        uri=snapshot.uri,
        format=snapshot.format,
        row_count=snapshot.row_count,
        size_bytes=snapshot.size_bytes,
    )
