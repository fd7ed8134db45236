"""What facets say that Marquez shows as fields of its own. Reads stored JSON; what is odd in it says nothing."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import UNSET, Raw, Struct

from datlake_sdk.wire import codec
from datlake_server.http.marquez.shapes import Facets, JobType, Moment, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datlake_server.store.base import Tx

# What Marquez's clients tell and no facet of the specification has a place for, in facets of our own.
DATASET: Final = "marquez_dataset"
JOB: Final = "marquez_job"
RUN: Final = "marquez_run"
# Facets of an output that are of its dataset, and not of the writing.
OF_DATASET: Final = frozenset({"schema", "columnLineage", "version", "lineage", "storage"})
_JOB_TYPES: Final[dict[str, JobType]] = {"STREAMING": "STREAM", "STREAM": "STREAM", "SERVICE": "SERVICE"}


class _Facet(Struct, frozen=True):
    subject: int
    name: str
    value: str


def of_subjects(tx: Tx, kind: str, subjects: Iterable[int]) -> defaultdict[int, Facets]:
    """The facets of jobs (`job`) or tables (`dataset`), by their numbers."""
    found: defaultdict[int, Facets] = defaultdict(dict)
    wanted = msgspec.json.encode(sorted(subjects)).decode()
    for row in tx.all(_Facet, "marquez.facets", kind=kind, subjects=wanted):
        found[row.subject][row.name] = raw(row.value)
    return found


def raw(value: str) -> Raw:
    """JSON as it was stored."""
    return Raw(value.encode())


def said(facets: Mapping[str, Raw], name: str) -> Mapping[str, object]:
    """What the facet says; nothing where it is not there."""
    found = facets.get(name)
    if found is None:
        return {}
    try:
        return msgspec.json.decode(found, type=dict[str, object])
    except codec.UNREADABLE:
        return {}


def text_of(facets: Mapping[str, Raw], name: str, key: str) -> Text:
    """The text that the facet says under `key`."""
    found = said(facets, name).get(key)
    return found if isinstance(found, str) and found else UNSET


def moment_of(facets: Mapping[str, Raw], name: str, key: str) -> Moment:
    """The time that the facet says under `key`; UTC where it names no zone."""
    text = text_of(facets, name, key)
    if text is UNSET:
        return UNSET
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return UNSET
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def job_type(facets: Mapping[str, Raw]) -> JobType:
    """What kind of job it is: a batch, where nobody tells."""
    told = text_of(facets, "jobType", "processingType")
    return _JOB_TYPES.get(told.upper(), "BATCH") if isinstance(told, str) else "BATCH"


def location(facets: Mapping[str, Raw]) -> Text:
    """Where the job's code is."""
    return text_of(facets, "sourceCodeLocation", "url")


def context(facets: Mapping[str, Raw]) -> dict[str, str]:
    """What Marquez once called the context of a job: its query, and what was told under that name."""
    told = texts(said(facets, JOB).get("context"))
    query = text_of(facets, "sql", "query")
    return {"sql": query, **told} if isinstance(query, str) else told


def texts(value: object) -> dict[str, str]:
    """The keys of a JSON object with their values as text."""
    if not isinstance(value, dict):
        return {}
    return {key: shown(one) for key, one in cast("dict[str, object]", value).items()}


def shown(value: object) -> str:
    """A JSON value as text; text as it is."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
