"""Time on the wire is RFC 3339 in UTC; inside it is an integer of microseconds since 1970. Pure conversions."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Final

from msgspec import Meta

Time = Annotated[datetime, Meta(tz=True)]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 -- `datetime.UTC` is the same object, one import more
_TICK: Final = timedelta(microseconds=1)
_EARLIEST_US: Final = 0
_LATEST_US: Final = 253_402_300_799_999_999  # the last microsecond of year 9999


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware `moment`, held within 1970 to 9999 so that it can always be shown again."""
    return min(max((moment - _EPOCH) // _TICK, _EARLIEST_US), _LATEST_US)


def moment(micros_utc: int) -> datetime:
    """The aware UTC datetime of `micros_utc`."""
    return _EPOCH + timedelta(microseconds=micros_utc)


def utc_now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(timezone.utc)  # noqa: UP017 -- as above
