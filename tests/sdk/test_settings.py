"""Settings come from where people put them, say where that was, and refuse what they cannot read by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datlake_sdk.errors import ConfigError
from datlake_sdk.settings import LoadedSettings, load_settings

SECRET = "dlk_0123456789abcdef"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "jobs"
    folder.mkdir(parents=True)
    return folder


def load(cwd: Path, *, user: object = None, **given: object) -> LoadedSettings:
    """Settings with upper-case names from the environment and the others as arguments."""
    environ = {f"DATLAKE_{name}": str(value) for name, value in given.items() if name.isupper()}
    arguments = {name: value for name, value in given.items() if not name.isupper()}
    nowhere = cwd / "no-such-file.toml"
    return load_settings(arguments, environ={"HOME": "/home/sam", **environ}, cwd=cwd, user_config=str(user or nowhere))


def test_with_nothing_configured_every_setting_has_its_documented_default(project: Path) -> None:
    """The promise of the README: no server, no account, no configuration."""
    loaded = load(project)
    settings = loaded.settings
    assert (settings.api_url, settings.api_key, settings.artifact_bucket) == (None, None, "artifacts")
    assert (settings.timeout_s, settings.log_ship, settings.namespace) == (5.0, False, "default")
    assert (settings.home, settings.outbox_dir) == ("/home/sam/.datlake", "/home/sam/.datlake/outbox")
    assert (settings.on_unavailable, settings.disabled) == ("defer", False)
    assert set(loaded.sources.values()) == {"default"}


def test_arguments_win_over_environment_over_project_over_user_over_default(project: Path, tmp_path: Path) -> None:
    """The nearer to the call a value was written, the more it was meant."""
    user = tmp_path / "config.toml"
    user.write_text('namespace = "user"\nartifact_bucket = "user"\ntimeout_s = 1\non_unavailable = "raise"\n')
    project_file = project.parent / "datlake.toml"
    project_file.write_text('namespace = "project"\nartifact_bucket = "project"\ntimeout_s = 2\n')
    loaded = load(project, user=user, namespace="argument", NAMESPACE="environment", ARTIFACT_BUCKET="environment")
    settings = loaded.settings
    assert (settings.namespace, loaded.sources["namespace"]) == ("argument", "argument")
    assert (settings.artifact_bucket, loaded.sources["artifact_bucket"]) == (
        "environment",
        "environment DATLAKE_ARTIFACT_BUCKET",
    )
    assert (settings.timeout_s, loaded.sources["timeout_s"]) == (2.0, f"file {project_file}")
    assert (settings.on_unavailable, loaded.sources["on_unavailable"]) == ("raise", f"file {user}")
    assert loaded.sources["disabled"] == "default"


def test_an_argument_of_none_and_an_empty_variable_were_not_given(project: Path) -> None:
    """Wrappers pass `None` on, and shells export empty variables; neither is a wish."""
    loaded = load(project, namespace=None, NAMESPACE="", DISABLED="  ")
    assert (loaded.settings.namespace, loaded.settings.disabled) == ("default", False)


def test_the_nearest_file_upwards_counts_and_a_pyproject_without_our_table_is_passed_over(project: Path) -> None:
    """Somebody else's pyproject.toml, even a broken one, is none of our business."""
    (project / "pyproject.toml").write_text("[tool.other\nbroken")
    (project.parent / "pyproject.toml").write_text('[tool.datlake]\nnamespace = "near"\n')
    (project.parent.parent / "datlake.toml").write_text('namespace = "far"\n')
    assert load(project).settings.namespace == "near"


def test_folders_in_a_file_start_from_that_file(project: Path) -> None:
    """A project's file means the same from every folder the job may be started in."""
    (project.parent / "datlake.toml").write_text('home = "lake"\napi_url = "./shared"\n')
    settings = load(project).settings
    assert settings.home == str(project.parent / "lake")
    assert settings.outbox_dir == str(project.parent / "lake" / "outbox")
    assert settings.api_url == str(project.parent / "shared")


def test_a_tilde_is_the_home_directory_and_other_folders_start_from_the_working_directory(project: Path) -> None:
    settings = load(project, HOME="~/lake", OUTBOX_DIR="out").settings
    assert (settings.home, settings.outbox_dir) == ("/home/sam/lake", str(project / "out"))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://lake.example:8765/", "http://lake.example:8765"),
        ("HTTPS://[::1]:8765/datlake", "HTTPS://[::1]:8765/datlake"),
        ("file:///srv/my%20lake", "/srv/my lake"),
        ("/srv/lake/", "/srv/lake"),
        ("~/lake", "/home/sam/lake"),
    ],
)
def test_the_url_is_a_server_or_the_folder_of_an_embedded_lake(project: Path, given: str, url: str) -> None:
    assert load(project, API_URL=given).settings.api_url == url


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("http://", "host"),
        ("http://lake:port", "host"),
        ("ftp://lake", "http"),
        ("localhost:8765", "http://localhost:8765"),
        ("http://lake?x=1", "without query"),
        ("file://elsewhere/lake", "this machine"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_to_write(project: Path, given: str, hint: str) -> None:
    """`localhost:8765` would else become a folder of that name, and the job would record into it for weeks."""
    with pytest.raises(ConfigError, match="DATLAKE_API_URL") as refused:
        load(project, API_URL=given)
    assert hint in str(refused.value)


def test_a_password_in_the_url_is_refused_without_showing_it(project: Path) -> None:
    """URLs end up in logs and cards; a secret in one would follow."""
    with pytest.raises(ConfigError, match="DATLAKE_API_KEY") as refused:
        load(project, API_URL="https://sam:hunter2@lake.example")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("word", "truth"), [("1", True), ("YES", True), ("on", True), ("false", False), ("Off", False)]
)
def test_switches_are_read_in_every_usual_spelling(project: Path, word: str, truth: bool) -> None:
    assert load(project, DISABLED=word).settings.disabled is truth


def test_the_timeout_is_milliseconds_in_the_environment_and_seconds_elsewhere(project: Path) -> None:
    assert load(project, DEFAULT_TIMEOUT_MS="250").settings.timeout_s == 0.25
    assert load(project, timeout_s=2).settings.timeout_s == 2.0


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DEFAULT_TIMEOUT_MS", "fast", "milliseconds"),
        ("DEFAULT_TIMEOUT_MS", "nan", "milliseconds"),
        ("DEFAULT_TIMEOUT_MS", "0", "above 0"),
        ("DEFAULT_TIMEOUT_MS", "1e400", "at most"),
        ("DISABLED", "maybe", "yes"),
        ("ON_UNAVAILABLE", "retry", "defer or raise"),
        ("NAMESPACE", "a\tb", "printable"),
        ("ARTIFACT_BUCKET", "x" * 257, "256"),
    ],
)
def test_a_value_that_cannot_be_read_names_variable_value_and_what_was_expected(
    project: Path, variable: str, value: str, expected: str
) -> None:
    """Whoever reads it mends it without opening the documentation."""
    with pytest.raises(ConfigError, match=f"DATLAKE_{variable}") as refused:
        load(project, **{variable: value})
    assert expected in str(refused.value)
    assert repr(value)[:100] in str(refused.value)


def test_a_bad_value_in_a_file_names_the_file_and_the_setting(project: Path) -> None:
    file = project / "datlake.toml"
    file.write_text("timeout_s = true\n")
    with pytest.raises(ConfigError) as refused:
        load(project)
    assert f"timeout_s in {file}" in str(refused.value)


def test_the_key_is_never_shown(project: Path) -> None:
    """A settings object ends up in tracebacks, debuggers and `datlake config show`."""
    loaded = load(project, API_KEY=f" {SECRET}\n")
    assert loaded.settings.api_key == SECRET
    shown = {row.name: row.value for row in loaded.rows()}
    assert shown["api_key"] == "set (hidden)"
    assert SECRET not in repr(loaded) + repr(loaded.rows()) + repr(loaded.settings.__rich_repr__())


def test_a_key_that_cannot_be_used_is_refused_without_showing_it(project: Path) -> None:
    with pytest.raises(ConfigError, match="DATLAKE_API_KEY") as refused:
        load(project, API_KEY="two words")
    assert "two words" not in str(refused.value)


def test_a_key_in_pyproject_is_refused_and_one_in_the_users_file_is_taken(project: Path, tmp_path: Path) -> None:
    """pyproject.toml is committed and shared with everybody who sees the code."""
    user = tmp_path / "config.toml"
    user.write_text(f'api_key = "{SECRET}"\n')
    assert load(project, user=user).settings.api_key == SECRET
    (project / "pyproject.toml").write_text(f'[tool.datlake]\napi_key = "{SECRET}"\n')
    with pytest.raises(ConfigError, match="pyproject") as refused:
        load(project, user=user)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "meant"), [("namspace", "namespace"), ("default_timeout_ms", "timeout_s"), ("url", "api_url")]
)
def test_an_unknown_setting_is_refused_with_the_nearest_name(project: Path, typed: str, meant: str) -> None:
    """A mistyped setting that is silently ignored is found only when it mattered."""
    (project / "datlake.toml").write_text(f'{typed} = "x"\n')
    with pytest.raises(ConfigError, match=f"did you mean {meant}"):
        load(project)


def test_a_file_that_is_not_toml_is_refused_by_name(project: Path) -> None:
    (project / "datlake.toml").write_bytes(b"namespace = \xff")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(project)


def test_without_any_home_directory_the_error_names_the_variable_that_helps(project: Path) -> None:
    """Containers run as users nobody knows, with HOME unset or nonsense."""
    with pytest.raises(ConfigError, match="DATLAKE_HOME"):
        load_settings(environ={"HOME": "nonsense"}, cwd=project)
    assert load_settings(environ={"HOME": "nonsense", "DATLAKE_HOME": "/lake"}, cwd=project).settings.home == "/lake"


def test_the_users_file_is_found_where_the_desktop_specification_says(project: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "xdg" / "datlake", tmp_path / ".config" / "datlake"):
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(f'namespace = "{folder.parent.name}"\n')
    home = {"HOME": str(tmp_path)}
    assert load_settings(environ=home, cwd=project).settings.namespace == ".config"
    xdg = {**home, "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert load_settings(environ=xdg, cwd=project).settings.namespace == "xdg"


def test_a_working_directory_that_was_removed_does_not_matter(tmp_path: Path) -> None:
    """Batch systems clean up under running jobs."""
    code = (
        "import os, sys; os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        "from datlake_sdk.settings import load_settings; print(load_settings(environ={'HOME': '/h'}).settings.home)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "gone")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert answer.stdout.strip() == "/h/.datlake"


def test_importing_the_settings_loads_neither_toml_nor_paths_nor_urls() -> None:
    """The SDK lives in other people's jobs: its import is theirs to pay for."""
    heavy = ("tomllib", "pathlib", "urllib.parse", "difflib", "datlake_sdk.redaction")
    path = f"import sys; sys.path[:0] = {sys.path!r}; import datlake_sdk.settings"
    code = f"{path}; print(set({heavy!r}) & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can make a file of somebody else's"
)
def test_a_file_that_somebody_else_left_in_a_folder_open_to_all_is_ignored(tmp_path: Path) -> None:
    """Planted in /tmp it could send other people's jobs, with their key, to its writer's server."""
    planted = tmp_path / "datlake.toml"
    planted.write_text('api_url = "http://elsewhere.example"\n', encoding="utf-8")
    tmp_path.chmod(0o1777)
    assert load_settings(environ={"HOME": "/home/me"}, cwd=tmp_path).settings.api_url == "http://elsewhere.example"
    os.chown(planted, 12345, 12345)
    assert load_settings(environ={"HOME": "/home/me"}, cwd=tmp_path).settings.api_url is None
