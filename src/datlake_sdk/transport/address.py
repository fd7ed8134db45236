"""A server's address as the user wrote it, checked and taken apart, and the proxy that leads there."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from msgspec import Struct

from datlake_sdk.errors import ConfigError
from datlake_sdk.wire.http import API_PREFIX

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ServerAddress(Struct, frozen=True):
    """Scheme, host and the path under which the API lives; `shown` is what messages say."""

    scheme: str
    host: str
    origin: str
    path: str

    @classmethod
    def parse(cls, base_url: str) -> ServerAddress:
        """The address that `base_url` names. Raises `ConfigError` where it cannot be used; secrets are not repeated."""
        try:
            parts = urlsplit(base_url.strip())
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _unusable(f"it cannot be read ({error})") from error
        if parts.scheme not in {"http", "https"} or not host:
            raise _unusable("it must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise _unusable("it holds a user or password; pass the key as DATLAKE_API_KEY, addresses end up in logs")
        if parts.query or parts.fragment:
            raise _unusable("it holds `?` or `#`; give the address of the server alone")
        if not parts.path.isascii() or " " in parts.path or not host.isprintable():
            raise _unusable("percent-encode what is not ASCII in it")
        shown_host = f"[{host}]" if ":" in host else host
        origin = f"{parts.scheme}://{shown_host}" + ("" if port is None else f":{port}")
        return cls(parts.scheme, host, origin, parts.path.rstrip("/").removesuffix(API_PREFIX))

    @property
    def shown(self) -> str:
        """The address as messages show it."""
        return self.origin + self.path

    def url(self, target: str) -> str:
        """The whole address of a target, without its query: that may hold what does not belong in a message."""
        return self.shown + target.partition("?")[0]


def proxy_for(address: ServerAddress) -> str | None:
    """The proxy that the environment names for `address`, null where there is none. A loopback needs none."""
    if address.host in _LOOPBACK or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(address.host):
        return None
    proxies = getproxies()
    return proxies.get(address.scheme) or proxies.get("all")


def _unusable(why: str) -> ConfigError:
    return ConfigError(
        f"the server's address (base_url or DATLAKE_API_URL) cannot be used: {why}; example: https://datlake.example.com"
    )
