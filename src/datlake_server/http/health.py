"""What `/health/*` answers, and the look for damage after a server that did not end well. Owned by the app."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from datlake_sdk.errors import DatlakeError, ServerError
from datlake_sdk.wire.operations import GetConfig, Op
from datlake_server.caller import Caller
from datlake_server.http.exchange import Answer, Incoming, json_answer

if TYPE_CHECKING:
    from datlake_server.http.threads import Threads
    from datlake_server.lake import Lake

Check = Literal["running", "passed", "damaged", "failed"]
# A check stops within milliseconds of being asked to; a disk that does not answer is not waited for.
STOP_S: Final = 2.0
_log = logging.getLogger("datlake.server")


class Health:
    """Whether this server should be sent requests."""

    def __init__(self, lake: Lake, threads: Threads) -> None:
        self._lake = lake
        self._threads = threads
        self._check: Check | None = None
        self._is_stopping = False

    async def live(self, _: Incoming) -> Answer:
        """200 as long as the process answers."""
        return json_answer({"status": "live"})

    async def ready(self, request: Incoming) -> Answer:
        """200 where the lake answers, also while it is looked through; raises what keeps it from being written to."""
        if self._is_stopping:
            raise ServerError("this server is about to stop; ask again at the next one", code="stopping", status=503)
        config: Op[object] = GetConfig()
        await self._threads.run(partial(self._lake.dispatch, config, Caller(request_id=request.request_id)))
        if self._lake.damage is not None:  # last: it may be found while the lake answers
            raise self._lake.damage
        return json_answer({"status": "ready"} if self._check is None else self._told())

    def stop(self) -> None:
        """Not ready any more, and no check goes on. May be called by a signal's handler."""
        self._is_stopping = True

    def check(self, passed: Callable[[], None]) -> threading.Thread:
        """Looks for damage on the thread that is returned; calls `passed` if there was none. `stop` ends it early."""
        self._check = "running"
        thread = threading.Thread(target=self._look, args=(passed,), name="datlake-check", daemon=True)
        thread.start()
        return thread

    def _told(self) -> dict[str, str]:
        return {"status": "ready", "quick_check": str(self._check)}

    def _look(self, passed: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            is_through = self._lake.quick_check(lambda: self._is_stopping)
        except DatlakeError as error:
            self._check = "failed"
            _log.error("the lake could not be looked through: %s", error)
            return
        if not is_through:
            return  # the next server does it
        damage = self._lake.damage
        self._check = "passed" if damage is None else "damaged"
        if damage is None:
            _log.warning("the lake was looked through in %.1f s: no damage", time.monotonic() - began)
            passed()
        else:
            _log.error("%s. Until then it is read only.", damage)
