"""What a `JobContext` keeps of its run and does with it: start, inputs, outputs, events, log, attachments, end.

Everything here that talks to a lake goes through the `Recorder`, but for reads and registrations, which raise.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from datlake_sdk import _calls as calls
from datlake_sdk._attachments import Attachment, Attachments, Bucket
from datlake_sdk._attending import Attendant
from datlake_sdk._connection import transport_of
from datlake_sdk._current import current_job
from datlake_sdk._endings import Outcome, error_of, outcome_of
from datlake_sdk._identity import checked_name, checked_run_id, fitting, parent_from_environment
from datlake_sdk._openlineage import Silence, emission_of
from datlake_sdk._recorder import EXIT_PATIENCE_S, Recorder, may_wait
from datlake_sdk._registered import RegisteredSnapshot, answered, deferred, deferred_snapshot
from datlake_sdk._run_notes import Notes
from datlake_sdk._telling import inform
from datlake_sdk.environment import EnvironmentProbe
from datlake_sdk.errors import ConfigError, Conflict, DatlakeError, InvalidRequest, ServerError, TransientNetworkError
from datlake_sdk.terminal import Card, say_end, say_start
from datlake_sdk.wire.ids import object_uri, run_log_key
from datlake_sdk.wire.models import Artifact, DataRef, LogState, Run, RunError, Snapshot
from datlake_sdk.wire.operations import (
    AddInputs,
    AddOutputs,
    CompleteRun,
    LogEvent,
    RegisterSnapshot,
    StartRun,
)
from datlake_sdk.wire.processes import own_identity
from datlake_sdk.wire.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from datlake_sdk._openlineage_run import Emission
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.job import JobContext
    from datlake_sdk.logs.growing import GrowingLog
    from datlake_sdk.logs.shipment import ProcessLog

ENVIRONMENT_WAIT_S: Final = 0.5

PROBE: Final = EnvironmentProbe()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a job was asked to do beside running."""

    metadata: dict[str, object]
    ship_logs: bool
    bucket: str
    log_path: str | None
    log_level: int | str | None
    capture_output: bool
    heartbeat_interval_s: float | None


class RunState:
    """One run, from before its start until after its end. Owned by one `JobContext`."""

    def __init__(
        self, client: DatlakeClient, job_name: str, run_id: str | None, namespace: str | None, plan: Plan
    ) -> None:
        """Prepares the run; nothing is sent yet. Raises `InvalidRequest` for an id or namespace that cannot be one."""
        self.client = client
        self.job_name = job_name
        self.run_id = checked_run_id(run_id)
        self.namespace = checked_name(namespace or client.settings.namespace, "namespace")
        self.parent_run_id: str | None = None
        self.around: JobContext | None = None
        self.is_attached = False
        self.state: str = "new"
        self.recorder = Recorder(client, self.run_id)
        self._plan = plan
        self.attendant = Attendant(self, plan.heartbeat_interval_s)
        self.attachments = Attachments(job_name, self.run_id, self.recorder)
        self.notes = Notes()
        self._emission: Emission | Silence = Silence()
        self._log: ProcessLog | None = None
        self.growing: GrowingLog | None = None
        self._answer: Run | None = None
        self._ending = threading.Lock()
        self._clock_started = 0.0
        self._pid = 0

    @property
    def is_disabled(self) -> bool:
        """True where nothing is to be recorded."""
        return self.client.settings.disabled

    @property
    def has_ended(self) -> bool:
        """True from the moment the end is told."""
        return self.attendant.has_ended

    # --- beginning ----------------------------------------------------------------------------------------------------

    def open(self, owner: JobContext, parent: JobContext | str | None) -> None:
        """Finds the parent and begins to capture the log; touches no lake."""
        if self.state != "new":
            message = (
                f"run {self.run_id} of job {self.job_name!r} was started before; make a new JobContext for a new run"
            )
            raise RuntimeError(message)
        self._find_parent(parent)
        self.state = "running"
        self._pid = os.getpid()
        self._clock_started = time.monotonic()
        if self._plan.ship_logs and not self.is_disabled:
            self._begin_log(owner)

    def attach(self) -> None:
        """The run was started by another process, which will end it."""
        self.state, self.is_attached = "running", True

    def start(self, url: str | None) -> None:
        """Sends the start. Never raises, unless the user asked for that."""
        if self.is_disabled:
            return
        PROBE.start()
        op = StartRun(
            namespace=self.namespace,
            job_name=self.job_name,
            run_id=self.run_id,
            metadata=calls.plain(self._plan.metadata),
            parent_run_id=self.parent_run_id,
            started_at=utc_now(),
            heartbeat_interval_s=self.attendant.interval_s,
            process=own_identity(),
        )
        self._emission = emission_of(self)
        self.notes.keeps = self._emission.needs_notes
        self.recorder.offer(op)
        self._emission.start(op)
        self.attendant.start(op.started_at)
        inform("run %s of job %s started", self.run_id, self.job_name)
        say_start(self.job_name, self.run_id, url)

    def environment(self, patience_s: float) -> dict[str, object]:
        """Where the job runs, as the run shows it; empty where that is not known within `patience_s`."""
        return calls.plain(PROBE.result(patience_s))

    def _find_parent(self, parent: JobContext | str | None) -> None:
        if isinstance(parent, str):
            self.parent_run_id = checked_run_id(parent)
        elif parent is None:
            self.parent_run_id = parent_from_environment()
        else:
            self.around = parent
            if _place(parent.client) == _place(self.client):  # else it is a run that this lake knows nothing of
                self.parent_run_id = parent.run_id

    def _begin_log(self, owner: JobContext) -> None:
        from datlake_sdk.logs.growing import GrowingLog

        path = self._plan.log_path or self._capture_log(owner)
        if path is not None:
            self.growing = GrowingLog(os.path.abspath(path), self._append_log)

    def _append_log(self, offset: int, data: bytes) -> LogState:
        how = calls.options(self.client.settings, {"timeout": self.recorder.wait_s, "retries": False})
        transport = transport_of(self.client)
        return transport.append_log(self.namespace, self.run_id, offset, data, how, job_name=self.job_name)

    def _capture_log(self, owner: JobContext) -> str | None:
        from datlake_sdk.logs.shipment import ProcessLog

        def accepts() -> bool:
            current = current_job()
            return current is None or current.is_within(owner)

        plan = self._plan
        try:
            self._log = ProcessLog.begin(
                self.run_id, self.job_name, accepts, plan.log_level, capture_output=plan.capture_output
            )
        except OSError as error:
            self.recorder.warn(f"the log is not captured: no file can be made for it ({error.strerror})")
            return None
        return self._log.path

    # --- inputs and outputs -------------------------------------------------------------------------------------------

    def saw_input(self, snapshot: Snapshot, *, age_s: float | None, deferred: bool) -> None:
        """Records that this snapshot is read: as it was known `age_s` ago, or before the lake knows it."""
        pinned = DataRef(
            table_name=snapshot.table_name,
            namespace=snapshot.namespace,
            snapshot_id=snapshot.snapshot_id,
            stale=age_s is not None,
            age_s=age_s,
            deferred=deferred,
        )
        self.notes.read(snapshot)
        self.add(AddInputs, [pinned])

    def add(self, kind: type[AddInputs | AddOutputs], items: Sequence[str | os.PathLike[str] | DataRef]) -> None:
        """Records inputs or outputs. Never raises, unless the user asked for that."""
        refs = [ref for item in items if (ref := self._ref(item)) is not None]
        if self.is_disabled or not refs:
            return
        op = kind(namespace=self.namespace, job_name=self.job_name, run_id=self.run_id, items=refs, added_at=utc_now())
        run = self.recorder.offer(op)
        self.notes.named("input" if kind is AddInputs else "output", refs, run)

    def _ref(self, item: str | os.PathLike[str] | DataRef) -> DataRef | None:
        try:
            return calls.data_ref(item)
        except (TypeError, ValueError):
            self.recorder.warn(f"{item!r:.80} is no input or output: it must be a table's name, a URI or a path")
            return None

    def register(self, op: RegisterSnapshot) -> RegisteredSnapshot:
        """Registers an output, or keeps the registration in the outbox where that is allowed."""
        if self.is_disabled:
            return deferred(op)
        if self.recorder.is_behind and op.expected_version is None:
            self.recorder.keep(op)
            return self._kept(op)
        try:
            if op.expected_version is not None or self.recorder.is_answered:
                snapshot = self.client.call(op)
                self.recorder.outbox.breaker.succeeded()
            else:
                snapshot = self.recorder.send_once(op)
        except (TransientNetworkError, ServerError, ConfigError) as error:
            if op.expected_version is not None:
                raise
            self.recorder.postpone(op, error)
            return self._kept(op)
        if self.client.base_url is not None:  # what this host wrote is what it reads next, should the server be away
            self.recorder.outbox.known.remember_latest(snapshot)
        return self.notes.wrote(answered(snapshot), snapshot)

    def _kept(self, op: RegisterSnapshot) -> RegisteredSnapshot:
        # Until it is delivered, readers on this host get it from here: for them it is the latest.
        snapshot = deferred_snapshot(op)
        self.recorder.outbox.known.remember_deferred(snapshot)
        return self.notes.wrote(deferred(op), snapshot)

    # --- telling ------------------------------------------------------------------------------------------------------

    def log_event(self, event_type: str, data: Mapping[str, object] | None) -> None:
        """Queues an event."""
        if self.is_disabled or self.state != "running":
            if not self.is_disabled:
                self.recorder.warn("events were logged before the run began or after it ended; they are not kept")
            return
        self.recorder.post(
            LogEvent(
                namespace=self.namespace,
                event_type=fitting(event_type, "event"),
                data=calls.plain(data),
                job_name=self.job_name,
                run_id=self.run_id,
                event_id=calls.new_id(),
                created_at=utc_now(),
            )
        )

    # --- end ----------------------------------------------------------------------------------------------------------

    def end(self, error: BaseException | None, url: str | None) -> None:
        """Ends the run as `error`, which left the block, says. Never raises over the user's exception.

        A forked child that leaves its parent's block ends nothing: the run is the parent's.
        """
        if self.is_attached and not self.is_disabled:
            self.recorder.catch_up()
        if os.getpid() != self._pid:
            return
        outcome = outcome_of(error)
        try:
            self.complete(outcome, None, url, error if outcome != "completed" else None)
        except Exception:
            if error is None:  # only where the user asked for it (`on_unavailable` is `raise`)
                raise

    def unwind(self, error: BaseException, url: str | None) -> None:
        """Nothing is captured any more after `error` broke the start off; a run that may have begun has an end."""
        if not isinstance(error, DatlakeError):
            self.end(error, url)
            return
        self.state = "failed"
        self.attendant.end()
        if log := self._end_log(None):
            log.remove_ours()

    def complete(
        self,
        outcome: Outcome,
        extra: Mapping[str, object] | None,
        url: str | None,
        error: BaseException | None = None,
    ) -> Run | None:
        """Ends the run once; later calls answer what the first did."""
        if self.is_attached:
            self.recorder.warn("the run is ended by the process that started it; this one only adds to it")
            return None
        with self._ending:
            if self.state == "running":
                self.state = outcome
                self.attendant.end()
                self._finish(outcome, calls.plain(extra), url, error)
        return self._answer

    def _finish(self, outcome: Outcome, extra: dict[str, object], url: str | None, error: BaseException | None) -> None:
        ended_at, log = utc_now(), None
        self._emission.ends_at(time.monotonic())
        try:
            log = self._end_log(error)
            told = None if error is None else error_of(error)
            if not self.is_disabled:
                op = self._deliver(outcome, extra, told, ended_at, log)
                self.attendant.unmark()
                self._emission.end(op, self._answer)
                self._say_goodbye(outcome, told, url)
        except Exception as broken:
            # The job's end is no place for our mistakes: told, and the job goes on.
            if self.recorder.raises:
                raise
            self.recorder.warn(f"the end of the run was not recorded: {type(broken).__name__}: {broken}")
            self._emission.end(self._bare_end(outcome, ended_at), None)
        except BaseException:
            # Ctrl-C once more: nothing is waited for any longer, and the end goes to the disk as it is.
            if not self.recorder.raises and not self.is_disabled:
                self.recorder.keep(self._bare_end(outcome, ended_at))
            self._emission.end(self._bare_end(outcome, ended_at), None, waits=False)
            self.attachments.let_go(log)
            raise

    def _end_log(self, error: BaseException | None) -> Attachment | None:
        log, self._log = self._log, None
        key = run_log_key(self.job_name, self.run_id)
        if log is not None:
            path = log.end(error)
            if log.lines_lost:
                self.recorder.warn(f"{log.lines_lost} lines of the log were not kept")
            return Attachment(path, key, "run.log", "log", is_ours=True)
        if self._plan.ship_logs and self._plan.log_path is not None:
            return Attachment(os.path.abspath(self._plan.log_path), key, "run.log", "log")
        return None

    def _deliver(
        self,
        outcome: Outcome,
        extra: dict[str, object],
        error: RunError | None,
        ended_at: datetime,
        log: Attachment | None,
    ) -> CompleteRun:
        recorder = self.recorder
        reachable = recorder.catch_up()
        place = Bucket(self.client, self.namespace, self._plan.bucket)
        grown = self._grown_log(log, place) if reachable and log is not None else None
        artifacts = self.attachments.upload(place, None if grown else log, EXIT_PATIENCE_S, reachable=reachable)
        artifacts = [grown, *artifacts] if grown else artifacts
        environment = {} if self.attendant.described else self.environment(ENVIRONMENT_WAIT_S)
        op = msgspec.structs.replace(
            self._bare_end(outcome, ended_at),
            error=error,
            metadata={**extra, **recorder.tell_losses()},
            environment=environment,
            artifacts=artifacts,
        )
        self._answer = self._send_end(op)
        return op

    def _grown_log(self, log: Attachment, place: Bucket) -> Artifact | None:
        """The log as the completion seals it, where it grew in the lake and is whole there; else it is uploaded."""
        if self.growing is None or not self.growing.shipped_bytes:
            return None
        shipped = self.growing.finish(EXIT_PATIENCE_S)
        if not shipped.is_whole:
            return None
        log.remove_ours()
        uri = object_uri(place.name, log.key)
        return Artifact(type="log", uri=uri, name=log.name, size_bytes=shipped.size_bytes, sha256=shipped.sha256)

    def _send_end(self, op: CompleteRun) -> Run | None:
        recorder = self.recorder
        try:
            if recorder.away is None or recorder.raises:
                return self._asked_to_end(op)
            recorder.keep(op)
        except InvalidRequest as error:
            # Ended without what a job may have made too large or odd: else it would seem to run for ever.
            recorder.refused(op, error)
            bare = msgspec.structs.replace(op, metadata={}, environment={}, artifacts=[], error=None)
            return recorder.offer(bare)
        return None

    def _asked_to_end(self, op: CompleteRun) -> Run | None:
        try:
            return self.recorder.send_once(op, EXIT_PATIENCE_S)
        except DatlakeError as error:
            if may_wait(error):
                self.recorder.postpone(op, error)
            elif isinstance(error, Conflict):
                self.recorder.warn(error.message)
            else:
                raise
        return None

    def _bare_end(self, outcome: Outcome, ended_at: datetime) -> CompleteRun:
        return CompleteRun(
            namespace=self.namespace,
            job_name=self.job_name,
            run_id=self.run_id,
            success=outcome == "completed",
            aborted=outcome == "aborted",
            ended_at=ended_at,
        )

    def _say_goodbye(self, outcome: Outcome, error: RunError | None, url: str | None) -> None:
        recorded, is_kept = self.recorder.away is None, self.recorder.is_kept
        how = "recorded" if recorded else "kept in the outbox" if is_kept else "NOT recorded"
        inform("run %s of job %s %s, %s", self.run_id, self.job_name, outcome, how)
        card = Card(
            job_name=self.job_name,
            run_id=self.run_id,
            url=url,
            state=outcome,
            duration_s=time.monotonic() - self._clock_started,
            inputs=self.notes.inputs,
            outputs=self.notes.outputs,
            warnings=self.recorder.warnings,
            recorded=recorded,
            is_kept=is_kept,
            error=None if error is None else f"{error.type}: {error.message}",
            not_recorded_because=self.recorder.away,
        )
        say_end(card)


def _place(client: DatlakeClient) -> tuple[str | None, str]:
    return client.settings.api_url, client.settings.home
