"""Lineage-tracked data jobs: which run wrote this, from exactly what, with which code, and where is its log."""

from __future__ import annotations

__version__ = "0.1.0"
