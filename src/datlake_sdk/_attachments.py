"""What a job attaches: kept while it runs, uploaded and linked at its completion. A failure is told, not fatal."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import msgspec

from datlake_sdk._identity import fitting
from datlake_sdk.errors import AuthError, ConfigError, DatlakeError, ServerError, TransientNetworkError
from datlake_sdk.jsonable import jsonable
from datlake_sdk.wire.ids import artifact_key, object_uri
from datlake_sdk.wire.models import Artifact

if TYPE_CHECKING:
    from datlake_sdk._recorder import Recorder
    from datlake_sdk.client import DatlakeClient


class Bucket(NamedTuple):
    """Where a run's files go: into the run's own namespace."""

    client: DatlakeClient
    namespace: str
    name: str


class Attachments:
    """What one run attaches, in order. Nothing here raises: what cannot be kept or uploaded is told."""

    def __init__(self, job_name: str, run_id: str, recorder: Recorder) -> None:
        """Begins with nothing attached."""
        self._job_name = job_name
        self._run_id = run_id
        self._recorder = recorder
        self._items: list[Attachment] = []

    def add(self, path: str | os.PathLike[str], name: str | None, kind: str | None, *, is_ours: bool = False) -> None:
        """Marks a file for upload, by its own name and ending where none is given."""
        if self._recorder.is_disabled:
            return
        try:
            path = os.fsdecode(path)
        except TypeError:
            self._recorder.warn(f"{path!r:.80} was not attached: it is no path")
            return
        name = self._free_name(fitting(name or os.path.basename(path), "artifact"))
        kind = fitting(kind or os.path.splitext(path)[1].lstrip(".").lower(), "file")
        key = artifact_key(self._job_name, self._run_id, name)
        self._items.append(Attachment(os.path.abspath(path), key, name, kind, is_ours=is_ours))

    def add_bytes(self, name: str, data: bytes, kind: str) -> None:
        """Keeps bytes for upload."""
        if self._recorder.is_disabled:
            return
        try:
            self.add(_temporary(data), name, kind, is_ours=True)
        except OSError as error:
            self._recorder.warn(f"{kind} {name!r} was not kept: {error.strerror}")

    def add_json(self, name: str, value: object) -> None:
        """Keeps a value as JSON for upload, as it is now."""
        self.add_bytes(name, msgspec.json.format(msgspec.json.encode(jsonable(value))), "json")

    def add_figure(self, name: str, figure: object) -> None:
        """Keeps a figure for upload, as it is now."""
        try:
            path, kind = _figure_file(figure)
            self.add(path, name, kind, is_ours=True)
        except Exception as error:  # noqa: BLE001 -- a plotting library may raise anything, and the job comes first
            self._recorder.warn(f"figure {name!r} was not kept: {error}")

    def let_go(self, log: Attachment | None) -> None:
        """Temporary files are removed, the log's too; nothing is uploaded any more."""
        for each in [log, *self._items] if log else self._items:
            each.remove_ours()
        self._items.clear()

    def upload(self, bucket: Bucket, log: Attachment | None, patience_s: float, *, reachable: bool) -> list[Artifact]:
        """The artifacts of what could be uploaded or is kept for later, the log first; temporary files are removed."""
        found: list[Artifact] = []
        for each in [log, *self._items] if log else self._items:
            try:
                if reachable:
                    found.append(_upload(bucket, each, patience_s))
                else:
                    found.extend(self._kept(bucket, each))
            except (TransientNetworkError, ServerError, AuthError, ConfigError) as error:
                reachable = False  # else each of them would wait as long
                self._recorder.missed(error)
                found.extend(self._kept(bucket, each))
            except (DatlakeError, OSError) as error:
                reason = error.message if isinstance(error, DatlakeError) else (error.strerror or str(error))
                self._recorder.warn(f"{each.type} {each.name!r} was not uploaded: {reason}")
            finally:
                each.remove_ours()
        return found

    def _kept(self, bucket: Bucket, item: Attachment) -> list[Artifact]:
        """The artifact that the file will be, its bytes in the outbox; none where it does not fit."""
        from datlake_sdk._outbox.parcels import UploadParcel

        parcel = UploadParcel(
            namespace=bucket.namespace,
            bucket=bucket.name,
            object_name=item.key,
            spool="",
            size_bytes=0,
            sha256="",
            run_id=self._run_id,
            is_log=item.type == "log",
        )
        kept = self._recorder.keep_file(parcel, item.path)
        if kept is None:
            self._recorder.warn(f"{item.type} {item.name!r} was not uploaded, and the outbox could not keep it")
            return []
        uri = object_uri(bucket.name, item.key)
        return [Artifact(type=item.type, uri=uri, name=item.name, size_bytes=kept.size_bytes, sha256=kept.sha256)]

    def _free_name(self, name: str) -> str:
        """`name`, numbered where another attachment has it: `out.csv` of two folders are two files."""
        taken = {each.name for each in self._items}
        stem, dot, ending = name.rpartition(".")
        numbered = (f"{stem}-{number}{dot}{ending}" if stem else f"{name}-{number}" for number in count(2))
        return name if name not in taken else next(each for each in numbered if each not in taken)


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


def _temporary(data: bytes) -> str:
    """The path of a new private file that holds `data`."""
    from tempfile import mkstemp

    file, path = mkstemp(prefix="datlake-")
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
    return path


def _figure_file(figure: object) -> tuple[str, str]:
    """The (path, type) of a file that shows `figure`: matplotlib's as PNG, anything with `to_html` as HTML."""
    if isinstance(figure, _SavesFigure):
        path = _temporary(b"")
        figure.savefig(path, format="png")
        return path, "png"
    if isinstance(figure, _WritesHtml):
        return _temporary(figure.to_html().encode()), "html"
    message = (
        f"an object of type {type(figure).__name__} has neither savefig nor to_html; save it to a file and attach that"
    )
    raise TypeError(message)


def _upload(bucket: Bucket, item: Attachment, patience_s: float) -> Artifact:
    stored = bucket.client.put_object(bucket.name, item.key, item.path, namespace=bucket.namespace, timeout=patience_s)
    return Artifact(type=item.type, uri=stored.uri, name=item.name, size_bytes=stored.size_bytes, sha256=stored.sha256)
