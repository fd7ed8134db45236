"""What leaves the process holds no secret, and nothing else is changed."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datlake_sdk.redaction import redact_argv, redact_text, redact_uri

SECRET = st.text(alphabet=string.ascii_letters + string.digits, min_size=6, max_size=40).map("zQ7".__add__)
# Passwords as people write them, unescaped.
WILD_SECRET = st.text(alphabet=string.ascii_letters + "!$%*+,;=:@", min_size=6, max_size=30).map("zQ7".__add__)


@pytest.mark.parametrize(
    ("uri", "redacted"),
    [
        (
            "postgresql+psycopg2://u:pw@h:5432/db?sslmode=require",
            "postgresql+psycopg2://u:***@h:5432/db?sslmode=require",
        ),
        ("postgres://u:p@ss@h/db", "postgres://u:***@h/db"),
        ("postgres://u:p/w#x@h/db", "postgres://u:***@h/db"),
        ("redis://:pw@h/0", "redis://:***@h/0"),
        ("https://h/p?a=1&token=abc&b=2#frag", "https://h/p?a=1&token=***&b=2#frag"),
        ("https://h/cb#access_token=abc&state=1", "https://h/cb#access_token=***&state=1"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=AK%2F1&X-Amz-Date=2&X-Amz-Signature=ff",
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=***&X-Amz-Date=2&X-Amz-Signature=***",
        ),
        (
            "https://a.blob.core.windows.net/c/o?sv=2&sig=a%2Bb%3D&se=3",
            "https://a.blob.core.windows.net/c/o?sv=2&sig=***&se=3",
        ),
        (
            "jdbc:sqlserver://h:1433;user=sa;password=pw;encrypt=true",
            "jdbc:sqlserver://h:1433;user=sa;password=***;encrypt=true",
        ),
        ("jdbc:postgresql://h/db?user=u&password=pw&ssl=true", "jdbc:postgresql://h/db?user=u&password=***&ssl=true"),
        ("jdbc:oracle:thin:scott/tiger@//h:1521/s", "jdbc:oracle:thin:scott/***@//h:1521/s"),
        ("Endpoint=https://a;AccountKey=abc==;Suffix=core", "Endpoint=https://a;AccountKey=***;Suffix=core"),
        ("https://ghp_abcdefghijklmnop0123@github.com/o/r", "https://***@github.com/o/r"),
    ],
)
def test_secrets_in_uris_are_masked_and_the_rest_stays(uri: str, redacted: str) -> None:
    assert redact_uri(uri) == redacted
    assert redact_text(f'could not open "{uri}" today').startswith(f'could not open "{redacted.partition("#")[0][:20]}')


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/key=1/part-0.parquet",
        "http://h:8080/a@b?mail=x@y&page=2",
        "http://[::1]:8765/x",
        "file:///data/tokens/bypass=1",
        "abfss://container@account.dfs.core.windows.net/x",
        "https://h/?design=a&partition_key=b&monkey=c&overpass=d",
        "C:\\data\\x",
        "",
        "é ✓\udc80",
    ],
)
def test_uris_without_secrets_are_left_as_they_are(uri: str) -> None:
    """A URI is a name: changed, it names something else."""
    assert redact_uri(uri) == uri


@given(
    user=st.sampled_from(["", "sam", "a%40b"]), secret=WILD_SECRET, scheme=st.sampled_from(["s3", "mysql+x", "https"])
)
def test_a_password_never_survives_in_a_url(user: str, secret: str, scheme: str) -> None:
    uri = f"{scheme}://{user}:{secret}@host:1/p?q=1"
    assert redact_uri(uri) == f"{scheme}://{user}:***@host:1/p?q=1"
    assert secret not in redact_text(f"failed at {uri} again")
    assert secret not in " ".join(redact_argv(["job.py", f"--to={uri}", uri]))


@given(
    secret=SECRET,
    name=st.sampled_from(
        [
            "token",
            "access_token",
            "sig",
            "Signature",
            "X-Goog-Signature",
            "X-Amz-Security-Token",
            "key",
            "api_key",
            "apikey",
            "password",
            "pwd",
            "clientSecret",
            "DB_PASSWORD",
            "SharedAccessKey",
            "db-pass",
        ]
    ),
)
def test_the_value_of_a_secret_parameter_never_survives(secret: str, name: str) -> None:
    assert redact_uri(f"https://h/?{name}={secret}&x=1") == f"https://h/?{name}=***&x=1"
    assert secret not in redact_text(f"GET https://h/?x=1&{name}={secret} 500")


@given(
    secret=SECRET,
    shape=st.sampled_from(
        [
            "--password {}", "--db-password {}", "--token={}", "Password={};Database=x", "PASSWORD={}", "secret_key={}",
            "Authorization: Bearer {}", "-u sam:{}", "--user=x --api-key {}", '{{"password": "{}"}}',
            "dlk_{}", "sk-0123456789{}", "xoxb-12345-{}", "ghp_0123456789{}", "eyJhbGciOi.{}.{}", "mysqldump -p{}",
        ]
    ),
    together=st.booleans(),
)  # fmt: skip
def test_a_secret_argument_never_survives(secret: str, shape: str, together: bool) -> None:
    """Command lines are where passwords are typed; the run keeps its command line for ever."""
    line = shape.format(secret, secret)
    words = [line] if together and not line.startswith(("-", "mysql")) else line.split(" ")
    assert secret not in " ".join(redact_argv(["job.py", *words]))


@pytest.mark.parametrize(
    "argv",
    [
        ["job.py", "-p8080", "--profile", "prod", "-pedantic"],
        ["job.py", "--token-file", "/run/x", "--max-tokens", "5", "--no-password", "x"],
        ["job.py", "--password", "--verbose"],
        ["docker", "-u", "1000:1000", "--user", "sam"],
        ["train.py", "--model", "sk-learn", "--task", "task-force-with-a-long-name", "lr=0.1", "--key", "date"],
    ],
)
def test_harmless_arguments_are_left_as_they_are(argv: list[str]) -> None:
    """A command line that hides what it did helps nobody."""
    assert redact_argv(argv) == argv


def test_a_private_key_is_masked_even_when_its_end_is_missing() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n"
    assert redact_text(f"a {key}-----END RSA PRIVATE KEY----- b") == "a *** b"
    assert redact_text(f"a {key}") == "a ***"


def test_a_long_command_line_is_cut_visibly() -> None:
    """A glob over a bucket must not become a megabyte of every run."""
    redacted = redact_argv(["x" * 5_000, *["file"] * 500])
    assert len(redacted) == 200
    assert len(redacted[0]) <= 1_000
    assert redacted[0].endswith("more characters]")
    assert redacted[-1] == "…[302 more arguments]"


PIECES = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [
                "://",
                "u:",
                "@",
                "/",
                "?",
                "&",
                ";",
                "#",
                "=",
                " ",
                "'",
                '"',
                "password",
                "token=",
                "sig=",
                "Bearer ",
                "ghp_",
                "Authorization:",
                "eyJabcde.abcdefg.",
                "AKIA0123456789ABCDEF",
                "jdbc:oracle:x:",
                "***",
                "-----BEGIN PRIVATE KEY-----",
            ]
        ),
    ),
    max_size=14,
).map("".join)


@given(text=PIECES)
def test_redacting_twice_changes_nothing_more_and_nothing_is_refused(text: str) -> None:
    """Values pass the rules at several borders; each must leave them alone after the first."""
    for redact in (redact_uri, redact_text):
        once = redact(text)
        assert redact(once) == once


@given(argv=st.lists(st.one_of(PIECES, st.sampled_from(["--password", "-u", "mysql", "-pX", "x" * 1_500])), max_size=8))
def test_redacting_arguments_twice_changes_nothing_more(argv: list[str]) -> None:
    once = redact_argv(argv)
    assert redact_argv(once) == once
    assert all(len(word) <= 1_000 for word in once)
