"""What the commands of `datlake` have in common on the command line. Loads argparse, nothing of ours."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from datlake_sdk.cli.arguments import ROWS, Parser

if TYPE_CHECKING:
    # argparse has no public name for what `add_subparsers` gives.
    Commands = argparse._SubParsersAction["Parser"]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def add(commands: Commands, name: str, handler: str, what: str) -> Parser:
    """The parser of the command `name`, which `handler` (`module:function`) carries out."""
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        parents=[global_options()],
        allow_abbrev=False,
    )
    parser.set_defaults(handler=handler)
    return parser


def global_options() -> Parser:
    """The options that may stand before or after any command."""
    # SUPPRESS: without it, a default of the command would undo what stood before the command.
    options = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = options.add_argument_group("which lake")
    group.add_argument("--url", metavar="URL", help="the server's (DATLAKE_API_URL)")
    group.add_argument("--home", metavar="DIR", help="the folder of an embedded lake (DATLAKE_HOME)")
    group.add_argument("--namespace", metavar="NAME", help="where names are looked up (DATLAKE_NAMESPACE)")
    return options


def add_json(parser: Parser) -> None:
    """The command takes `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, as the API has it")


def add_limit(parser: Parser) -> None:
    """The command takes `--limit`."""
    parser.add_argument(
        "--limit", type=number(1, 1_000_000), default=ROWS, metavar="N", help="how many at most (%(default)s)"
    )


def number(least: int, most: int) -> Callable[[str], int]:
    """What reads a whole number from `least` to `most`."""

    def number(text: str) -> int:
        if text.isascii() and text.isdigit() and least <= int(text[:20]) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")

    return number
