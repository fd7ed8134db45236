"""What a queue says that takes nothing more. A file of its own: the outbox knows it before it loads a queue."""

from __future__ import annotations


class QueueClosedError(Exception):
    """The queue was closed; a new one takes what comes."""
