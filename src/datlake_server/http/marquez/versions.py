"""Versions of jobs: what a job read and wrote, and where its code is, make an id that stays the same for the same."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import UNSET, Struct

from datlake_server.http.marquez.shapes import Id, Text

if TYPE_CHECKING:
    from collections.abc import Iterable


class Content(Struct, frozen=True):
    """What a version of a job is made of: datasets by name, without repetition, in order."""

    inputs: tuple[Id, ...]
    outputs: tuple[Id, ...]

    def id_for(self, job: Id, location: Text) -> str:
        """The version's id for this job and place of its code."""
        names = [[one.namespace, one.name] for one in (*self.inputs, *self.outputs)]
        place = None if location is UNSET else location
        told = [job.namespace, job.name, len(self.inputs), names, place]
        return str(uuid5(NAMESPACE_URL, f"marquez:job:{msgspec.json.encode(told).decode()}"))


def content(inputs: Iterable[Id], outputs: Iterable[Id]) -> Content:
    """What a version is made of, whatever order it is told in."""
    return Content(tuple(sorted(set(inputs))), tuple(sorted(set(outputs))))
