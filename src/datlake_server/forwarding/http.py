"""A server as a target: posts events, many at once where it takes them so. The one file here that knows urllib3.

What a target says of one event (4xx, or its item of a batch) is a refusal; what it says of us or of itself (401, 403,
408, 429, 5xx, a redirect, no answer) is trouble, and is tried again.
"""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import msgspec
import urllib3
from msgspec import Meta, Struct
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from datlake_sdk import __version__
from datlake_sdk.redaction import redact_text
from datlake_sdk.transport.address import ServerAddress, proxy_for
from datlake_server.forwarding.sending import Sent, Trouble
from datlake_server.services.forwarding import Outgoing, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
# Refusals of a thousand events fit; what is beyond is not an answer to us.
ANSWER_BYTES: Final = 1 << 20
_LONGEST_WAIT_S: Final = 300.0
_COMPRESSED_BYTES: Final = 1 << 10
_SHOWN: Final = 300
# They speak of who asks, how often, or of the server: not of the event.
_NOT_OF_THE_EVENT: Final = frozenset({401, 402, 403, 407, 408, 421, 423, 425, 429})
_NO_BATCHES: Final = frozenset({404, 405, 501})
# Nobody takes events there, or not from us like this: the address is wrong, not the event.
_NOT_THERE: Final = frozenset({404, 405, 410, 415})


class _Failed(Struct, frozen=True):
    index: Annotated[int, Meta(ge=0)]
    reason: str = ""
    retriable: bool = False


class _Results(Struct, frozen=True):
    failed_events: list[_Failed] = []


class Reply(Struct, frozen=True):
    """An answer, or none: then `status` is 0 and `text` says why."""

    status: int
    text: str
    body: bytes = b""
    retry_after_s: float | None = None

    @property
    def is_well(self) -> bool:
        """True where it was taken."""
        return 200 <= self.status < 300

    @property
    def refuses(self) -> bool:
        """True where what was sent will never be taken."""
        return 400 <= self.status < 500 and self.status not in _NOT_OF_THE_EVENT | _NOT_THERE

    def trouble(self) -> Trouble:
        """Why it is to be tried again."""
        return Trouble(self.text, self.status or None, self.retry_after_s)


class HttpSender:
    """Posts to `endpoint`, and batches to `endpoint/batch` where that exists. Connects with the first of them."""

    def __init__(self, endpoint: str, key: str | None) -> None:
        """`key` is sent as a bearer's; it is in no message."""
        self._endpoint = endpoint
        parts = urlsplit(endpoint)
        address = ServerAddress(parts.scheme, parts.hostname or "", f"{parts.scheme}://{parts.netloc}", parts.path)
        proxy = proxy_for(address)
        self._http = urllib3.PoolManager() if proxy is None else _through(proxy)
        self._headers = {"Content-Type": "application/json", "User-Agent": f"datlake/{__version__}"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._takes_batches = True
        self._takes_gzip: bool | None = None  # null: it has not said
        self._at_most = 1_000

    def send(self, events: Sequence[Outgoing]) -> Sent:
        """What became of the events."""
        if self._takes_batches and sum(event.body is not None for event in events[:2]) > 1:
            return self._batch(events[: self._at_most])
        return self._one_by_one(events)

    def close(self) -> None:
        """Lets go of connections."""
        self._http.clear()

    def _batch(self, events: Sequence[Outgoing]) -> Sent:
        bodies = [event.body for event in events if event.body is not None]
        reply = self._post(self._endpoint + "/batch", f"[{','.join(bodies)}]".encode())
        if reply.is_well:
            return self._settled([event for event in events if event.body is not None], events, reply)
        if reply.status in _NO_BATCHES:
            self._takes_batches = False
        elif reply.status == 413:
            self._at_most = max(len(events) // 2, 1)
        elif not reply.refuses and reply.status != 500:
            return Sent(0, trouble=reply.trouble())
        return self._one_by_one(events)  # so that the one which is at fault shows

    def _settled(self, sent: Sequence[Outgoing], events: Sequence[Outgoing], reply: Reply) -> Sent:
        """What the batch's answer says of each; those that may be tried again are, one by one."""
        refusals, again = list[Refusal](), list[Outgoing]()
        for failed in _results(reply.body).failed_events:
            if failed.index < len(sent):
                event = sent[failed.index]
                if failed.retriable:
                    again.append(event)
                else:
                    refusals.append(Refusal(event, reply.status, _shown(failed.reason)))
        second = self._one_by_one(again)
        if second.trouble is None:
            return Sent(len(events), refusals + second.refusals)
        # From the first that was not taken on, all are sent again: those that were taken are known there.
        count = events.index(again[second.count])
        before = events[:count]
        return Sent(count, [each for each in refusals + second.refusals if each.event in before], second.trouble)

    def _one_by_one(self, events: Sequence[Outgoing]) -> Sent:
        refusals: list[Refusal] = []
        for count, event in enumerate(events):
            if event.body is None:
                continue
            reply = self._post(self._endpoint, event.body.encode())
            if reply.refuses:
                refusals.append(Refusal(event, reply.status, reply.text))
            elif not reply.is_well:
                return Sent(count, refusals, reply.trouble())
        return Sent(len(events), refusals)

    def _post(self, url: str, body: bytes) -> Reply:
        """The answer to `body`, compressed unless the target is known not to understand that."""
        if self._takes_gzip is False or len(body) < _COMPRESSED_BYTES:
            return self._asked(url, body, {})
        reply = self._asked(url, gzip.compress(body, 3, mtime=0), {"Content-Encoding": "gzip"})
        if self._takes_gzip is None and (reply.refuses or reply.status == 415):
            plain = self._asked(url, body, {})  # was it the event, or that it was compressed?
            if plain.is_well:
                self._takes_gzip = False
            return plain
        if reply.is_well:
            self._takes_gzip = True
        return reply

    def _asked(self, url: str, body: bytes, more: dict[str, str]) -> Reply:
        until = time.monotonic() + CONNECT_S + ANSWER_S
        timeout = urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S)
        try:
            response = self._http.request(
                "POST", url, body=body, headers=self._headers | more, timeout=timeout,
                retries=False, redirect=False, preload_content=False,
            )  # fmt: skip
            try:
                answer = _read(response, until)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (HTTPError, OSError) as error:
            return Reply(0, f"{self._endpoint} does not answer: {_shown(str(error))}")
        return Reply(response.status, self._told(response, answer), answer, _retry_after_s(response))

    def _told(self, response: urllib3.BaseHTTPResponse, answer: bytes) -> str:
        told = f"{self._endpoint} answered {response.status}"
        if 300 <= response.status < 400:
            return f"{told}, a redirect to {_shown(response.headers.get('location', ''))}; give that address"
        text = _shown(answer.decode("utf-8", "replace"))
        return f"{told}: {text}" if text else told


def _through(proxy: str) -> urllib3.ProxyManager:
    auth = parse_url(proxy).auth
    return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=auth) if auth else None)


def _read(response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """The answer as far as it matters; what drips on is cut off, and its connection with it."""
    parts, size = list[bytes](), 0
    while part := response.read1(64 << 10):
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES or time.monotonic() > until:
            response.close()
            break
    return b"".join(parts)


def _results(body: bytes) -> _Results:
    """What became of each event; nothing failed where the answer is not of the specification's shape."""
    try:
        return msgspec.json.decode(body, type=_Results) if body.strip() else _Results()
    except msgspec.MsgspecError:
        return _Results()


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdigit() else None


def _shown(text: str) -> str:
    """The text on one line, cut, with nothing secret in it."""
    return redact_text(" ".join(text.split()))[:_SHOWN]
