"""Lineage-tracked data jobs: which run wrote this, from exactly what, with which code, and where is its log?

    with JobContext("daily_sales") as job:
        source = job.get_table_latest_uri("sales_raw")
        job.register_snapshot("sales_curated", write(transform(source)), format="parquet")

Names are loaded at their first use, so that importing this package costs a job next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datlake_sdk._current import current_job
    from datlake_sdk.aio_client import AsyncDatlakeClient
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.errors import (
        AuthError,
        ConfigError,
        Conflict,
        DatlakeError,
        InvalidRequest,
        NotFound,
        ServerError,
        TransientNetworkError,
    )
    from datlake_sdk.job import JobContext
    from datlake_sdk.tracked import tracked
    from datlake_sdk.wire.models import Artifact, DataRef

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "AsyncDatlakeClient",
    "AuthError",
    "ConfigError",
    "Conflict",
    "DataRef",
    "DatlakeClient",
    "DatlakeError",
    "InvalidRequest",
    "JobContext",
    "NotFound",
    "ServerError",
    "TransientNetworkError",
    "__version__",
    "current_job",
    "tracked",
]

_HOMES = {
    "Artifact": "wire.models",
    "AsyncDatlakeClient": "aio_client",
    "DataRef": "wire.models",
    "DatlakeClient": "client",
    "JobContext": "job",
    "current_job": "_current",
    "tracked": "tracked",
}


def __getattr__(name: str) -> object:
    """The public name, loaded from where it lives."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
