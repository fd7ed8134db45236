"""The threads that forward a lake's events: one that makes them, and one for each target. Owned by the server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from datlake_server.forwarding.bell import Bell
from datlake_server.forwarding.courier import Courier
from datlake_server.forwarding.feeder import Feeder
from datlake_server.forwarding.file import FileSender
from datlake_server.services import forwarding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Thread
    from types import TracebackType
    from typing import Self

    from datlake_server.forwarding.sending import Sender
    from datlake_server.forwarding.targets import Target
    from datlake_server.store.base import Store

STOP_S: Final = 2.0
PATIENCE_S: Final = 10.0


class Forwarder:
    """Forwards from `with` to the end of the block. Where nobody is forwarded to, it costs nothing."""

    def __init__(
        self, store: Store, targets: Sequence[Target], environment: Mapping[str, str], *, all_history: bool
    ) -> None:
        """Nothing is noted and nobody told before it begins. `all_history` is for targets that are new."""
        self._store = store
        self._names = [target.name for target in targets]
        self._all_history = all_history
        self._bell = Bell()
        self._feeder = Feeder(store, self._bell, self._names)
        self._couriers = [
            Courier(store, self._bell, target.name, _sender(target, target.key(environment))) for target in targets
        ]

    def __enter__(self) -> Self:
        """The forwarder, at work. Raises `ServerError` where the lake cannot be written to."""
        places = self._store.read(forwarding.places)
        if self._names or places:
            self._store.write(lambda tx: forwarding.want(tx, self._names, all_history=self._all_history), PATIENCE_S)
            for thread in self._threads():
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No thread touches the lake any more; one that waits for a target to answer is left to itself."""
        self._bell.stop()
        until = time.monotonic() + STOP_S
        for thread in self._threads():
            if thread.is_alive():
                thread.join(max(until - time.monotonic(), 0))
        for courier in self._couriers:
            courier.is_abandoned = True

    def _threads(self) -> list[Thread]:
        return [self._feeder.thread, *(courier.thread for courier in self._couriers)]


def _sender(target: Target, key: str | None) -> Sender:
    if target.path is not None:
        return FileSender(target.path)
    from datlake_server.forwarding.http import HttpSender

    return HttpSender(target.name, key)
