"""How the operations of one run reach the lake without ever hurting the job.

What may be late is sent once, waits at most 0.8 s and never raises; what could not be sent goes to the outbox, and so
does all that follows it, until the courier has caught up. Warnings are told once each, to the `datlake` logger and on
the card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from datlake_sdk._connection import outbox_of
from datlake_sdk._telling import logger
from datlake_sdk.errors import (
    AuthError,
    ConfigError,
    Conflict,
    DatlakeError,
    InvalidRequest,
    ServerError,
    TransientNetworkError,
)
from datlake_sdk.transport.breaker import means_away

if TYPE_CHECKING:
    from datlake_sdk._outbox.outbox import Outbox
    from datlake_sdk._outbox.parcels import UploadParcel
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.operations import LogEvent, Op

A = TypeVar("A")

DEFERRABLE_WAIT_S: Final = 0.8
# With what else an end takes, no job waits two seconds in vain.
EXIT_PATIENCE_S: Final = 1.9
# What earlier processes of this host left is waited for as well, but it is not this job's own.
EXIT_CHORES_S: Final = 2.0


class Recorder:
    """Sends a run's operations in order; what cannot be sent now is the outbox's."""

    def __init__(self, client: DatlakeClient, run_id: str) -> None:
        """Records through `client`; nothing is sent yet."""
        self._client = client
        self._run_id = run_id
        self._told: set[str] = set()
        self.warnings: list[str] = []
        self.away: str | None = None
        self.deferred = 0
        # A lake that has answered this run is slow at worst, not absent: what is better with an answer may wait for it.
        self.is_answered = False

    @property
    def outbox(self) -> Outbox:
        """Where this run's operations wait."""
        return outbox_of(self._client)

    @property
    def is_disabled(self) -> bool:
        """True where nothing is to be recorded."""
        return self._client.settings.disabled

    @property
    def wait_s(self) -> float:
        """How long a call may wait that could also be sent later; the whole timeout where it could not."""
        return self._client.settings.timeout_s if self.raises else DEFERRABLE_WAIT_S

    @property
    def raises(self) -> bool:
        """True where the user asked that an unreachable lake raises."""
        return self._client.settings.on_unavailable == "raise"

    @property
    def is_behind(self) -> bool:
        """True while something of this run waits, or the host knows that the lake is away: nobody waits for it then.

        Where it is false, an operation must be sent: this may be the one call that asks whether the lake is back.
        """
        return not self.raises and (self.outbox.holds(self._run_id) or self._is_known_away())

    def offer(self, op: Op[A], wait_s: float | None = None) -> A | None:
        """What `op` answers, or null: then it was refused and told, or waits in the outbox."""
        try:
            return self._offer(op, wait_s)
        except DatlakeError:
            raise  # the user asked for it: `on_unavailable` is `raise`
        except Exception as broken:
            # A job's start and its inputs are no place for our mistakes: told, and the job goes on.
            if self.raises:
                raise
            self.warn(f"{type(op).__name__} was not recorded: {type(broken).__name__}: {broken}", is_loss=True)
            return None

    def _offer(self, op: Op[A], wait_s: float | None) -> A | None:
        try:
            if not self.is_behind:
                return self.send_once(op, wait_s)
            self.keep(op)
        except DatlakeError as error:
            self.settle(op, error)
        return None

    def settle(self, op: Op[A], error: DatlakeError) -> None:
        """Keeps `op` for later, or tells that it was refused, as `error` says; raises where the user asked for that."""
        try:
            if may_wait(error):
                self.postpone(op, error)
            else:
                self.refused(op, error)
        except InvalidRequest as refusal:
            self.refused(op, refusal)

    def send_once(self, op: Op[A], wait_s: float | None = None) -> A:
        """What `op` answers, from one attempt that waits `wait_s`. Raises what the lake or the road to it says.

        What breaks the wait off (Ctrl-C) leaves `op` in the outbox: nobody knows whether it arrived, and twice is once.
        """
        try:
            answer = self._client.call(op, timeout=wait_s or self.wait_s, retries=self.raises)
        except DatlakeError:
            raise
        except BaseException:
            if not self.raises:
                self.keep(op)
            raise
        self.is_answered = True
        self.outbox.breaker.succeeded()
        return answer

    @property
    def is_kept(self) -> bool:
        """True where all that waits is on the disk."""
        return not self.raises and self.outbox.trouble is None

    def postpone(self, op: Op[A], error: DatlakeError) -> None:
        """Keeps `op` for later; raises `error` where the user asked for that."""
        self.missed(error)
        self.keep(op)

    def keep(self, what: Op[A] | UploadParcel) -> None:
        """Puts `what` into the outbox, behind what waits. Raises `InvalidRequest` for what no lake would take."""
        self.deferred += 1
        try:
            kept = self.outbox.keep(what)
        except ValueError as error:
            raise InvalidRequest(f"{type(what).__name__} cannot be kept: {error}", code="too_large") from error
        if kept == "lost":
            self.warn(f"{type(what).__name__} is not recorded: no disk takes it ({self.outbox.trouble})", is_loss=True)
        elif kept == "memory":
            text = f"the outbox cannot be written ({self.outbox.trouble}); what waits is kept in memory only"
            self.warn(text, is_loss=True)

    def keep_file(self, what: UploadParcel, path: str) -> UploadParcel | None:
        """What was kept of a file that could not be uploaded, null where the outbox has no room for it."""
        if self.raises:
            return None
        self.deferred += 1
        return self.outbox.keep_file(what, path)

    def missed(self, error: DatlakeError) -> None:
        """Notes that the lake is away; raises `error` where the user asked for that."""
        if self.raises:
            raise error
        self._tell_host(error)
        if self.away is None:
            self._tell_away(error)
        self.away = error.message

    def post(self, event: LogEvent) -> None:
        """Puts an event into the outbox, which sends it at once. Never waits for a lake, never raises."""
        try:
            self.outbox.post(event)
        except Exception as broken:  # noqa: BLE001 -- telling must not fail the job, whatever it was told
            self.warn(f"an event was not kept: {type(broken).__name__}: {broken}", is_loss=True)

    def catch_up(self) -> bool:
        """True once all that waited is answered, and the host does not know the lake to be away."""
        if self.outbox.breaker.is_open and not self.raises:
            self._is_known_away()
            return False
        if not self.outbox.flush(EXIT_PATIENCE_S, 0 if self.raises else EXIT_CHORES_S):
            error = self.outbox.last_error
            if error is not None and self.away is None:
                self._tell_away(error)
            self.away = self.away or (error.message if error is not None else "the lake did not answer in time")
            return False
        self.away = None
        return True

    def tell_losses(self) -> dict[str, object]:
        """What of this run could not be kept or was refused, told; as the run's metadata has it."""
        lost, refused = self.outbox.losses_of(self._run_id)
        if lost:
            self.warn(f"{lost} events or files of this run could not be kept; `datlake outbox` says why", is_loss=True)
        if refused:
            self.warn(f"{refused} events or operations were refused; `datlake outbox dead` shows them", is_loss=True)
        found = {"lost": lost, "refused": refused}
        return {"datlake_delivery": found} if lost or refused else {}

    def refused(self, op: Op[A], error: DatlakeError) -> None:
        """Tells that the lake said no to `op`; raises `error` where the user asked for that."""
        self._tell_host(error)
        if self.raises:
            raise error
        self.warn(f"{type(op).__name__} was refused: {error.message}")

    def warn(self, text: str, *, is_loss: bool = False) -> None:
        """Tells `text` once, to the `datlake` logger and on the card.

        That the lake is away is one warning: what follows from it, but for losses, is told on the card, and at INFO.
        """
        if text in self._told:
            return
        self._told.add(text)
        self.warnings.append(text)
        logger().log(
            20 if self.away and not is_loss else 30, "%s (run %s)", text, self._run_id
        )  # logging.INFO, logging.WARNING

    def _tell_host(self, error: DatlakeError) -> None:
        """The other processes of the host learn whether the lake answers."""
        if means_away(error):
            self.outbox.breaker.failed(retry_after_s=error.retry_after_s)
        else:
            self.outbox.breaker.succeeded()

    def _is_known_away(self) -> bool:
        if self.outbox.breaker.allows():
            return False
        if self.away is None:
            self.away = "it has not answered this host for a while"
            self._told.add("away")
            text = "the lake has not answered this host for a while, the job goes on; what it records is sent later"
            self.warnings.append(text)
            logger().warning("%s (run %s)", text, self._run_id)
        return True

    def _tell_away(self, error: DatlakeError) -> None:
        if isinstance(error, AuthError):
            self.warn(f"the lake refuses the key, the job goes on and its records wait: {error.message}")
        else:
            self.warn(f"the lake cannot be reached, the job goes on: {error.message}")


def may_wait(error: DatlakeError) -> bool:
    """True for what says nothing against an operation: it may be sent later."""
    in_flight = isinstance(error, Conflict) and error.code == "operation_in_progress"
    return in_flight or isinstance(error, (TransientNetworkError, ServerError, AuthError, ConfigError))
