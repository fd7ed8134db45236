"""Where to forward to, as `--forward-openlineage` names it: an address or a file. Holds no key, but its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from datlake_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SETTING: Final = "DATLAKE_FORWARD_OPENLINEAGE"
# Where consumers take events, unless the address says otherwise.
ENDPOINT: Final = "/api/v1/lineage"
_KEY: Final = "key="
_EXAMPLE: Final = (
    "https://lineage.example.com, file:/var/log/lineage.ndjson, or https://lineage.example.com#key=VARIABLE"
)


class Target(Struct, frozen=True):
    """One target. `name` is what is shown, and what its place is kept under; `key_variable` names where its key is."""

    name: str
    path: str | None = None
    key_variable: str | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """The target that `text` names. Raises `ConfigError` without repeating what may be secret."""
        address, _, fragment = text.strip().partition("#")
        if fragment and not fragment.startswith(_KEY):
            raise _unusable("what follows # is key=VARIABLE, the name of an environment variable")
        variable = fragment.removeprefix(_KEY) or None
        if address.startswith("file:"):
            return cls(*_file(address.removeprefix("file:"), variable))
        return cls(_endpoint(address), None, variable)

    def key(self, environment: Mapping[str, str]) -> str | None:
        """The key, null where none is named. Raises `ConfigError` where the variable that is named holds none."""
        if self.key_variable is None:
            return None
        key = environment.get(self.key_variable, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigError(f"{self.key_variable}, which is to hold the key for {self.name}, holds none; set it")
        return key


def targets_from(options: Sequence[str], environment: Mapping[str, str]) -> list[Target]:
    """The targets that were asked for, by options or else by the environment; each once. Raises `ConfigError`."""
    told = list(options) or environment.get(SETTING, "").split(",")
    found = {target.name: target for text in told if text.strip() for target in [Target.parse(text)]}
    for target in found.values():
        target.key(environment)
    return list(found.values())


def _file(path: str, variable: str | None) -> tuple[str, str]:
    path = unquote(path.removeprefix("//"))
    if variable is not None:
        raise _unusable("a file takes no key")
    if not os.path.isabs(path):
        raise _unusable("file: needs an absolute path")
    return f"file:{path}", path


def _endpoint(address: str) -> str:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise _unusable("the address cannot be read") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _unusable("it must begin with http://, https:// or file:/")
    if parts.username is not None or parts.password is not None or parts.query:
        raise _unusable("it must hold no user, password or query; name the variable of its key as #key=VARIABLE")
    if not parts.path.isascii() or " " in parts.path or not parts.hostname.isprintable():
        raise _unusable("percent-encode what is not ASCII in it")
    path = parts.path.rstrip("/")
    if path in {"", "/api/v1"}:
        path = ENDPOINT
    return f"{parts.scheme}://{parts.netloc}{path}"


def _unusable(why: str) -> ConfigError:
    return ConfigError(f"a target of --forward-openlineage ({SETTING}) cannot be used: {why}; examples: {_EXAMPLE}")
