"""The lake a command talks to: what the command line says, over the settings that every job has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from datlake_sdk.client import DatlakeClient
from datlake_sdk.errors import NotFound

if TYPE_CHECKING:
    from datlake_sdk.cli.arguments import Arguments
    from datlake_sdk.job import JobContext
    from datlake_sdk.settings import LoadedSettings


def settings_of(arguments: Arguments) -> LoadedSettings:
    """The settings in force and their sources. Raises `ConfigError`."""
    from datlake_sdk.settings import load_settings

    return load_settings({"api_url": _address(arguments), "home": arguments.home, "namespace": arguments.namespace})


def connect(arguments: Arguments, *, namespace: str | None = None) -> DatlakeClient:
    """A client of the lake in use; nothing is opened yet. `namespace` is used where the command line names none."""
    return DatlakeClient(_address(arguments), home=arguments.home, namespace=arguments.namespace or namespace)


def connect_to_read(arguments: Arguments) -> DatlakeClient:
    """The same for commands that only read. Raises `NotFound` where a folder that was typed holds none: a typo."""
    client = connect(arguments)
    folder = client.settings.api_url or client.settings.home
    typed = client.base_url is None and (arguments.home is not None or arguments.url is not None)
    if typed and not os.path.exists(os.path.join(folder, "lake.db")):
        message = f"there is no lake in {folder} yet; make one: `datlake demo`, or `datlake run -- PROGRAM`"
        raise NotFound(message, code="lake_not_found")
    return client


def child_environment(job: JobContext) -> dict[str, str]:
    """What a child needs to find the same lake and the run it is part of; a key travels here and never in arguments."""
    from datlake_sdk._identity import PARENT_VARIABLE

    settings = job.client.settings
    found = {PARENT_VARIABLE: job.run_id}
    if settings.disabled:
        return found
    found |= {
        "DATLAKE_HOME": settings.home,
        "DATLAKE_NAMESPACE": settings.namespace,
        "DATLAKE_OUTBOX_DIR": settings.outbox_dir,
    }
    if settings.api_url is not None:
        found["DATLAKE_API_URL"] = settings.api_url
    if settings.api_key is not None:
        found["DATLAKE_API_KEY"] = settings.api_key
    return found


def _address(arguments: Arguments) -> str | None:
    """`--home` alone means the embedded lake there, whatever the environment says of a server."""
    return arguments.url if arguments.url is not None else arguments.home
