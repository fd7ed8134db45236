"""How an operation reaches a lake: in the process, or over HTTP."""
