"""Marquez's graph of columns: Datlake's own, in its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datlake_server.http.marquez.asking import Reply

if TYPE_CHECKING:
    from datlake_server.http.marquez.asking import Ask
    from datlake_server.lake import Lake


def get(lake: Lake, ask: Ask) -> Reply:
    """The columns around the node that `nodeId` names."""
    del lake, ask
    return Reply({"graph": []})
