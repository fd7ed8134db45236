"""How the value of a setting is read, whatever it came from: pure functions that refuse what they cannot read.

`settings.py` calls them and turns `UnreadableError` into an error that names the setting and the value.
"""

from __future__ import annotations

# pathlib would cost the import of the SDK several milliseconds; os.path is loaded already.
import os
from typing import cast

import msgspec

__all__ = [
    "Given",
    "UnreadableError",
    "expanded",
    "read_api_url",
    "read_flag",
    "read_folder",
    "read_key",
    "read_name",
    "read_on_unavailable",
    "read_timeout_s",
]

_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off"))
_TIMEOUT_LIMIT_S = 3600.0
_SIZE_LIMIT_MB = 1 << 20
_NAME_LIMIT = 256


class UnreadableError(ValueError):
    """The value is not what was expected; `expected` completes "expected …"."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


class Given(msgspec.Struct, frozen=True):
    """A value as it was found: its source for people, its name there, and the folder relative paths start from."""

    value: object
    source: str
    label: str
    base: str | None
    home: str | None
    in_ms: bool = False


def read_flag(given: Given) -> bool:
    """The truth of 1, true, yes, on and their opposites, in any case."""
    word = str(given.value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise UnreadableError("1, 0, true, false, yes, no, on or off")


def read_name(given: Given) -> str:
    """The name, which is 1 to 256 printable characters."""
    text = given.value
    if isinstance(text, str) and 0 < len(text) <= _NAME_LIMIT and text.isprintable():
        return text
    raise UnreadableError(f"a name of 1 to {_NAME_LIMIT} printable characters")


def read_key(given: Given) -> str:
    """The key without the blanks around it, fit for a header."""
    # A key travels in a header: anything but visible ASCII would be refused there, with a message about headers.
    text = given.value.strip() if isinstance(given.value, str) else ""
    if text and text.isascii() and text.isprintable() and " " not in text:
        return text
    raise UnreadableError("a key of visible ASCII characters without spaces")


def read_timeout_s(given: Given) -> float:
    """The time in seconds; what stands in the environment is milliseconds."""
    unit, divisor = ("milliseconds", 1000.0) if given.in_ms else ("seconds", 1.0)
    expected = f"a number of {unit} above 0, at most {_TIMEOUT_LIMIT_S * divisor:.0f}"
    if isinstance(given.value, bool) or not isinstance(given.value, str | int | float):
        raise UnreadableError(expected)
    try:
        timeout_s = float(given.value) / divisor
    except (ValueError, OverflowError):
        raise UnreadableError(expected) from None
    if not 0 < timeout_s <= _TIMEOUT_LIMIT_S:
        raise UnreadableError(expected)
    return timeout_s


def read_size_mb(given: Given) -> int:
    """The size in MiB, a whole number above 0."""
    expected = f"a whole number of MiB above 0, at most {_SIZE_LIMIT_MB:,}"
    text = str(given.value).strip()
    if isinstance(given.value, bool) or not (text.isascii() and text.isdigit()):
        raise UnreadableError(expected)
    if not 0 < int(text) <= _SIZE_LIMIT_MB:
        raise UnreadableError(expected)
    return int(text)


def read_on_unavailable(given: Given) -> str:
    """The word "defer" or "raise"."""
    word = given.value.strip().lower() if isinstance(given.value, str) else ""
    if word in ("defer", "raise"):
        return word
    raise UnreadableError("defer or raise")


def read_folder(given: Given) -> str:
    """The absolute path of the folder, `~` expanded."""
    try:
        text = os.fspath(cast("str | os.PathLike[str]", given.value))
    except TypeError:
        text = ""
    if type(text) is not str or not text or "\0" in text:
        raise UnreadableError("the path of a folder")
    path = expanded(text, given.home)
    if not os.path.isabs(path) and given.base is None:
        raise UnreadableError("an absolute path, because the working directory is gone")
    return os.path.normpath(os.path.join(given.base or "", path))


def expanded(path: str, home: str | None) -> str:
    """The path with a leading `~` or `~user` replaced."""
    if not path.startswith("~"):
        return path
    if path == "~" or path[1] in ("/", os.sep):
        if home is None:
            raise UnreadableError("an absolute path, because no home directory is known to put in place of ~")
        return home + path[1:]
    known = os.path.expanduser(path)
    if known.startswith("~"):
        raise UnreadableError("the path of a folder; that user has no home directory here")
    return known


def read_api_url(given: Given) -> str:
    """A server's URL without its last slash, or the absolute path of an embedded lake's folder."""
    text = given.value.strip() if isinstance(given.value, str) else given.value
    if not isinstance(text, str):
        return read_folder(given)
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme.lower() in ("http", "https"):
            return _server_url(text)
        if scheme.lower() == "file":
            return read_folder(msgspec.structs.replace(given, value=_path_of_file_url(rest)))
        raise UnreadableError("http://…, https://…, file://… or the path of a folder for an embedded lake")
    host, colon, port = text.partition("/")[0].rpartition(":")
    if colon and host and port.isdigit():
        raise UnreadableError(f"a URL with its scheme, such as http://{host}:{port}")
    return read_folder(msgspec.structs.replace(given, value=text))


def _path_of_file_url(rest: str) -> str:
    from urllib.parse import unquote

    host, slash, path = rest.partition("/")
    if not slash or host not in ("", "localhost"):
        raise UnreadableError("file:///path of a folder on this machine")
    return unquote("/" + path)


def _server_url(text: str) -> str:
    from urllib.parse import urlsplit

    expected = "http(s)://host, with port and path if needed"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise UnreadableError(expected) from None
    if "@" in parts.netloc:
        raise UnreadableError("a URL without user and password; the key belongs in DATLAKE_API_KEY")
    if not parts.hostname or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise UnreadableError(expected + ", without query or fragment")
    return text.rstrip("/")
