"""The rules of the lake: synchronous functions `fn(tx, op, caller) -> answer`, one per operation."""
