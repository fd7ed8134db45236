"""What a URI is called as a dataset: two producers that name the same place by the rules meet in the graph."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datlake_sdk.lineage.naming import dataset_name, uri_of, without_credentials

NAMES = {
    # objects: the bucket, and the key
    "s3://lake/raw/a.parquet": ("s3://lake", "raw/a.parquet"),
    "s3a://lake/raw/": ("s3://lake", "raw"),
    "s3n://lake": ("s3://lake", "/"),
    "s3://lake/a#1?versionId=7": ("s3://lake", "a#1?versionId=7"),
    "arn:aws:s3:::lake/raw/a": ("s3://lake", "raw/a"),
    "gs://lake/raw": ("gs://lake", "raw"),
    "abfss://c@acct.dfs.core.windows.net/raw/a": ("abfss://c@acct.dfs.core.windows.net", "raw/a"),
    "abfs://c@acct.dfs.core.windows.net/raw": ("abfss://c@acct.dfs.core.windows.net", "raw"),
    "wasbs://c@acct.blob.core.windows.net/raw": ("wasbs://c@acct.blob.core.windows.net", "raw"),
    # files: the host, and the path
    "file:///data/a%20b.csv": ("file", "/data/a%20b.csv"),
    "file:/data/a": ("file", "/data/a"),
    "file://localhost/data/": ("file", "/data"),
    "file://nas/share/a": ("file://nas", "/share/a"),
    "/data/a#1?.csv": ("file", "/data/a#1?.csv"),
    "data/a.csv": ("file", "data/a.csv"),
    "C:\\data\\a.csv": ("file", "C:\\data\\a.csv"),
    "hdfs://nn:8020/user/a": ("hdfs://nn:8020", "/user/a"),
    "dbfs:/mnt/a": ("dbfs", "/mnt/a"),
    # databases: the server, and the dotted name
    "postgresql://h/db/public/t": ("postgres://h:5432", "db.public.t"),
    "postgres://h:6432/db.public.t": ("postgres://h:6432", "db.public.t"),
    "postgresql+psycopg://h/db?schema=public&table=t": ("postgres://h:5432", "db.public.t"),
    "mysql+pymysql://h/db/t": ("mysql://h:3306", "db.t"),
    "jdbc:sqlserver://h;databaseName=db;encrypt=true": ("mssql://h:1433", "db"),
    "sqlserver://h:1433/dbo.t": ("sqlserver://h:1433", "dbo.t"),
    "jdbc:oracle:thin:@h:1521:sid": ("oracle://h:1521", "sid"),
    "oracle://h/service/s/t": ("oracle://h:1521", "service.s.t"),
    "redshift://c.abc123.eu-west-1.redshift.amazonaws.com/db/s/t": ("redshift://c.eu-west-1:5439", "db.s.t"),
    "snowflake://org-acct.snowflakecomputing.com/db/s/t": ("snowflake://org-acct", "db.s.t"),
    "bigquery://project/set/t": ("bigquery", "project.set.t"),
    "trino://h:8443/c/s/t": ("trino://h:8443", "c.s.t"),
    "hive2://h/db/t": ("hive://h:10000", "db.t"),
    "cassandra://[::1]/keyspace/t": ("cassandra://[::1]:9042", "keyspace.t"),
    "spanner://project:instance/db/s/t": ("spanner://project:instance", "db.s.t"),
    "unitycatalog://host/c/s/t": ("unitycatalog://host", "c.s.t"),
    "kafka://one:9092,two:9092/orders.v1": ("kafka://one:9092", "orders.v1"),
    "arn:aws:glue:eu-west-1:123:table/db/t": ("arn:aws:glue:eu-west-1:123", "table/db/t"),
    "azurecosmos://h/dbs/db/colls/t": ("azurecosmos://h/dbs/db", "colls/t"),
    "azurekusto://h.kusto.windows.net/db/t": ("azurekusto://h.kusto.windows.net", "db/t"),
    "pubsub:topic:project:t": ("pubsub", "topic:project:t"),
    "inmemory://scratch": ("inmemory://", "scratch"),
    # anything else: the address, and what follows
    "https://rates.example.com/today.csv?day=1#top": ("https://rates.example.com", "today.csv?day=1"),
    "https://rates.example.com/": ("https://rates.example.com", "/"),
    "datlake://artifacts/a/b": ("datlake://artifacts", "a/b"),
    "urn:isbn:1": ("uri", "urn:isbn:1"),
}
CREDENTIALS = [
    "s3://AKIA:hunter2@lake/a",
    "s3://lake/a?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2",
    "abfss://c:hunter2@acct.dfs.core.windows.net/a",
    "abfss://c@acct.dfs.core.windows.net/a?sv=1&sig=hunter2",
    "postgresql://sam:hunter2@h/db/s/t",
    "postgresql://h/db?table=t&user=sam&password=hunter2",
    "jdbc:sqlserver://h;databaseName=db;user=sam;password=hunter2",
    "jdbc:oracle:thin:sam/hunter2@h:1521:sid",
    "snowflake://sam:hunter2@acct/db/s/t",
    "https://sam:hunter2@h/a?token=hunter2&day=1#access_token=hunter2",
    "https://h/a?api_key=hunter2",
    "mongodb://sam:hunter2@h/db",
    "file://sam:hunter2@nas/share",
]
# What a producer may have named so: it is theirs, but no URI is made of it that tells it on.
NO_WAY_BACK = [
    ("default", "sales"),
    ("file", "data/a.csv"),
    ("uri", "sales"),
    ("my space:x", "y"),
    ("arn:aws:sns", "t"),
]


@pytest.mark.parametrize("uri", NAMES)
def test_a_uri_is_named_by_the_rules(uri: str) -> None:
    """A Spark job and a `JobContext` that touch the same file must name it alike."""
    assert dataset_name(uri) == NAMES[uri]


@pytest.mark.parametrize("name", sorted(set(NAMES.values()), key=str), ids=lambda name: f"{name[0]} {name[1]}")
def test_a_dataset_of_a_store_has_a_uri_that_is_named_so(name: tuple[str, str]) -> None:
    """A location that is told for a table leads to the dataset that the store's producers name, and back."""
    uri = uri_of(*name)
    assert uri is None if name[1] in {"data/a.csv", "C:\\data\\a.csv"} else dataset_name(uri or "") == name


@pytest.mark.parametrize("uri", CREDENTIALS)
def test_credentials_do_not_survive(uri: str) -> None:
    """Names stand in graphs, lists and other people's backends."""
    namespace, name = dataset_name(uri)
    assert "hunter2" not in f"{namespace} {name} {uri_of(namespace, name)}"


@pytest.mark.parametrize("uri", CREDENTIALS)
def test_a_uri_is_told_without_its_credentials(uri: str) -> None:
    """Events go to other people's backends; where the data is stays readable."""
    told = without_credentials(uri)
    assert "hunter2" not in told
    assert dataset_name(told) == dataset_name(uri)


@pytest.mark.parametrize("uri", NAMES)
def test_a_uri_without_credentials_is_told_as_it_is(uri: str) -> None:
    """Another lake that takes the event must find the snapshot by the very URI that jobs use."""
    assert without_credentials(uri) == uri


def test_a_namespace_with_a_password_gives_a_uri_without() -> None:
    """Some producers put the connection string there."""
    assert uri_of("postgres://sam:hunter2@h:5432", "db.s.t") == "postgres://h:5432/db.s.t"


@pytest.mark.parametrize("name", NO_WAY_BACK, ids=" ".join)
def test_what_is_in_no_store_has_no_uri(name: tuple[str, str]) -> None:
    """Most namespaces are names that people chose."""
    assert uri_of(*name) is None


@given(st.text(min_size=1, max_size=40))
@example("://")
@example("s3://")
@example("jdbc:")
@example("a://[")
@example("arn:aws:glue:::")
def test_any_text_has_a_name(text: str) -> None:
    """Whatever a job calls its data: naming never fails, and never leaves a name out."""
    namespace, name = dataset_name(text)
    assert namespace
    assert name


@given(st.sampled_from(["s3", "gs", "hdfs", "postgres", "https", "odd"]), st.text("abc./?#@: ", max_size=12))
def test_a_uri_made_of_a_name_is_named_so_again(scheme: str, rest: str) -> None:
    """The name of a thing's URI must not drift each time it is handed on."""
    first = dataset_name(f"{scheme}://h:1/{rest}")
    uri = uri_of(*first)
    assert uri is not None
    assert uri_of(*dataset_name(uri)) == uri
