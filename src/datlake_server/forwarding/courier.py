"""Sends the feed to one target: at least once, in order, and less and less often while the target is away."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from datlake_sdk.errors import DatlakeError
from datlake_sdk.transport.retry import chance
from datlake_server.caller import Caller
from datlake_server.forwarding.sending import Sent, Trouble
from datlake_server.services import forwarding, forwarding_events
from datlake_server.services.forwarding import Place, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datlake_server.forwarding.bell import Bell
    from datlake_server.forwarding.sending import Sender
    from datlake_server.services.forwarding import Outgoing
    from datlake_server.store.base import Store

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
IDLE_S: Final = 30.0
TELL_EVERY_S: Final = 600.0
# A target that fails at one event so often, and takes the one after it, will never take it.
PASS_AFTER: Final = 8
PATIENCE_S: Final = 10.0
_NOBODY: Final = Caller()
_log = logging.getLogger("datlake.server")


class Courier:
    """One thread per target. What happens to it is nothing to the others, nor to anybody who uses the lake."""

    def __init__(self, store: Store, bell: Bell, target: str, sender: Sender) -> None:
        """Does nothing before it is started."""
        self._store = store
        self._bell = bell
        self._target = target
        self._sender = sender
        self._pause_s = FIRST_PAUSE_S
        self._tell_at = 0.0
        self._stuck = ("", 0)
        self.is_abandoned = False
        self.thread = threading.Thread(target=self._run, name="datlake-forward", daemon=True)

    def _run(self) -> None:
        while not self._bell.is_stopping:
            heard = self._bell.rung
            try:
                found = self.step()
            except DatlakeError as error:  # the lake's trouble, not the target's
                found = Trouble(f"the lake does not let it: {error.message}")
            except Exception as error:  # noqa: BLE001 -- one target's thread must not end for what nobody foresaw
                _log.exception("forwarding to %s failed", self._target)
                found = Trouble(f"{type(error).__name__}: {error}")
            if isinstance(found, Trouble):
                self._bell.rest(self._next_pause_s(found))
            elif not found:
                self._bell.await_news(heard, IDLE_S)
        self._sender.close()

    def step(self) -> Trouble | bool:
        """True once something was sent, false where nothing is to be; else what is in the way."""
        place = next(one for one in self._store.read(forwarding.places) if one.target == self._target)
        if place.history is not None:
            return self._send_history(place)
        events = self._store.read(lambda tx: forwarding_events.page(tx, place))
        if not events:
            return False
        sent = self._past_the_stuck(events, self._sender.send(events))
        position = events[sent.count - 1].seq if sent.count else place.position
        return self._settle(place, replace(place, position=position), sent)

    def _send_history(self, place: Place) -> Trouble | bool:
        events, cursor = self._store.read(lambda tx: forwarding_events.history(tx, place, _NOBODY))
        self._store.write(lambda tx: forwarding_events.remember_made(tx, events), PATIENCE_S)
        done, refusals = 0, list[Refusal]()
        while done < len(events) and not self._bell.is_stopping:
            sent = self._past_the_stuck(events[done:], self._sender.send(events[done:]))
            done, refusals = done + sent.count, refusals + sent.refusals
            if sent.trouble is not None and not sent.count:
                # Where it stands is a page: what it has of this one it gets again.
                return self._settle(place, place, Sent(0, trouble=sent.trouble))
        if done < len(events):
            return False
        return self._settle(place, replace(place, history=cursor), Sent(done, refusals))

    def _past_the_stuck(self, events: Sequence[Outgoing], sent: Sent) -> Sent:
        """As `sent`; but an event at which the target fails for ever is passed where it takes the next one."""
        if sent.count or sent.trouble is None or sent.trouble.status != 500:
            return sent
        digest, failures = self._stuck
        self._stuck = (events[0].digest, failures + 1 if digest == events[0].digest else 1)
        if self._stuck[1] < PASS_AFTER or len(events) < 2:
            return sent
        following = self._sender.send(events[1:2])
        if following.trouble is not None:
            return sent
        return Sent(2, [Refusal(events[0], 500, sent.trouble.text), *following.refusals])

    def _settle(self, before: Place, after: Place, sent: Sent) -> Trouble | bool:
        if self.is_abandoned:  # the lake is closed by now; it is sent again another time
            return False
        if sent.count or after != before:
            self._store.write(lambda tx: forwarding.advance(tx, before, after, sent.count, sent.refusals), PATIENCE_S)
            self._pause_s = FIRST_PAUSE_S
        if sent.refusals:
            _log.warning("%d events were refused by %s: %s", len(sent.refusals), self._target, sent.refusals[0].answer)
        if sent.trouble is not None:
            self._tell_trouble(before, sent.trouble)
            return sent.trouble
        if before.failing_since is not None:
            _log.warning("%s takes events again; %d wait", self._target, before.waiting)
        self._tell_at = 0.0
        return True

    def _tell_trouble(self, place: Place, trouble: Trouble) -> None:
        if place.trouble != trouble.text[: forwarding.TROUBLE_CHARACTERS]:
            self._store.write(lambda tx: forwarding.fail(tx, self._target, trouble.text), PATIENCE_S)
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_EVERY_S
            _log.warning("events are not forwarded, %d wait: %s", place.waiting, trouble.text)

    def _next_pause_s(self, trouble: Trouble) -> float:
        """A part of what doubles each time, drawn by chance: targets come back to few at once."""
        drawn, self._pause_s = chance() * self._pause_s, min(self._pause_s * 2, LONGEST_PAUSE_S)
        return max(drawn, trouble.retry_after_s or 0.0)
