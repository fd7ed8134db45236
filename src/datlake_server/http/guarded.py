"""uvicorn's parser with a limit on how long and how large a request's head may be; named in `serve`'s configuration."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_DEADLINE_S: Final = 10.0
HEAD_LIMIT_BYTES: Final = 64 << 10


class GuardedProtocol(HttpToolsProtocol):
    """Closes connections whose head does not arrive in time, or does not end: uvicorn would wait for ever."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """The clock of the first head starts."""
        super().connection_made(transport)
        self._start_head()

    def data_received(self, data: bytes) -> None:
        """Bytes are counted while they belong to a head."""
        if self._is_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_head and self._head_bytes > HEAD_LIMIT_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        if not self._is_head:
            self._start_head()

    def on_headers_complete(self) -> None:
        """The head is whole; what follows is a body, which the endpoints limit."""
        self._end_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The clock stops."""
        self._end_head()
        super().connection_lost(exc)

    def _start_head(self) -> None:
        self._is_head, self._head_bytes = True, 0
        self._head_timer = self.loop.call_later(HEAD_DEADLINE_S, self.transport.close)

    def _end_head(self) -> None:
        self._is_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
