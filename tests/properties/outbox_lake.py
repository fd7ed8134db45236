"""A lake in memory for the outbox's machine: it keeps each thing once, and answers in all the ways that lakes do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, TypeVar, cast

from datlake_sdk.errors import AuthError, Conflict, DatlakeError, InvalidRequest, ServerError, TransientNetworkError
from datlake_sdk.transport.base import CallOptions
from datlake_sdk.wire import codec
from datlake_sdk.wire.ids import object_uri
from datlake_sdk.wire.models import EventResult, EventResults, LakeObject, Page
from datlake_sdk.wire.operations import EventItem, ListObjects, LogEvent, LogEvents, Op
from datlake_sdk.wire.times import utc_now

A = TypeVar("A")

Weather = Literal["fine", "away", "busy", "crowded", "broken", "refusing", "forbidden", "stranger", "in_progress"]


def _waiting(error: DatlakeError, seconds: float) -> DatlakeError:
    error.retry_after_s = seconds
    return error


STORMS: Final[dict[Weather, Callable[[], DatlakeError]]] = {
    "away": lambda: TransientNetworkError("nobody answers"),
    "busy": lambda: _waiting(ServerError("too much to do", code="busy", status=503), 3.0),
    "crowded": lambda: ServerError("slow down", code="rate_limited", status=429),
    "broken": lambda: ServerError("broken", status=500),
    "refusing": lambda: AuthError("who are you?"),
    "forbidden": lambda: AuthError("not you", code="forbidden", status=403),
    "stranger": lambda: InvalidRequest("<html>sign in</html>", code="unexpected_answer", status=404),
    "in_progress": lambda: Conflict("it is being done", code="operation_in_progress"),
}


def error_of(weather: Weather) -> DatlakeError:
    """What a call ends with in this weather."""
    return STORMS[weather]()


class Lake:
    """What was told to it, by its key, in the order in which it first came; `weather` is how it answers.

    What it does to one operation goes by its key: `refused` for good, `failing` with 500, `contradicted` though kept.
    """

    def __init__(self) -> None:
        self.weather: Weather = "fine"
        self.refused: set[str] = set()
        self.failing: set[str] = set()
        self.contradicted: set[str] = set()
        # How many of the next effects it is silent about.
        self.silent = 0
        # A batch that is refused is refused as one, or item by item; and none may be larger.
        self.refuses_whole = False
        self.most_events = 1_000
        self.kept: dict[str, bytes] = {}
        self.order: list[str] = []
        self.failures: Counter[str] = Counter()
        self.changed: list[str] = []

    def call(self, op: Op[A], options: CallOptions) -> A:
        """What the weather and its rules say of the operation; its effect stays once."""
        assert not options.retries
        if isinstance(op, ListObjects):
            return cast("A", self._list(op))
        told = {one.key or "": codec.encode(one) for one in _each(op)}
        self._weather_says(told)
        if isinstance(op, LogEvents):
            return cast("A", self._events(op, told))
        [key] = told
        if key in self.refused:
            raise InvalidRequest("no", code="refused")
        self._keep(told)
        if key in self.contradicted:
            raise Conflict("it ended otherwise", code="run_already_ended")
        return cast("A", None)

    def upload(self, namespace: str, bucket: str, object_name: str, path: str, options: CallOptions) -> LakeObject:
        """The object that the file became."""
        assert not options.retries
        content = Path(path).read_bytes()
        told = {object_name: content}
        self._weather_says(told)
        if object_name in self.refused:
            raise InvalidRequest("no", code="refused")
        self._keep(told)
        return _object(namespace, bucket, object_name, content)

    def _weather_says(self, told: dict[str, bytes]) -> None:
        if self.weather == "broken" or self.failing & set(told):
            self.failures.update(told.keys())
            raise error_of("broken")
        if self.weather != "fine":
            raise error_of(self.weather)

    def _events(self, op: LogEvents, told: dict[str, bytes]) -> EventResults:
        if len(op.events) > self.most_events:
            raise InvalidRequest("too large", code="too_large", status=413)
        refused = self.refused & set(told)
        if refused and (self.refuses_whole or len(told) == 1):
            raise InvalidRequest("no", code="refused")
        self._keep({key: content for key, content in told.items() if key not in refused})
        keys = [event.event_id for event in op.events]
        items = [
            EventResult(index=index, event_id=key, error="no" if key in refused else None)
            for index, key in enumerate(keys)
        ]
        return EventResults(accepted=len(keys) - len(refused), items=items)

    def _keep(self, told: dict[str, bytes]) -> None:
        for key, content in told.items():
            if self.kept.setdefault(key, content) != content:
                self.changed.append(key)
            if key not in self.order:
                self.order.append(key)
        if self.silent:
            self.silent -= 1
            raise TransientNetworkError("the answer was lost")

    def _list(self, op: ListObjects) -> Page[LakeObject]:
        self._weather_says({})
        found = [
            _object(op.namespace, op.bucket, name, content)
            for name, content in sorted(self.kept.items())
            if name.startswith(op.prefix)
        ]
        return Page(items=found[: op.limit])


def _each(op: Op[object]) -> list[Op[object]]:
    return [_event(op.namespace, item) for item in op.events] if isinstance(op, LogEvents) else [op]


def _event(namespace: str, item: EventItem) -> LogEvent:
    return LogEvent(
        namespace=namespace,
        event_type=item.event_type,
        data=item.data,
        job_name=item.job_name,
        run_id=item.run_id,
        event_id=item.event_id,
        created_at=item.created_at,
    )


def _object(namespace: str, bucket: str, name: str, content: bytes) -> LakeObject:
    return LakeObject(
        bucket=bucket,
        object=name,
        namespace=namespace,
        uri=object_uri(bucket, name),
        size_bytes=len(content),
        sha256=sha256(content).hexdigest(),
        created_at=utc_now(),
    )
