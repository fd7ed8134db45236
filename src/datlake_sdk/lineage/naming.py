"""What a URI is called as a dataset, by OpenLineage's naming rules: a store, and a name within it; and the way back.

Pure text: nothing is looked up. No password, token or signature of a URI becomes part of a name or comes back from one.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

_Style = Literal["objects", "files", "tables", "paths"]


class _Store(Struct, frozen=True):
    """How a store names its data: `objects` by keys, `files` by paths from the root, `tables` by dotted names.

    `within` is how many parts of the path belong to the store itself.
    """

    style: _Style
    scheme: str
    port: str = ""
    within: int = 0


class _Parts(Struct, frozen=True):
    """A URI taken apart; `path` has its query and fragment still."""

    scheme: str
    authority: str
    path: str
    has_authority: bool


# Compiled where they are used: a job whose tables all have names that people gave pays for none of them.
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]+(?=:)"  # of two letters or more: `C:\data` is a path
_HIDDEN: Final = (
    r"(?i).*(?:token|secret|passw|pwd|signature|credential|api-?_?key|access-?_?key|account-?_?key|authorization).*"
    r"|auth|key|sig|sas"
)
_SIGNED: Final = r"(?i)[?&](?:sig|x-amz-signature|x-goog-signature|signature)="
_PARAMETERS: Final = ("database", "databasename", "db", "catalog", "schema", "table")

_OBJECTS: Final = {
    "s3": "s3",
    "s3a": "s3",
    "s3n": "s3",
    "gs": "gs",
    "gcs": "gs",
    "abfss": "abfss",
    "abfs": "abfss",
    "wasbs": "wasbs",
    "wasb": "wasbs",
}
# Whose authority is `container@service`: what stands before the @ is no user.
_CONTAINERS: Final = frozenset({"abfss", "wasbs"})
_FILES: Final = ("hdfs", "viewfs", "dbfs")
_TABLES: Final = {
    "awsathena": "",
    "cassandra": "9042",
    "clickhouse": "",
    "crate": "",
    "db2": "50000",
    "fabric-warehouse": "",
    "hive": "10000",
    "kafka": "9092",
    "milvus": "19530",
    "mssql": "1433",
    "mysql": "3306",
    "oceanbase": "2881",
    "oracle": "1521",
    "postgres": "5432",
    "presto": "",
    "redshift": "5439",
    "snowflake": "",
    "spanner": "",
    "sqlserver": "1433",
    "teradata": "1025",
    "trino": "8080",
    "unitycatalog": "",
}
_SAME_TABLES: Final = {"postgresql": "postgres", "mariadb": "mysql", "hive2": "hive"}
_WITHIN: Final = {"azurecosmos": 2, "box": 1, "filenet": 1, "mssharepoint": 1}
# Stores that are one namespace, whatever is in them.
_PLAIN: Final = ("bigquery", "pubsub", "inmemory")
_GLUE: Final = r"(arn:aws[\w-]*:glue:[^:/]*:[^:/]*)[:/](?=.)"
_BUCKET: Final = r"arn:aws[\w-]*:s3:::(?=.)"
_REDSHIFT: Final = r"([^.:]+)\.[^.:]+\.([^.:]+)\.redshift(?:-serverless)?\.amazonaws\.com"


def dataset_name(uri: str) -> tuple[str, str]:
    """The (namespace, name) of `uri` as a dataset; what is no URI is the path of a local file."""
    if uri.startswith("arn:") and (known := _resource(uri)) is not None:
        return known
    parts = _parted(uri.removeprefix("jdbc:"))
    if parts is None:
        return "file", uri
    if parts.scheme == "file":
        return _file(parts)
    if parts.scheme in _PLAIN:
        return _plain(parts)
    store = _store_of(parts.scheme)
    if store.style == "tables":
        return _table(parts, store)
    return _path(parts, store)


def uri_of(namespace: str, name: str) -> str | None:
    """The URI of the dataset; null where its namespace is no store, but a name that people gave."""
    if namespace == "file":
        return f"file://{name}" if name.startswith("/") else None
    if namespace == "uri":
        return name if re.match(_SCHEME, name) else None
    if ":" not in namespace:
        return _bare_uri(namespace, name)
    return _glue_uri(namespace, name) if namespace.startswith("arn:") else _store_uri(namespace, name)


def without_credentials(uri: str) -> str:
    """`uri` as it was given, but for user, password, token and signature."""
    driver = "jdbc:" if uri.startswith("jdbc:") else ""
    parts = _parted(uri.removeprefix("jdbc:"))
    if parts is None:
        return uri
    path = _without_secrets(parts.path)
    scheme = uri[: len(driver) + len(parts.scheme)]  # in the case in which it was written
    if parts.has_authority:
        return f"{scheme}://{_authority(parts.authority, _store_of(parts.scheme).scheme)}{path}"
    return f"{scheme}:{re.sub('[^:]*@', '@', path) if driver else path}"


def _bare_uri(namespace: str, name: str) -> str | None:
    if namespace == "bigquery":
        return f"bigquery://{name}"
    return f"{namespace}:{name}" if namespace in {"pubsub", *_FILES} else None


def _glue_uri(namespace: str, name: str) -> str | None:
    arn = f"{namespace}:{name}"
    return arn if re.match(_GLUE, arn) else None


def _store_uri(namespace: str, name: str) -> str | None:
    parts = _parted(namespace)
    if parts is None or not parts.has_authority:
        return None
    store = f"{parts.scheme}://{_authority(parts.authority, parts.scheme)}{parts.path.rstrip('/')}"
    if name == "/":
        return store
    mark = "" if store.endswith("://") and not name.startswith("/") else "/"
    return f"{store}{mark}{_without_secrets(name.removeprefix('/'))}"


def _resource(arn: str) -> tuple[str, str] | None:
    if (glue := re.match(_GLUE, arn)) is not None:
        return glue[1], arn[glue.end() :]
    bucket = re.match(_BUCKET, arn)
    return None if bucket is None else dataset_name(f"s3://{arn[bucket.end() :]}")


def _parted(uri: str) -> _Parts | None:
    scheme = re.match(_SCHEME, uri)
    if scheme is None:
        return None
    rest = uri[scheme.end() + 1 :]
    if not rest.startswith("//"):
        return _Parts(scheme[0].lower(), "", rest, has_authority=False)
    authority = re.split(r"[/?#;]", rest[2:], maxsplit=1)[0]
    return _Parts(scheme[0].lower(), authority, rest[2 + len(authority) :], has_authority=True)


def _store_of(scheme: str) -> _Store:
    if scheme in _OBJECTS:
        return _Store("objects", _OBJECTS[scheme])
    if scheme in _FILES:
        return _Store("files", scheme)
    dialect = scheme.partition("+")[0]  # SQLAlchemy's `postgresql+psycopg`
    dialect = _SAME_TABLES.get(dialect, dialect)
    if dialect in _TABLES:
        return _Store("tables", dialect, _TABLES[dialect])
    return _Store("paths", scheme, within=_WITHIN.get(scheme, 0))


def _file(parts: _Parts) -> tuple[str, str]:
    path = _trimmed(parts.path) or "/"
    is_local = parts.authority in {"", "localhost"}
    return ("file" if is_local else f"file://{_authority(parts.authority, 'file')}"), path


def _plain(parts: _Parts) -> tuple[str, str]:
    whole = f"{parts.authority}{parts.path}".strip("/")
    name = _dotted(whole.split("/")) if parts.scheme == "bigquery" else whole
    return ("inmemory://" if parts.scheme == "inmemory" else parts.scheme), name or "/"


def _path(parts: _Parts, store: _Store) -> tuple[str, str]:
    path = _without_secrets(parts.path if store.style != "paths" else parts.path.partition("#")[0])
    names = path.lstrip("/").split("/")
    within = "".join(f"/{name}" for name in names[: store.within])
    name = "/".join(names[store.within :])
    if not parts.has_authority and store.style == "paths":
        return "uri", f"{parts.scheme}:{path}"
    namespace = f"{store.scheme}://{_authority(parts.authority, store.scheme)}" if parts.has_authority else store.scheme
    if store.style == "paths":
        return namespace + within, name or "/"
    name = _trimmed(name)
    return namespace, f"/{name}" if store.style == "files" else name or "/"


def _table(parts: _Parts, store: _Store) -> tuple[str, str]:
    parts = parts if parts.has_authority else _addressed(parts)
    path, query = _queried(parts.path)
    asked = dict(_pairs(query))
    told = [asked[name] for name in _PARAMETERS if asked.get(name)]
    # A driver's `?schema=…&table=…` goes on where the path ends.
    name = _dotted([*path.split("/"), *told])
    host = _authority(parts.authority, store.scheme).partition(",")[0]
    if store.scheme == "redshift":
        host = re.sub(_REDSHIFT, r"\1.\2", host)
    if store.scheme == "snowflake":
        host = host.partition(":")[0].removesuffix(".snowflakecomputing.com")
    has_port = ":" in host.rpartition("]")[2]
    scheme = "mssql" if store.scheme == "sqlserver" and parts.path.startswith(";") else store.scheme  # JDBC's way
    return f"{scheme}://{host}" + (f":{store.port}" if store.port and host and not has_port else ""), name or "/"


def _addressed(parts: _Parts) -> _Parts:
    """`jdbc:oracle:thin:@host:1521:sid` and its like, as if they were written with slashes."""
    place = parts.path.rpartition("@")[2].lstrip("/")
    authority, mark, path = re.sub(r"^([^:/]+:\d+):", r"\1/", place).partition("/")
    return _Parts(parts.scheme, authority, mark + path, has_authority=True)


def _queried(path: str) -> tuple[str, str]:
    path, _, query = path.partition("#")[0].partition("?")
    path, _, properties = path.partition(";")
    return path, f"{query}&{properties.replace(';', '&')}"


def _pairs(query: str) -> list[tuple[str, str]]:
    halves = (pair.partition("=") for pair in query.split("&"))
    return [(name.lower(), value) for name, _, value in halves]


def _dotted(names: list[str]) -> str:
    return ".".join(name for name in names if name)


def _trimmed(path: str) -> str:
    """A folder is the same with a slash at its end and without."""
    return path.rstrip("/")


def _authority(authority: str, scheme: str) -> str:
    """The authority without user and password; a container that stands in their place stays."""
    user, at, host = authority.rpartition("@")
    return f"{user.partition(':')[0]}@{host}" if at and scheme in _CONTAINERS else host


def _without_secrets(path: str) -> str:
    """The path and its query; of a signed query nothing, of another what says nothing secret."""
    if re.search(_SIGNED, path):
        return path.partition("?")[0]
    kept = re.sub(r"[?&;#]([^=?&;#]*)=[^&;#]*", _shown, path)
    return kept.replace("&", "?", 1) if "?" in path and "?" not in kept else kept


def _shown(pair: re.Match[str]) -> str:
    return "" if re.fullmatch(_HIDDEN, pair[1]) else pair[0]
