"""`datlake config show`: each setting with its value and where it came from; secrets are hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk.cli.connection import settings_of
from datlake_sdk.cli.exits import OK
from datlake_sdk.cli.text import columns, say, say_json

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Arguments


def show(arguments: Arguments) -> int:
    """Lists the settings in force."""
    rows = settings_of(arguments).rows()
    if arguments.json:
        say_json({"items": rows})
        return OK
    say(
        *columns(
            ("SETTING", "VALUE", "FROM", "ENVIRONMENT"), [(r.name, _value(r.value), r.source, r.variable) for r in rows]
        )
    )
    return OK


def _value(value: object) -> str:
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else str(value)
