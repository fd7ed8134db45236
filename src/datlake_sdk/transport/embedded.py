"""The lake in this process: the same `Lake.dispatch` as a server's, no socket. No other file imports the server."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from datlake_sdk._lazy import loading
from datlake_sdk.errors import InvalidRequest
from datlake_sdk.wire import codec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from datlake_sdk.transport.base import CallOptions
    from datlake_sdk.wire.models import LakeObject, LogState
    from datlake_sdk.wire.operations import Op
    from datlake_server.lake import Lake

A = TypeVar("A")

CHUNK_BYTES: Final = 1024 * 1024


class EmbeddedTransport:
    """Calls a lake in a folder. The folder is opened, and made if need be, at the first call."""

    def __init__(self, home: str) -> None:
        """Will use the lake in the folder `home`."""
        self._home = home
        self._lake: Lake | None = None
        # By process: a child that was forked while a thread held its parent's would wait for ever.
        self._opening: dict[int, threading.Lock] = {}

    def call(self, op: Op[A], options: CallOptions) -> A:
        """What `op` answers; a write is on the disk when this returns."""
        with loading():
            from datlake_server.caller import Caller

        try:
            caller = Caller(key=op.key, request_id=options.request_id)
        except codec.UNREADABLE as error:
            raise codec.unreadable(error) from error
        return self._open().dispatch(op, caller, patience_s=options.timeout_s)

    def upload(self, namespace: str, bucket: str, object_name: str, path: str, options: CallOptions) -> LakeObject:
        """The object that now holds the bytes of the file `path`; a disk knows no timeout."""
        del options
        with _opened(path) as file:
            upload = self._open().begin_upload(namespace, bucket, object_name)
            try:
                left = os.fstat(file.fileno()).st_size  # a log may grow while it is copied
                while left and (chunk := _read(file, path, min(CHUNK_BYTES, left))):
                    upload.write(chunk)
                    left -= len(chunk)
                return upload.commit()
            finally:
                upload.abort()

    def download(self, namespace: str, bucket: str, object_name: str, options: CallOptions) -> Iterator[bytes]:
        """The bytes of the object, a chunk at a time; a disk knows no timeout."""
        del options
        _, path = self._open().find_object(namespace, bucket, object_name)
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def append_log(
        self,
        namespace: str,
        run_id: str,
        offset: int,
        data: bytes,
        options: CallOptions,
        *,
        job_name: str | None = None,
    ) -> LogState:
        """How far the run's log has grown once `data` is in it and on the disk."""
        from datlake_server.run_logs import LogPlace

        place = LogPlace(namespace, run_id, offset, job_name)
        return self._open().append_log(place, data, patience_s=options.timeout_s)

    def read_log(
        self, namespace: str, run_id: str, offset: int, limit_bytes: int, options: CallOptions
    ) -> tuple[bytes, LogState]:
        """At most `limit_bytes` of the run's log from `offset`, and how far it has grown."""
        del options
        return self._open().read_log(namespace, run_id, offset, limit_bytes)

    def close(self) -> None:
        """Lets go of the lake."""
        with self._turn():
            lake, self._lake = self._lake, None
        if lake is not None:
            lake.close()

    def _open(self) -> Lake:
        if self._lake is None:
            with loading():
                from datlake_server.lake import Lake

            with self._turn():
                if self._lake is None:
                    self._lake = Lake.open(self._home)
        return self._lake

    def _turn(self) -> threading.Lock:
        return self._opening.setdefault(os.getpid(), threading.Lock())


def _opened(path: str) -> FileIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(file: FileIO, path: str, size_bytes: int) -> bytes:
    try:
        return file.read(size_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> InvalidRequest:
    return InvalidRequest(f"{path} cannot be read: {error.strerror}", code="file_unreadable")
