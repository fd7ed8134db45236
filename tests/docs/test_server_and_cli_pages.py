"""The pages of the server and the command line name all that is there, and nothing that is not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from datlake_sdk.cli.exits import EXIT_CODES
from datlake_sdk.wire.operations import OPERATIONS, Op, answer_type
from datlake_server.http.aliases import ALIASES
from tests.docs.pages import DOCS, ROOT, blocks, code_words, headings, prose, rows, section

SERVER_PAGE = DOCS / "server.md"
CLI_PAGE = DOCS / "cli.md"
SECOND_WORDS = {"config": "config show", "import": "import openlineage", "export": "export openlineage"}
OUTSIDE_OPERATIONS = {("PUT, GET", "`/data/datasets/{bucket}/{object}`"), ("GET", "`/health`")}


def test_the_table_of_routes_is_the_table_of_operations() -> None:
    """Client, routes and OpenAPI come from one tuple; so does what people read."""
    told = [row for row in rows(section(SERVER_PAGE, "Routes")) if row[0].startswith("`")]
    assert told == [
        [
            f"`{op.__name__}`",
            op.http.method,
            ", ".join(f"`{path}`" for path in op.http.paths),
            f"{op.http.status} `{answer_name(op)}`",
        ]
        for op in OPERATIONS
    ]


def answer_name(op: type[Op[object]]) -> str:
    """What the operation answers, as its class declares it: `Run`, `Page[Run]`."""
    kind = answer_type(op)
    items = [each.__name__ for each in get_args(kind)]
    return f"Page[{items[0]}]" if items else kind.__name__


def test_every_alias_of_the_older_backend_is_in_its_table() -> None:
    """Whoever moves a client needs to see which addresses still work."""
    told = {(row[0], row[1]) for row in rows(section(SERVER_PAGE, "Addresses of the older backend"))[1:]}
    assert told == {(op.http.method, f"`{path}`") for op, path in ALIASES} | OUTSIDE_OPERATIONS


def help_of(*words: str) -> str:
    """What `datlake … --help` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "datlake_sdk", *words, "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def commands() -> list[str]:
    """The commands as `datlake --help` lists them, those with a second word in full."""
    listed = help_of().partition("  COMMAND\n")[2].partition("\n\n")[0]
    names: list[str] = re.findall(r"^    ([a-z]+) ", listed, flags=re.MULTILINE)
    return [SECOND_WORDS.get(name, name) for name in names] + ["run show"]


def test_every_command_and_option_has_its_place() -> None:
    """The page is written from `--help`; what is added there is added here."""
    known = commands()
    assert len(known) > 10
    everywhere = code_words(section(CLI_PAGE, "Every command takes")) | {"-h", "--help"}
    shared = {word.split()[0] for word in everywhere}
    missing = {
        (command, option)
        for command in known
        for option in re.findall(r"(?<![\w-])--[a-z-]+", help_of(*command.split()))
        if option not in shared and option not in section(CLI_PAGE, command)
    }
    assert [name for name in known if name not in headings(CLI_PAGE)] == []
    assert missing == set()


def test_every_command_that_a_document_types_is_there() -> None:
    """A command that was renamed is typed from some page for years."""
    known = {name.split()[0] for name in commands()}
    typed = {
        (page.name, word)
        for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
        for block in blocks(page)
        if block.info == "sh"
        for word in re.findall(r"(?:^|\s|\$\()datlake (?:--[a-z]+ \S+ )*([a-z]+)", block.body)
    }
    assert len(typed) > 10
    assert {(page, word) for page, word in typed if word not in known} == set()


def test_the_exit_codes_are_those_of_the_program() -> None:
    """Scripts branch on them."""
    told = {int(row[0]): row[1] for row in rows(section(CLI_PAGE, "Exit codes"))[1:]}
    assert told == EXIT_CODES


def test_every_document_can_be_reached_from_the_readme() -> None:
    """A page that nothing links to is a page that nobody reads."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", prose(page))
        found = {(page.parent / link).resolve() for link in links}
        waiting += [each for each in found - reached if each.exists()]  # dead links are found by tools/check_docs.py
    assert sorted(set(DOCS.rglob("*.md")) - reached) == []
