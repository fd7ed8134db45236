"""Everything awaitable: the client, its pages, and what `async with JobContext(...)` hands out."""

from __future__ import annotations

from datlake_sdk._async_job import AsyncJob
from datlake_sdk.aio_client import AsyncDatlakeClient
from datlake_sdk.aio_paging import AsyncPaged

__all__ = ["AsyncDatlakeClient", "AsyncJob", "AsyncPaged"]
