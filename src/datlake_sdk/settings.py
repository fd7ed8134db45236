"""Every setting, its default and where its value came from.

Arguments > environment > the nearest `datlake.toml` or `[tool.datlake]` > the user's own file > default. The client and
`datlake config show` call `load_settings` once; nothing here opens a connection, makes a folder or shows a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from datlake_sdk._settings_files import project_table, table_of
from datlake_sdk._settings_values import (
    Given,
    UnreadableError,
    expanded,
    read_api_url,
    read_flag,
    read_folder,
    read_key,
    read_name,
    read_on_unavailable,
    read_size_mb,
    read_timeout_s,
)
from datlake_sdk.errors import ConfigError

__all__ = ["LoadedSettings", "Settings", "ShownSetting", "load_settings"]

StrPath: TypeAlias = str | os.PathLike[str]

HIDDEN = "set (hidden)"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in force; its repr never shows the key. Folders are absolute paths."""

    api_url: str | None
    api_key: str | None
    artifact_bucket: str
    timeout_s: float
    log_ship: bool
    namespace: str
    home: str
    outbox_dir: str
    outbox_limit_mb: int
    on_unavailable: Literal["defer", "raise"]
    openlineage: bool
    disabled: bool

    def __repr__(self) -> str:
        """The settings with the key hidden, so that a traceback or a log line may hold them."""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The same for rich, which would otherwise read the fields by itself."""
        return [(name, _shown(name, getattr(self, name))) for name in self.__struct_fields__]


class ShownSetting(msgspec.Struct, frozen=True):
    """One line of `datlake config show`; a secret's `value` says only that it is set."""

    name: str
    variable: str
    value: object
    source: str
    meaning: str


class LoadedSettings(msgspec.Struct, frozen=True):
    """The settings in force and, by name, the source of each.

    A source reads "argument", "environment DATLAKE_X", "file /path/datlake.toml" or "default".
    """

    settings: Settings
    sources: dict[str, str]

    def rows(self) -> list[ShownSetting]:
        """Every setting with its value, source and meaning, in the order of the documentation; secrets hidden."""
        return [
            ShownSetting(
                each.name,
                each.variable,
                _shown(each.name, getattr(self.settings, each.name)),
                self.sources[each.name],
                each.meaning,
            )
            for each in DESCRIPTORS
        ]


class _Descriptor(msgspec.Struct, frozen=True):
    """A setting: how it is named, read, defaulted and explained (the default's unit and its reason)."""

    name: str
    variable: str
    parse: Callable[[Given], object]
    default: object
    meaning: str


def _shown(name: str, value: object) -> object:
    return HIDDEN if name == "api_key" and value is not None else value


# --- the table --------------------------------------------------------------------------------------------------------

_OFF = False
_ON = True

DESCRIPTORS = (
    _Descriptor(
        "api_url",
        "DATLAKE_API_URL",
        read_api_url,
        None,
        "the server's URL, or the folder of an embedded lake; unset is the embedded lake in home: no setup needed",
    ),
    _Descriptor(
        "api_key", "DATLAKE_API_KEY", read_key, None, "the key sent to the server; a lake without keys needs none"
    ),
    _Descriptor(
        "artifact_bucket",
        "DATLAKE_ARTIFACT_BUCKET",
        read_name,
        "artifacts",
        "where logs and attachments go; one bucket, so that they are found together",
    ),
    _Descriptor(
        "timeout_s",
        "DATLAKE_DEFAULT_TIMEOUT_MS",
        read_timeout_s,
        5.0,
        "seconds in all for a call that needs an answer (milliseconds in the environment); one slow fsync on a busy "
        "disk is about 1 s, so five is patience, not hope",
    ),
    _Descriptor(
        "log_ship",
        "DATLAKE_LOG_SHIP",
        read_flag,
        _OFF,
        "ship the log of every run; off, because logs may hold private data",
    ),
    _Descriptor(
        "namespace",
        "DATLAKE_NAMESPACE",
        read_name,
        "default",
        "where names of jobs and tables are looked up; one is enough to start",
    ),
    _Descriptor(
        "home",
        "DATLAKE_HOME",
        read_folder,
        "~/.datlake",
        "the folder of the embedded lake; outlives the job",
    ),
    _Descriptor(
        "outbox_dir",
        "DATLAKE_OUTBOX_DIR",
        read_folder,
        None,
        "where what cannot be delivered waits; $DATLAKE_HOME/outbox, beside the lake",
    ),
    _Descriptor(
        "outbox_limit_mb",
        "DATLAKE_OUTBOX_LIMIT_MB",
        read_size_mb,
        256,
        "MiB that events, logs and attachments may fill of the outbox; what starts, registers and ends is always kept",
    ),
    _Descriptor(
        "on_unavailable",
        "DATLAKE_ON_UNAVAILABLE",
        read_on_unavailable,
        "defer",
        "what an unreachable backend does; defer, because the job comes first",
    ),
    _Descriptor(
        "openlineage",
        "DATLAKE_OPENLINEAGE",
        read_flag,
        _ON,
        "tell an OpenLineage consumer of every run, where OPENLINEAGE_* variables or an openlineage.yml name one",
    ),
    _Descriptor(
        "disabled",
        "DATLAKE_DISABLED",
        read_flag,
        _OFF,
        "record nothing; table reads still resolve, so the job still works",
    ),
)


def load_settings(
    arguments: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: StrPath | None = None,
    user_config: StrPath | None = None,
) -> LoadedSettings:
    """The settings in force and the source of each; reads the environment and at most two files.

    `arguments` are by setting name (`timeout_s`, in seconds); one that is `None` was not given. Relative folders start
    from the working directory, or from the folder of the file that names them.

    Raises:
        ConfigError: a value cannot be used, a setting is unknown, a key stands in pyproject.toml, or no home is known.
    """
    environ = os.environ if environ is None else environ
    here, home = _working_directory(cwd), _home_directory(environ)
    layers = [_from_arguments(arguments or {}, here, home), _from_environment(environ, here, home)]
    layers.extend(_from_files(here, home, _user_file(user_config, environ, home)))
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for each in DESCRIPTORS:
        given = next((layer[each.name] for layer in layers if each.name in layer), None)
        values[each.name] = _default(each, values, home) if given is None else _read(each, given)
        sources[each.name] = "default" if given is None else given.source
    return LoadedSettings(msgspec.convert(values, Settings), sources)


def _read(each: _Descriptor, given: Given) -> object:
    try:
        return each.parse(given)
    except UnreadableError as why:
        message = f"{given.label}{_told(each, given.value)} cannot be used: expected {why.expected}."
        raise ConfigError(message) from None


def _told(each: _Descriptor, value: object) -> str:
    """The value as an error may show it: never a key, nor a password in a URL."""
    from datlake_sdk.redaction import redact_text

    return "" if each.name == "api_key" else f"={redact_text(repr(value))[:200]}"


def _default(each: _Descriptor, values: Mapping[str, object], home: str | None) -> object:
    if each.name == "outbox_dir":
        return os.path.join(str(values["home"]), "outbox")
    if each.name == "home" and home is None:
        if str(values["api_url"] or "").startswith(("http://", "https://")):
            return os.path.join(_temporary_folder(), f"datlake-{os.getuid() if hasattr(os, 'getuid') else 'user'}")
        raise ConfigError(
            "No home directory is known for this user: set DATLAKE_HOME to a folder the job may write to.",
            code="no_home",
        )
    return expanded(each.default, home) if each.name == "home" and isinstance(each.default, str) else each.default


def _temporary_folder() -> str:
    from tempfile import gettempdir

    return gettempdir()


# --- where values are found -------------------------------------------------------------------------------------------


def _working_directory(cwd: StrPath | None) -> str | None:
    try:
        return os.path.abspath(cwd) if cwd is not None else os.getcwd()
    except OSError:  # it was removed under the process: files and relative paths mean nothing then
        return None


def _home_directory(environ: Mapping[str, str]) -> str | None:
    named = environ.get("HOME") or environ.get("USERPROFILE")
    if named:
        return named if os.path.isabs(named) else None
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir or None
    except (ImportError, KeyError):  # a container often runs as a uid nobody knows
        return None


def _from_arguments(arguments: Mapping[str, object], base: str | None, home: str | None) -> dict[str, Given]:
    for name in arguments:
        _require_known(name, "the arguments")
    return {name: Given(value, "argument", name, base, home) for name, value in arguments.items() if value is not None}


def _from_environment(environ: Mapping[str, str], base: str | None, home: str | None) -> dict[str, Given]:
    return {
        each.name: Given(text, f"environment {each.variable}", each.variable, base, home, in_ms=True)
        for each in DESCRIPTORS
        if (text := environ.get(each.variable, "").strip())
    }


def _user_file(user_config: StrPath | None, environ: Mapping[str, str], home: str | None) -> str | None:
    if user_config is not None:
        return os.path.abspath(user_config)
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # the XDG specification: a relative one is to be ignored
        folder = os.path.join(home, ".config") if home is not None else ""
    return os.path.join(folder, "datlake", "config.toml") if folder else None


def _from_files(here: str | None, home: str | None, user_file: str | None) -> Iterator[dict[str, Given]]:
    tables = [project_table(here)] if here is not None else []
    if user_file is not None:
        tables.append(table_of(user_file))
    for found in tables:
        if found is not None:
            path, table = found
            yield {name: _from_file(path, name, value, home) for name, value in table.items()}


def _from_file(path: str, name: str, value: object, home: str | None) -> Given:
    _require_known(name, path)
    if name == "api_key" and os.path.basename(path) == "pyproject.toml":
        raise ConfigError(
            f"{path} holds api_key, and a file that is shared with the code must not: take it out, have the key "
            "replaced, and set DATLAKE_API_KEY or put api_key in your own config file."
        )
    return Given(value, f"file {path}", f"{name} in {path}", os.path.dirname(path), home)


def _require_known(name: str, place: str) -> None:
    known = {each.name: each.name for each in DESCRIPTORS}
    if name in known:
        return
    from difflib import get_close_matches

    # People type the variable's name, too: default_timeout_ms is timeout_s.
    known.update({each.variable.removeprefix("DATLAKE_").lower(): each.name for each in DESCRIPTORS})
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {known[near[0]]}?" if near else f"known are {', '.join(sorted(set(known.values())))}."
    raise ConfigError(f"{place} holds an unknown setting {name!r}: {hint}")
