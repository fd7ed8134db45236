"""One parcel to the lake, and what its answer means: answered, to be tried again, paused, or refused for good."""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from msgspec import Struct

from datlake_sdk._outbox import dead
from datlake_sdk._outbox.parcels import Parcel, UploadParcel
from datlake_sdk.errors import (
    AuthError,
    ConfigError,
    Conflict,
    DatlakeError,
    InvalidRequest,
    ServerError,
    TransientNetworkError,
)
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.wire.models import EventResults
from datlake_sdk.wire.operations import ListObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk._outbox.journal import Frame
    from datlake_sdk.wire.models import LakeObject
    from datlake_sdk.wire.operations import Op

A = TypeVar("A")

SPOOL: Final = "spool"
_PREFIX_CHARS: Final = 2048


class Carrier(Protocol):
    """The part of a transport that deliveries need."""

    def call(self, op: Op[A], options: CallOptions) -> A:
        """What the lake answers."""
        ...

    def upload(self, namespace: str, bucket: str, object_name: str, path: str, options: CallOptions) -> LakeObject:
        """The object that the file became."""
        ...


class Verdict(Enum):
    """What became of a parcel."""

    ANSWERED = "answered"
    AGAIN = "again"  # the lake is away, or busy
    PAUSED = "paused"  # the lake, or something in its place, does not want us: people must look
    REFUSED = "refused"  # this parcel will never pass


class Outcome(Struct, frozen=True):
    """A verdict, with the error behind it and what was refused of a batch."""

    verdict: Verdict
    error: DatlakeError | None = None
    refused: int = 0


def verdict_of(error: DatlakeError) -> Verdict:
    """What an error means for what waits."""
    if isinstance(error, Conflict):
        if error.code == "run_already_ended":  # recorded all the same
            return Verdict.ANSWERED
        return Verdict.AGAIN if error.code == "operation_in_progress" else Verdict.REFUSED
    if isinstance(error, (TransientNetworkError, ServerError)):
        return Verdict.AGAIN if error.retryable else Verdict.PAUSED
    if isinstance(error, (AuthError, ConfigError)):
        return Verdict.PAUSED
    # A refusal that is not in Datlake's words is a proxy's or another server's: nothing is thrown away for it.
    return Verdict.PAUSED if error.code == "unexpected_answer" and error.status != 413 else Verdict.REFUSED


class Delivery:
    """Sends parcels through a carrier; what is refused goes to the dead letters of `folder`."""

    def __init__(
        self,
        carrier: Callable[[], Carrier],
        folder: str,
        destination: str,
        learned: Callable[[Op[object], object], None],
    ) -> None:
        """`learned(op, answer)` is told of every operation that was answered."""
        self._carrier = carrier
        self._folder = folder
        self._destination = destination
        self._learned = learned

    def deliver(self, parcel: Parcel, timeout_s: float) -> Outcome:
        """Sends the parcel once. A refused one is not buried here: a batch may pass in halves."""
        options, what = CallOptions(timeout_s=timeout_s, retries=False), parcel.what
        if what is None:
            return Outcome(Verdict.REFUSED)
        try:
            if isinstance(what, UploadParcel):
                self._upload(what, options)
                return Outcome(Verdict.ANSWERED)
            answer = self._carrier().call(what, options)
        except DatlakeError as error:
            return Outcome(verdict_of(error), error)
        self._learned(what, answer)
        return Outcome(Verdict.ANSWERED, refused=self._bury_refused(parcel, answer))

    def bury(self, frame: Frame, error: DatlakeError) -> None:
        """The frame is among the dead letters, or, where there is no room for it, counted as lost."""
        try:
            dead.bury(self._folder, self._destination, frame, error)
        except (OSError, ValueError) as trouble:  # ValueError: with its answer it is larger than any frame
            dead.note_loss(self._folder, "operation", 1, f"refused ({error.message}) and not kept: {trouble}", None)

    def _upload(self, what: UploadParcel, options: CallOptions) -> None:
        path = os.path.join(self._folder, SPOOL, what.spool)
        if not os.path.exists(path):
            if what.is_log:
                return  # given up for want of room, and counted then
            if self._is_there(what, options):
                return  # whoever sent it died, or was interrupted, before the journal was gone as well
            message = f"the bytes of {what.object_name!r} are no longer in the outbox; attach the file to a new run"
            raise InvalidRequest(message, code="spool_missing")
        self._carrier().upload(what.namespace, what.bucket, what.object_name, path, options)
        with suppress(OSError):
            os.unlink(path)

    def _is_there(self, what: UploadParcel, options: CallOptions) -> bool:
        prefix = what.object_name[:_PREFIX_CHARS]
        asked = ListObjects(namespace=what.namespace, bucket=what.bucket, prefix=prefix, limit=1)
        found = self._carrier().call(asked, options).items
        return any((each.object, each.sha256) == (what.object_name, what.sha256) for each in found)

    def _bury_refused(self, parcel: Parcel, answer: object) -> int:
        if not isinstance(answer, EventResults):
            return 0
        refused = [item for item in answer.items if item.error is not None]
        for item in refused:
            if item.index < len(parcel.frames):
                self.bury(parcel.frames[item.index], InvalidRequest(item.error or "", code="event_refused"))
        return len(refused)
