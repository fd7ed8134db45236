"""Modules that are loaded at their first use, so that importing the SDK costs a job next to nothing."""

from __future__ import annotations


class LazyModule:
    """Stands for the module `name` and loads it when something of it is asked for. Type checkers see the real one."""

    def __init__(self, name: str) -> None:
        """Remembers `name`; loads nothing."""
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        """The module's attribute; the first use imports the module."""
        from importlib import import_module

        value: object = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
