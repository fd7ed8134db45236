"""What a client is made of beside its methods: settings, a transport, and how one call goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from datlake_sdk._lazy import LazyModule, loading

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Literal, Self, TypedDict, TypeVar, Unpack

    from datlake_sdk import _calls as calls
    from datlake_sdk._outbox.outbox import Outbox
    from datlake_sdk.paging import Paged
    from datlake_sdk.settings import Settings
    from datlake_sdk.transport.base import Transport
    from datlake_sdk.wire import operations as ops
    from datlake_sdk.wire.models import Page

    A = TypeVar("A")
    T = TypeVar("T")

    class Call(TypedDict, total=False):
        """What every call takes beside its own arguments."""

        namespace: str | None
        api_key: str | None
        request_id: str | None
        timeout: float | None
        retries: bool
else:
    calls = LazyModule("datlake_sdk._calls")


class Connection:
    """Settings read once, and a transport made at the first call. Safe to share between threads."""

    def __init__(
        self,
        base_url: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        *,
        namespace: str | None = None,
        timeout: float | None = None,
        home: str | os.PathLike[str] | None = None,
        outbox_dir: str | os.PathLike[str] | None = None,
        artifact_bucket: str | None = None,
        on_unavailable: Literal["defer", "raise"] | None = None,
        disabled: bool | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Reads the settings once; opens nothing. `timeout` is in seconds. Raises `ConfigError` for unusable ones."""
        from datlake_sdk.settings import load_settings

        self._settings = load_settings(
            {
                "api_url": None if base_url is None else os.fspath(base_url),
                "api_key": api_key,
                "namespace": namespace,
                "timeout_s": timeout,
                "home": None if home is None else os.fspath(home),
                "outbox_dir": None if outbox_dir is None else os.fspath(outbox_dir),
                "artifact_bucket": artifact_bucket,
                "on_unavailable": on_unavailable,
                "disabled": disabled,
            }
        ).settings
        self._given = transport
        self._made: Transport | None = None
        self._outboxes: dict[None, Outbox] = {}

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @property
    def base_url(self) -> str | None:
        """The server's address; null for an embedded lake."""
        return calls.server_address(self._settings)

    def close(self) -> None:
        """Closes connections and files that this client opened; a transport that was passed in stays open.

        What is not delivered yet stays on the disk, for the next process of this host.
        """
        if None in self._outboxes:
            self._outboxes[None].close()
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the client."""
        self.close()

    def call(self, op: ops.Op[A], **call: Unpack[Call]) -> A:
        """What any operation answers, as it stands."""
        return self._call(op, call)

    def _call(self, op: ops.Op[A], call: Call) -> A:
        if op.writes:
            calls.refuse_if_disabled(self._settings)
        return calls.send(self._transport(), op, calls.options(self._settings, call))

    def _pages(self, op: ops.Op[Page[T]], call: Call) -> Paged[T]:
        return calls.pages(op, lambda following: self._call(following, call))

    def _scope(self, call: Call) -> str:
        return call.get("namespace") or self._settings.namespace

    def _transport(self) -> Transport:
        if self._given is not None:
            return self._given
        if self._made is None:
            with loading():
                from datlake_sdk.transport.resolve import transport_for

            self._made = transport_for(self._settings)
        return self._made

    def _outbox(self) -> Outbox:
        if None not in self._outboxes:
            with loading():
                from datlake_sdk._outbox.outbox import Outbox

            # One only, also where two threads ask at once.
            self._outboxes.setdefault(None, Outbox(self._settings, self._transport))
        return self._outboxes[None]


def outbox_of(client: Connection) -> Outbox:
    """Where the runs of `client` keep what cannot be delivered yet; makes nothing before it is used."""
    # For our own modules: no promise to users.
    return client._outbox()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def transport_of(client: Connection) -> Transport:
    """The road of `client` to its lake; opens nothing yet."""
    # As above.
    return client._transport()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
