"""The SDK's page names all that is public: whoever adds a name, a parameter, a field or a setting writes it down."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import datlake_sdk
from datlake_sdk import AsyncDatlakeClient, DatlakeClient, JobContext, errors
from datlake_sdk.aio import AsyncJob, AsyncPaged
from datlake_sdk.paging import Paged
from datlake_sdk.settings import DESCRIPTORS, Settings, load_settings
from datlake_sdk.wire import models
from datlake_sdk.wire.operations import EventItem
from tests.docs.pages import DOCS, ROOT, SDK_PAGE, code_words, headings, rows, section, text_of

HOME = Path("~").expanduser()
WORDS_OF_SETTINGS = {"not set": None, "false": False, "true": True}


def members(kind: type[object]) -> list[str]:
    """The public names of a class of ours, inherited ones included, those made in `__init__` not."""
    ours = [each for each in kind.__mro__ if each.__module__.startswith("datlake_sdk")]
    return sorted({name for each in ours for name in vars(each) if not name.startswith("_")})


def parameters(function: object) -> Iterator[str]:
    """The names that a caller may pass."""
    if inspect.isfunction(function):
        yield from (name for name in inspect.signature(function).parameters if name != "self")


def test_every_public_name_has_a_place_in_the_reference() -> None:
    """`__all__` is what users may build on."""
    reference = code_words(section(SDK_PAGE, "API reference")) | set(headings(SDK_PAGE))
    assert [name for name in datlake_sdk.__all__ if name not in reference] == []


@pytest.mark.parametrize("kind", [JobContext, DatlakeClient, Paged])
def test_every_method_has_a_heading_with_its_parameters(kind: type[object]) -> None:
    """The heading is the signature: a parameter that comes, goes or is renamed shows here."""
    told = {
        found[1]: re.findall(r"(?:^|, )\*{0,2}([a-z_]+)", found[2] or "")
        for heading in headings(SDK_PAGE)
        if (found := re.match(rf"{kind.__name__}\.(\w+)(?:\((.*)\))?", heading))
    }
    assert sorted(told) == members(kind)
    for name, names in told.items():
        function = inspect.getattr_static(kind, name)
        if inspect.isfunction(function):
            assert names == list(parameters(function)), name


@pytest.mark.parametrize("kind", [JobContext, DatlakeClient])
def test_every_constructor_parameter_is_in_a_heading(kind: type[object]) -> None:
    """What a constructor takes is a setting of the job or the client."""
    (heading,) = [each for each in headings(SDK_PAGE) if each.startswith(f"{kind.__name__}(")]
    names = re.findall(r"(?:\(|, )([a-z_]+)=", heading)
    assert names == list(parameters(kind.__init__))


@pytest.mark.parametrize("kind", [AsyncDatlakeClient, AsyncPaged, AsyncJob])
def test_every_awaitable_method_is_named(kind: type[object]) -> None:
    """The async classes mirror the plain ones; a table says which of their names are awaitable."""
    told = " ".join(code_words(section(SDK_PAGE, kind.__name__)))
    assert [name for name in members(kind) if not re.search(rf"\b{name}\b", told)] == []


def structs() -> list[type[msgspec.Struct]]:
    """The values that a lake answers with, and those that a caller makes."""
    own = [each for each in vars(models).values() if isinstance(each, type) and each.__module__ == models.__name__]
    return [each for each in own if issubclass(each, msgspec.Struct) and each is not models.Page] + [EventItem]


@pytest.mark.parametrize("kind", structs(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_value_is_in_its_table(kind: type[msgspec.Struct]) -> None:
    """Fields are promises; their names, order and defaults stand in the table of the value."""
    told = [(row[0].strip("`"), row[2].strip("`")) for row in rows(section(SDK_PAGE, kind.__name__))[1:]]
    assert told == [(field.name, default_of(field)) for field in msgspec.structs.fields(kind)]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """The default as the table shows it; empty where a value must be given."""
    if field.default is not msgspec.NODEFAULT:
        return repr(field.default)
    return "" if field.default_factory is msgspec.NODEFAULT else repr(field.default_factory())


def test_the_answer_of_a_registration_has_the_fields_of_its_table(tmp_path: Path) -> None:
    """It is a dict: whoever reads a key that the page names must find it, deferred or not."""
    told = {row[0].strip("`") for row in rows(section(SDK_PAGE, "RegisteredSnapshot"))[1:]}
    assert len(told) > 10
    for disabled in (False, True):
        with DatlakeClient(tmp_path, disabled=disabled) as client, JobContext(client, "job") as job:
            answer = job.register_snapshot("table", "s3://lake/table/1", "parquet")
        assert told - set(answer) == set()
        assert answer["deferred"] is disabled


def test_every_error_is_in_the_table_and_in_the_tree() -> None:
    """Whoever writes `except` must find the class, its code and its status."""
    told = {row[0].strip("`"): row[2:] for row in rows(section(SDK_PAGE, "Exceptions"))[1:]}
    known = {name: getattr(errors, name) for name in errors.__all__}
    assert told == {
        name: [
            f"`{kind.default_code}`",
            str(kind.default_status or ""),
            "yes" if kind.default_retryable else "no",
        ]
        for name, kind in known.items()
    }
    assert [name for name in known if name not in text_of(SDK_PAGE)] == []


def test_the_settings_table_is_the_settings() -> None:
    """Name, variable and default, in the order of the code: a table that is wrong is worse than none."""
    told = [(row[0], row[1], row[2]) for row in rows(section(SDK_PAGE, "Settings"))[1:]]
    assert [row[0] for row in told] == [f"`{each.name}`" for each in DESCRIPTORS]
    assert [row[1] for row in told] == [f"`{each.variable}`" for each in DESCRIPTORS]
    defaults = load_settings(environ={"HOME": str(HOME)}, cwd="/", user_config="/nowhere").settings
    for name, _, shown in told:
        assert default_of_setting(shown.strip("`"), defaults) == getattr(defaults, name.strip("`")), name


def default_of_setting(shown: str, defaults: Settings) -> object:
    """The value that a default in the table stands for."""
    if shown in WORDS_OF_SETTINGS:
        return WORDS_OF_SETTINGS[shown]
    if re.fullmatch(r"[0-9.]+", shown):
        return float(shown)
    return shown.replace("$DATLAKE_HOME", defaults.home).replace("~", str(HOME))


def test_every_code_of_an_error_is_explained() -> None:
    """A `code` is stable and meant for programs, so people must be able to look it up."""
    told = {code for row in rows(text_of(DOCS / "errors.md")) for code in code_words(row[0])}
    raised = {
        code
        for file in (ROOT / "src").rglob("*.py")
        for code in re.findall(r'\b(?:default_)?code(?:: str)? ?= ?"([a-z_]+)"', text_of(file))
    }
    assert sorted(raised - told) == []
