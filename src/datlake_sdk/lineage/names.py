"""Names as producers tell them, made such as a lake can show, search and put in an address. Pure.

The specification allows any text, and producers have sent the whole query of a JDBC read as the name of its table, and
no name at all for the root of a bucket. The events themselves are kept as they came.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from datlake_sdk.wire.ids import NAME_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

Pair = tuple[str, str]

ROOT: Final = "/"
_USABLE: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{NAME_LIMIT}}}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def known_as(told: str) -> str:
    """`told`, with a blank for each run of control characters; of what is too long the beginning and a digest."""
    if _USABLE.fullmatch(told):
        return told
    shown = _CONTROL.sub(" ", told)
    if len(shown) <= NAME_LIMIT:
        return shown
    digest = sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{shown[: NAME_LIMIT - len(digest) - 1]}~{digest}"


def dataset_known_as(told: str) -> str:
    """The name of a dataset; one without is the root of its namespace, as the specification names that."""
    return known_as(told) or ROOT


def named_dataset(told: Mapping[str, object]) -> Pair | None:
    """The dataset that `told` names; null where a part of the name is missing."""
    namespace, name = told.get("namespace"), told.get("name")
    if not isinstance(namespace, str) or not isinstance(name, str) or not namespace:
        return None
    return known_as(namespace), dataset_known_as(name)


def named_job(told: Mapping[str, object]) -> Pair | None:
    """The job that `told` names; null where a part of the name is missing or empty."""
    return named_dataset(told) if told.get("name") else None
