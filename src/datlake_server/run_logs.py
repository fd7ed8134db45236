"""The logs of runs, from their first line to the object they become: where records and files of a log meet.

A log grows in a file of its own. Once the run's ending names a log of just that size and sha256, the file becomes that
object; where the object came as an upload, the file goes. A crash in between is mended by whoever asks next.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from datlake_sdk.errors import DatlakeError, InvalidRequest, NotFound
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import Name, Uuid, is_uuid
from datlake_sdk.wire.models import LogState
from datlake_server.objects.logs import GrowingLogs, HeldLog, read_part
from datlake_server.services.logs import LogFacts, NamedLog, log_facts, show_life, store_log

if TYPE_CHECKING:
    from datlake_server.objects.files import ObjectFiles
    from datlake_server.store.base import Store

PIECE_LIMIT_BYTES: Final = 1 << 20
# A sign of life is a commit; a log that grows every second needs none every second.
LIFE_EVERY_US: Final = 10_000_000
PATIENCE_S: Final = 5.0


class LogPlace(Struct, frozen=True):
    """Where bytes are to stand: whose log, and from which byte. `job_name` is for a run nothing is known of yet."""

    namespace: Name
    run_id: Uuid
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    job_name: Name | None = None


class RunLogs:
    """The logs of one lake."""

    def __init__(self, store: Store, files: ObjectFiles, folder: str) -> None:
        """Keeps what grows in `folder`, which is made when it is needed."""
        self._store = store
        self._files = files
        self._growing = GrowingLogs(folder)

    def append(self, place: LogPlace, data: bytes, patience_s: float) -> LogState:
        """How far the log has grown once `data` is in it and on the disk; once it is an object it stays as it is."""
        place = codec.decode(codec.encode(place), LogPlace)
        if len(data) > PIECE_LIMIT_BYTES:
            message = f"{len(data):,} bytes are too many for one piece of a log; send {PIECE_LIMIT_BYTES:,} at most"
            raise InvalidRequest(message, code="too_large", status=413)
        self._show_life(place, patience_s)
        facts = self._mended(place.namespace, place.run_id)
        try:
            size = None if facts.stored else self._grown(facts, place.offset, data, patience_s)
        except DatlakeError as error:
            error.run_id = facts.run_id
            raise
        if size is None or facts.named is not None:
            facts = self._mended(place.namespace, place.run_id)
        return _state(facts, facts.stored.size_bytes if facts.stored else size or 0)

    def read(self, namespace: str, run_id: str, offset: int, limit: int) -> tuple[bytes, LogState]:
        """At most `limit` bytes of the run's log from `offset`, and how far it has grown. Raises `NotFound`."""
        facts = self._mended(namespace, run_id)
        found = self._part(facts, offset, limit)
        if found is None:
            facts = self._mended(namespace, run_id)  # it may have become an object between the two looks
            found = self._part(facts, offset, limit)
        if found is None and facts.stored is not None:
            message = f"the bytes of {facts.stored.uri} are missing from the lake's folder; restore them from a backup"
            raise NotFound(message, code="object_missing", run_id=facts.run_id)
        data, size = found or (b"", 0)
        return data, _state(facts, size)

    def settle(self, namespace: str, run_id: str) -> None:
        """What can become an object has become one, and what has become superfluous is gone. Never raises.

        What fails here is tried again by whoever asks for the log next; the answer that was due is true all the same.
        """
        if is_uuid(run_id):
            with suppress(OSError, DatlakeError):
                self._settle(namespace, run_id)

    def settle_object(self, namespace: str, object_name: str) -> None:
        """`settle` for the run whose log has this key; nothing where it is another object's."""
        parts = object_name.split("/")
        if len(parts) == 4 and parts[0] == "jobs" and parts[3] == "run.log":
            self.settle(namespace, parts[2])

    def _settle(self, namespace: str, run_id: str) -> None:
        if self._growing.size_of(run_id) is None:
            return
        with self._growing.held(run_id, PATIENCE_S) as log:
            facts = self._facts(namespace, run_id)
            if log is None or facts.named is None:
                return
            if facts.stored is None:
                self._seal(facts, facts.named, log)
            elif os.path.exists(self._files.path_of(facts.stored.sha256)):
                log.remove()
            elif log.is_exactly(facts.stored.size_bytes, facts.stored.sha256):
                self._files.adopt(log.path, facts.stored.sha256)

    def _seal(self, facts: LogFacts, named: NamedLog, log: HeldLog) -> None:
        size_bytes, sha256 = named.size_bytes, named.sha256
        if size_bytes is None or sha256 is None or not log.is_exactly(size_bytes, sha256):
            return
        # The record first: if the file came first and we died in between, nothing would say whose it is.
        self._store.write(lambda tx: store_log(tx, facts.namespace, named, size_bytes, sha256), PATIENCE_S)
        self._files.adopt(log.path, sha256)

    def _grown(self, facts: LogFacts, offset: int, data: bytes, patience_s: float) -> int | None:
        """The size with `data` in it; null where the log became an object a moment ago."""
        with self._growing.made(facts.run_id, patience_s) as log:
            try:
                # Under the lock: whoever seals it holds the lock until the file is gone.
                is_object = self._facts(facts.namespace, facts.run_id).stored is not None
                return None if is_object else log.append(offset, data)
            finally:
                if not log.size_bytes:  # made for nothing
                    log.remove()

    def _part(self, facts: LogFacts, offset: int, limit: int) -> tuple[bytes, int] | None:
        if facts.stored is not None:
            return read_part(self._files.path_of(facts.stored.sha256), offset, limit)
        return self._growing.read(facts.run_id, offset, limit)

    def _show_life(self, place: LogPlace, patience_s: float) -> None:
        """The run is known and was heard of lately. Raises `NotFound` for one nothing is known of, not even its job."""
        try:
            facts = self._facts(place.namespace, place.run_id, place.job_name)
        except NotFound:
            if place.job_name is None:
                raise
            job_name = place.job_name
        else:
            if facts.now - facts.last_seen_at < LIFE_EVERY_US:
                return
            job_name = facts.job_name
        self._store.write(lambda tx: show_life(tx, place.namespace, job_name, place.run_id), patience_s)

    def _mended(self, namespace: str, run_id: str) -> LogFacts:
        """What is known of the log, after what a crash left undone is done."""
        facts = self._facts(namespace, run_id)
        if facts.named is None or self._growing.size_of(facts.run_id) is None:
            return facts
        self.settle(namespace, run_id)
        return self._facts(namespace, run_id)

    def _facts(self, namespace: str, run_id: str, job_name: str | None = None) -> LogFacts:
        return self._store.read(lambda tx: log_facts(tx, namespace, run_id, job_name))


def _state(facts: LogFacts, size_bytes: int) -> LogState:
    return LogState(run_id=facts.run_id, size_bytes=size_bytes, is_final=facts.is_final)
