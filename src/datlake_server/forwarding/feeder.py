"""Makes events of what has changed, in whatever process, and clears away what every target has."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from datlake_sdk.errors import DatlakeError
from datlake_server.services import forwarding, forwarding_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_server.forwarding.bell import Bell
    from datlake_server.services.forwarding import Outgoing
    from datlake_server.services.forwarding_events import Change
    from datlake_server.store.base import Store

# Other processes write here, too, and ring no bell. Two looks a second cost a thousandth of a core.
LOOK_EVERY_S: Final = 0.5
AT_ONCE: Final = 50
PURGE_EVERY_S: Final = 30.0
WANT_EVERY_S: Final = 3_600.0
PATIENCE_S: Final = 10.0
_log = logging.getLogger("datlake.server")


class Feeder:
    """One thread per server. `targets` are those that are wanted."""

    def __init__(self, store: Store, bell: Bell, targets: Sequence[str]) -> None:
        """Does nothing before it is started."""
        self._store = store
        self._bell = bell
        self._targets = targets
        self._newest = 0
        self._purge_at = 0.0
        self._trouble = ""
        self._want_at = time.monotonic() + WANT_EVERY_S
        self.thread = threading.Thread(target=self._run, name="datlake-feed", daemon=True)

    def _run(self) -> None:
        while not self._bell.is_stopping:
            try:
                moved = self._round()
                self._chores()
                self._trouble = ""
            except DatlakeError as error:  # busy, full or damaged: the lake says so to everybody
                if str(error) != self._trouble:
                    _log.warning("what changes cannot be forwarded for now: %s", error)
                self._trouble = str(error)
                moved = False
                self._bell.rest(PATIENCE_S)
            if not moved:
                self._bell.rest(LOOK_EVERY_S)

    def _round(self) -> bool:
        """True where there may be more to do."""
        changed = self._store.read(lambda tx: forwarding_events.changes(tx, AT_ONCE))
        if changed:
            events = self._made(changed)  # read outside the writer's lock: nobody waits for it
            self._store.write(lambda tx: forwarding_events.publish(tx, changed, events), PATIENCE_S)
        newest = self._store.read(forwarding_events.last)
        if newest > self._newest:
            self._newest = newest
            self._bell.ring()
        return len(changed) == AT_ONCE

    def _made(self, changed: Sequence[Change]) -> list[Outgoing]:
        try:
            return self._store.read(lambda tx: forwarding_events.made(tx, changed))
        except DatlakeError:
            raise
        except Exception:  # noqa: BLE001 -- one that cannot be told must not keep all others from being told
            if len(changed) > 1:
                return [event for change in changed for event in self._made([change])]
            _log.exception("%s %s cannot be told as OpenLineage and is not forwarded", changed[0].kind, changed[0].id)
            return []

    def _chores(self) -> None:
        now = time.monotonic()
        if now >= self._want_at:
            self._want_at = now + WANT_EVERY_S
            self._store.write(lambda tx: forwarding.want(tx, self._targets, all_history=False), PATIENCE_S)
        if now >= self._purge_at:
            self._purge_at = now + PURGE_EVERY_S
            if self._store.write(forwarding.purge, PATIENCE_S):
                _log.warning("a target has been away for too long; when it is back, it gets the whole history again")
