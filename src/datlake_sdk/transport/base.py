"""What a transport is: the one seam between the client and a lake, in this process or behind a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datlake_sdk.wire.models import LakeObject, LogState
    from datlake_sdk.wire.operations import Op

T = TypeVar("T")


class CallOptions(Struct, frozen=True, kw_only=True):
    """How one call is made. `timeout_s` is the total for a call, and the time without progress for bytes."""

    timeout_s: float
    retries: bool = True
    api_key: str | None = None
    request_id: str | None = None


class Transport(Protocol):
    """Carries operations and bytes to a lake. Safe to share between threads, and usable in a forked child."""

    def call(self, op: Op[T], options: CallOptions) -> T:
        """What the lake answers to `op`. Raises the errors of the public tree."""
        ...

    def upload(self, namespace: str, bucket: str, object_name: str, path: str, options: CallOptions) -> LakeObject:
        """The object that the file at `path` became: as many bytes as it had when this began."""
        ...

    def download(self, namespace: str, bucket: str, object_name: str, options: CallOptions) -> Iterator[bytes]:
        """The object's bytes in pieces; its digest is checked at the end. Nothing is sent before the first `next`."""
        ...

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
        """How far the run's log has grown once `data` is in it from `offset` on; sent again, it is there once.

        A run that nothing is known of is made where `job_name` says whose it is. At most 1 MiB at once.
        """
        ...

    def read_log(
        self, namespace: str, run_id: str, offset: int, limit_bytes: int, options: CallOptions
    ) -> tuple[bytes, LogState]:
        """At most `limit_bytes` (1 to 1 MiB) of the run's log from `offset`, and how far it has grown."""
        ...

    def close(self) -> None:
        """Sockets and threads are let go."""
        ...
