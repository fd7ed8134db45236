"""Which configuration files speak of Datlake, and what they say, unread: {name: value} as TOML has it.

`settings.py` calls it; tomllib is imported only when there is a file to read.
"""

from __future__ import annotations

import os
import stat
from typing import cast

from datlake_sdk.errors import ConfigError

__all__ = ["project_table", "table_of"]


def project_table(folder: str) -> tuple[str, dict[str, object]] | None:
    """The nearest file from the folder upwards that speaks of us, as (path, table)."""
    while True:
        for name in ("datlake.toml", "pyproject.toml"):
            path = os.path.join(folder, name)
            if not _is_planted(path, folder) and (found := table_of(path)):
                return found
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _is_planted(path: str, folder: str) -> bool:
    """True for a file of somebody else's in a folder that everybody may write to, as /tmp is.

    It could send the jobs of others, and the key from their environment, to an address of its writer's choice.
    """
    if not hasattr(os, "getuid"):
        return False
    try:
        owner, everybody_writes = os.stat(path).st_uid, bool(os.stat(folder).st_mode & stat.S_IWOTH)
    except OSError:
        return False
    return everybody_writes and owner not in (os.getuid(), 0)


def table_of(path: str) -> tuple[str, dict[str, object]] | None:
    """The file as (path, its settings); `None` without one, or where pyproject.toml is silent."""
    shared = os.path.basename(path) == "pyproject.toml"
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A job that dropped its privileges often keeps a HOME that it may not enter: there is no file of its own then.
        if shared or not os.access(os.path.dirname(path), os.X_OK):
            return None
        raise ConfigError(f"{path} cannot be read ({error.strerror}): make it readable, or move it away.") from error
    # Somebody else's pyproject.toml, even a broken one, is none of our business.
    if shared and b"datlake" not in content:
        return None
    document = _parsed(path, content)
    table = _section(document, "tool", "datlake") if shared else document
    return None if table is None else (path, table)


def _parsed(path: str, content: bytes) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Correct it, or move it away.") from error


def _section(document: dict[str, object], *names: str) -> dict[str, object] | None:
    for name in names:
        inner = document.get(name)
        if not isinstance(inner, dict):
            return None
        document = cast("dict[str, object]", inner)
    return document
