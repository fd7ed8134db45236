"""The composition root: a `Lake` owns the store, the objects and the clock, and `dispatch` opens every transaction."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from datlake_sdk.errors import DatlakeError, InvalidRequest, NotFound, ServerError
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import Name, ObjectName
from datlake_sdk.wire.operations import CompleteRun
from datlake_sdk.wire.processes import is_alive
from datlake_server.caller import Caller
from datlake_server.objects.files import ObjectFiles, Upload
from datlake_server.places import refuse_network_file_system
from datlake_server.run_logs import LogPlace, RunLogs
from datlake_server.serverlock import is_served
from datlake_server.services import (
    catalog,
    events,
    legacy,
    lineage,
    receipts,
    runs,
    snapshots,
)
from datlake_server.services.presence import Watch
from datlake_server.services.receipts import Answered
from datlake_server.services.registry import service_of
from datlake_server.store.sqlite import SqliteStore, now_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from datlake_sdk.wire.models import LakeObject, LogState
    from datlake_sdk.wire.operations import Op
    from datlake_server.forwarding.forwarder import Forwarder
    from datlake_server.forwarding.targets import Target
    from datlake_server.store.base import Done, Store, Tx

A = TypeVar("A")

# Importing them is what fills HANDLERS; what no job asks is imported when it is asked for.
SERVICES: Final[tuple[ModuleType, ...]] = (
    catalog,
    events,
    legacy,
    lineage,
    runs,
    snapshots,
)

NOBODY: Final = Caller()
PATIENCE_S: Final = 5.0


class _ObjectPlace(Struct, frozen=True):
    """Where an object is to be: names as they may be written."""

    namespace: Name
    bucket: Name
    object: ObjectName


class Lake:
    """Everything Datlake knows, in one folder. Safe to share between threads, and the folder between processes."""

    def __init__(self, store: Store, files: ObjectFiles, logs: RunLogs, watch: Watch) -> None:
        """Composes a lake of its parts; `open` is what most want."""
        self._watch = watch
        self._store = store
        self._files = files
        self._logs = logs

    @classmethod
    def open(
        cls, home: str, *, clock: Callable[[], int] = now_us, watch: Watch | None = None, serves: bool = False
    ) -> Lake:
        """The lake in the folder `home` (0700), made if need be. Raises `ServerError` saying why it cannot be.

        Whoever `serves` the folder folds the write-ahead log for all who use it, and tells living runs from dead ones
        by what it hears from now on; others look up whether the processes of runs live. A `watch` does it another way.
        """
        home = os.path.abspath(os.path.expanduser(home))
        try:
            os.makedirs(home, mode=0o700, exist_ok=True)
        except OSError as error:
            message = f"the lake's folder {home} cannot be made: {error.strerror}; set DATLAKE_HOME to a folder you own"
            raise ServerError(message, code="lake_unwritable", retryable=False) from error
        refuse_network_file_system(home)
        files = ObjectFiles(os.path.join(home, "objects"))
        another_folds = None if serves else partial(is_served, home)
        store = SqliteStore(os.path.join(home, "lake.db"), clock, another_folds=another_folds)
        logs = RunLogs(store, files, os.path.join(home, "logs"))
        # A server hears from other hosts, of names that its own may have, and from outboxes of processes that are gone.
        look_up = None if serves else is_alive
        lake = cls(store, files, logs, watch or Watch(clock, time.monotonic, look_up=look_up, listens=serves))
        files.sweep()
        return lake

    def dispatch(self, op: Op[A], caller: Caller = NOBODY, *, patience_s: float = PATIENCE_S) -> A:
        """What `op` answers. A write is on the disk when this returns. Raises the errors of the public tree.

        A write waits at most `patience_s` seconds for others who hold the lake.
        """
        return self.answer(op, caller, patience_s=patience_s).value

    def answer(self, op: Op[A], caller: Caller = NOBODY, *, patience_s: float = PATIENCE_S) -> Answered[A]:
        """As `dispatch`, with whether it is the answer that the caller's key got before."""
        work = self.prepared(op, caller)
        if isinstance(op, CompleteRun):
            try:
                return self._store.write(work, patience_s)
            finally:  # an ending that disagrees with another one raises, and is recorded all the same
                self._logs.settle(op.namespace, op.run_id)
        return self._store.write(work, patience_s) if op.writes else self._store.read(work)

    def prepared(self, op: Op[A], caller: Caller = NOBODY) -> Callable[[Tx], Answered[A]]:
        """What `answer` does in its transaction. Raises what is wrong with `op` itself."""
        op = codec.checked(op)
        service = service_of(type(op))
        caller = replace(caller, presence=self._watch)

        def effect(tx: Tx) -> A:
            return cast("A", service(tx, op, caller))

        key = caller.key if receipts.is_needed(op, caller) else None

        def work(tx: Tx) -> Answered[A]:
            return Answered(effect(tx)) if key is None else receipts.once(tx, op, key, lambda: effect(tx))

        return work

    def look(self, work: Callable[[Tx], A]) -> A:
        """What `work` reads in one consistent state, for what no operation asks."""
        return self._store.read(work)

    def change(self, work: Callable[[Tx], A], *, patience_s: float = PATIENCE_S) -> A:
        """What `work` answers once its changes are on the disk, for what no operation does."""
        return self._store.write(work, patience_s)

    def change_all(self, works: Sequence[Callable[[Tx], A]], *, patience_s: float = PATIENCE_S) -> Sequence[Done[A]]:
        """What became of each of the works, as `change` would have it, with one commit for all that fit in one."""
        return self._store.write_all(works, patience_s)

    def begin_upload(self, namespace: str, bucket: str, object_name: str) -> Upload:
        """An upload that becomes visible as `object_name` when it is committed, and not before."""
        codec.decode(codec.encode(_ObjectPlace(namespace, bucket, object_name)), _ObjectPlace)
        if not object_name.strip("/"):
            raise InvalidRequest("the name of an object is more than slashes; choose another")

        def record(size_bytes: int, digest: str) -> LakeObject:
            def work(tx: Tx) -> LakeObject:
                return catalog.put_object(tx, namespace, bucket, object_name, size_bytes=size_bytes, sha256=digest)

            stored = self._store.write(work, PATIENCE_S)
            self._logs.settle_object(namespace, object_name)
            return stored

        return self._files.begin(record)

    def find_object(self, namespace: str, bucket: str, object_name: str) -> tuple[LakeObject, str]:
        """The object and the path of the file that holds its bytes. Raises `NotFound`."""
        self._logs.settle_object(namespace, object_name)
        found = self._store.read(lambda tx: catalog.known_object(tx, namespace, bucket, object_name))
        path = self._files.path_of(found.sha256)
        if not os.path.exists(path):
            message = f"the bytes of {found.uri} are missing from the lake's folder; restore them from a backup"
            raise NotFound(message, code="object_missing")
        return found, path

    def append_log(self, place: LogPlace, data: bytes, *, patience_s: float = PATIENCE_S) -> LogState:
        """How far the run's log has grown once `data` is in it and on the disk; sent again, it is there once.

        Raises `Conflict` (`log_gap`, `log_differs`), `InvalidRequest` (`log_full`) and `NotFound`.
        """
        return self._logs.append(place, data, patience_s)

    def read_log(self, namespace: str, run_id: str, offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, LogState]:
        """At most `limit` bytes of the run's log from `offset`, and how far it has grown. Raises `NotFound`."""
        return self._logs.read(namespace, run_id, offset, limit)

    def forwarding(
        self, targets: Sequence[Target], environment: Mapping[str, str], *, all_history: bool = False
    ) -> Forwarder:
        """What tells the targets of all that happens here, while it is entered; to be left before the lake is closed.

        New targets are told of what happened before, too, with `all_history`.
        """
        from datlake_server.forwarding.forwarder import Forwarder

        return Forwarder(self._store, targets, environment, all_history=all_history)

    @property
    def damage(self) -> DatlakeError | None:
        """What writes are refused with; null for a lake that is well as far as is known."""
        return self._store.damage

    @property
    def is_left_over(self) -> bool:
        """True where the lake was found as a process leaves it that is killed."""
        return self._store.is_left_over

    def quick_check(self, stop: Callable[[], bool]) -> bool:
        """True once all records were looked at, and `damage` tells what was found; false where `stop` became true."""
        return self._store.quick_check(stop)

    def close(self) -> None:
        """Lets go of files and connections."""
        self._store.close()
