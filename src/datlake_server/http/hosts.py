"""Which names a server that has no keys answers to. A foreign name that is pointed at loopback reaches it otherwise.

A page of `evil.example` whose name is made to resolve to 127.0.0.1 is of the same origin as this server, to a browser;
what gives it away is the `Host` that it has to send.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from datlake_sdk.errors import AuthError

SETTING: Final = "DATLAKE_ALLOWED_HOSTS"
_USUAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Hosts:
    """The loopback names, and those that were allowed beside them, with any port where none is given."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Allows `allowed`, written as in a `Host` header."""
        self._allowed = frozenset(name.strip().lower() for name in allowed)

    def refuse_foreign(self, host: str) -> None:
        """Nothing, where `host` (a `Host` header) is one of them. Raises `AuthError`."""
        written = host.strip().lower()
        name = _without_port(written)
        if _is_loopback(name) or not self._allowed.isdisjoint({written, name, f"[{name}]"}):
            return
        message = (
            f"this lake does not answer to the name {host[:100]!r}, only to loopback: a web page could reach it by "
            f"another; for a proxy's name set {SETTING}, comma separated"
        )
        raise AuthError(message, code="foreign_host", status=403)


def hosts_from(setting: str) -> list[str]:
    """The names in a comma separated list."""
    return [name for part in setting.split(",") if (name := part.strip())]


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_loopback(name: str) -> bool:
    if name in _USUAL:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
