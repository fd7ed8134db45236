"""Forwards what happens in a lake to OpenLineage targets, from the server's process. No user waits for any of it."""
