"""Which transport an address asks for: a server's for `http(s)://`, the embedded lake's for a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_sdk._lazy import loading

if TYPE_CHECKING:
    from datlake_sdk.settings import Settings
    from datlake_sdk.transport.base import Transport


def is_server(address: str | None) -> bool:
    """True where `address` names a server."""
    return address is not None and address.startswith(("http://", "https://"))


def transport_for(settings: Settings) -> Transport:
    """The transport to the lake that `settings` name; opens nothing yet."""
    if settings.api_url is not None and is_server(settings.api_url):
        with loading():
            from datlake_sdk.transport.http import HttpTransport

        return HttpTransport(settings.api_url, api_key=settings.api_key)
    with loading():
        from datlake_sdk.transport.embedded import EmbeddedTransport

    return EmbeddedTransport(settings.api_url or settings.home)
