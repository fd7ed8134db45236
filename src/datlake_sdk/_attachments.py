"""What a job attaches: kept while it runs, uploaded and linked at its completion. A failure is told, not fatal."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from datlake_sdk.errors import DatlakeError, TransientNetworkError

if TYPE_CHECKING:
    from datlake_sdk._recorder import Recorder
    from datlake_sdk.client import DatlakeClient
    from datlake_sdk.wire.models import Artifact


class Bucket(NamedTuple):
    """Where a run's files go: into the run's own namespace."""

    namespace: str
    name: str


class Attachment:
    """A file that becomes an artifact. `is_ours` marks a temporary file that is removed once it is shipped."""

    __slots__ = ("is_ours", "key", "name", "path", "type")

    def __init__(self, path: str, key: str, name: str, type: str, *, is_ours: bool = False) -> None:  # noqa: A002
        """Remembers where the file is and what it will be called."""
        self.path = path
        self.key = key
        self.name = name
        self.type = type
        self.is_ours = is_ours

    def remove_ours(self) -> None:
        """A temporary file is gone; a user's stays."""
        if self.is_ours:
            with suppress(OSError):
                os.unlink(self.path)


@runtime_checkable
class _SavesFigure(Protocol):
    def savefig(self, path: str, *, format: str) -> object: ...  # noqa: A002 -- matplotlib's name


@runtime_checkable
class _WritesHtml(Protocol):
    def to_html(self) -> str: ...


def write_temporary(data: bytes) -> str:
    """The path of a new private file that holds `data`."""
    from tempfile import mkstemp

    file, path = mkstemp(prefix="datlake-")
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
    return path


def figure_file(figure: object) -> tuple[str, str]:
    """The (path, type) of a file that shows `figure`: matplotlib's as PNG, anything with `to_html` as HTML."""
    if isinstance(figure, _SavesFigure):
        path = write_temporary(b"")
        figure.savefig(path, format="png")
        return path, "png"
    if isinstance(figure, _WritesHtml):
        return write_temporary(figure.to_html().encode()), "html"
    message = f"a {type(figure).__name__} has neither savefig nor to_html; save it to a file and attach that"
    raise TypeError(message)


def upload_all(
    client: DatlakeClient,
    recorder: Recorder,
    bucket: Bucket,
    attachments: list[Attachment],
    patience_s: float,
    *,
    reachable: bool,
) -> list[Artifact]:
    """The artifacts of what could be uploaded; the rest is told. Temporary files are removed either way."""
    found: list[Artifact] = []
    for each in attachments:
        try:
            if reachable:
                found.append(_upload(client, bucket, each, patience_s))
            else:
                recorder.warn(f"{each.type} {each.name!r} was not uploaded: the lake is away")
        except (DatlakeError, OSError) as error:
            reason = error.message if isinstance(error, DatlakeError) else (error.strerror or str(error))
            recorder.warn(f"{each.type} {each.name!r} was not uploaded: {reason}")
            reachable = not isinstance(error, TransientNetworkError)  # else each of them would wait as long
        finally:
            each.remove_ours()
    return found


def _upload(client: DatlakeClient, bucket: Bucket, item: Attachment, patience_s: float) -> Artifact:
    from datlake_sdk.wire.models import Artifact

    stored = client.put_object(bucket.name, item.key, item.path, namespace=bucket.namespace, timeout=patience_s)
    return Artifact(type=item.type, uri=stored.uri, name=item.name, size_bytes=stored.size_bytes, sha256=stored.sha256)
