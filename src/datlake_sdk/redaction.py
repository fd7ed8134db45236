"""What must not leave the process, replaced by `***`: passwords, keys and tokens in URLs, arguments and text.

Called before anything a user's job says about itself (arguments, URLs, errors) is recorded or printed. Pure: it reads
and writes nothing. It would rather hide a harmless word than show a secret.

Rules. In URLs: the password, and the value of parameters with secret names (`token`, `sig`, `X-Amz-Signature`, …). In
text, too: `NAME=value` with a secret name, `Authorization` headers, and tokens known by their shape. In arguments, too:
the argument after `--password` and its like, `user:password` after `-u`, `--user` and `--proxy-user`, and `-pX` of the
MySQL commands and sshpass alone, because elsewhere `-p8080` is a port.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

__all__ = ["redact_argv", "redact_text", "redact_uri"]

MASK = "***"
ARGUMENT_CHARS = 1_000
ARGUMENTS = 200

# One pass can uncover another rule's match (a mask ends a word that was too long to match).
_PASSES = 8

# A prefix may stand before these in any form (dbPassword, X-Amz-Signature, AWS_SECRET_ACCESS_KEY) …
_HIDDEN_ENDINGS = (
    r"password|passwd|passphrase|passcode|pwd|secret|token|signature|credentials?"
    r"|(?:api|access|secret|private|account|auth|client|storage|shared|encryption|master|signing|subscription)[-_.]?key"
    r"(?:[-_.]?id)?"
)
# … and these only as a word of their own (bypass=, overpass= and design= are harmless).
_HIDDEN_WORDS = r"pass|sig|auth|authorization|sas|jwt|bearer"
_HIDDEN_NAME = rf"(?:[\w.-]*(?:{_HIDDEN_ENDINGS})|(?:[\w.-]*[-_.])?(?:{_HIDDEN_WORDS}))"

_TOKEN_SHAPES = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}[A-Za-z0-9]*",
    r"gh[pousr]_[A-Za-z0-9]{16,}",
    r"github_pat_\w{16,}",
    r"glpat-[\w-]{16,}",
    r"xox[a-z]-[\w-]{8,}",
    r"xapp-[\w-]{8,}",
    r"sk-[\w-]{16,}",
    r"[sr]k_(?:live|test)_\w{8,}",
    r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?",
    r"dlk_[\w-]{3,}",
    r"AIza[\w-]{30,}",
    r"ya29\.[\w-]{16,}",
    r"hf_[A-Za-z0-9]{20,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{32,}",
    r"dapi[a-f0-9]{32,}[A-Za-z0-9]*",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
)


def redact_uri(text: str) -> str:
    """The URI with its secrets replaced by `***` and every other character as it was; any scheme, JDBC included."""
    return _settled(_uri_pass, text)


def redact_text(text: str) -> str:
    """The text with its secrets replaced by `***`, those of the URLs in it included."""
    return _settled(_text_pass, text)


def redact_argv(argv: Sequence[str]) -> list[str]:
    """The arguments without their secrets, cut visibly to 200 arguments of at most 1 000 characters."""
    words = [str(word) for word in argv]
    for _ in range(_PASSES):
        redacted = _argv_pass(words)
        if redacted == words:
            break
        words = redacted
    return words


def _settled(one_pass: Callable[[str], str], text: str) -> str:
    for _ in range(_PASSES):
        redacted = one_pass(text)
        if redacted == text:
            break
        text = redacted
    return text


# --- URIs and text ----------------------------------------------------------------------------------------------------


def _uri_pass(text: str) -> str:
    for pattern, replacement in _uri_rules(inside_text=False):
        text = pattern.sub(replacement, text)
    return text


def _text_pass(text: str) -> str:
    # URLs first: a word in a password that looks like a header must not hide where the password ends.
    for pattern, replacement in (*_uri_rules(inside_text=True), *_text_rules()):
        text = pattern.sub(replacement, text)
    return text


@cache
def _uri_rules(*, inside_text: bool) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The rules for URIs; alone, a URI may hold blanks by mistake, inside a text a blank ends it."""
    blank = r"\s" if inside_text else ""
    anything = rf"[^{blank}]" if inside_text else r"[\s\S]"
    # An unescaped / ? or # in a password ends the authority early: then what follows the colon is no port. The bound
    # keeps a long text of many such colons from quadratic time.
    password = rf"(?:[^{blank}/?#]+@|(?!\d*(?:[/?#\s]|$)){anything}{{1,500}}@)"
    return (
        (re.compile(rf"(://[^{blank}/?#:@]*:){password}"), rf"\1{MASK}@"),
        (re.compile(rf"(jdbc:oracle:\w+:[^{blank}/@]{{0,128}}/)[^{blank}@]{{1,128}}@"), rf"\1{MASK}@"),
        (re.compile(rf"(?i)([?&#]({_HIDDEN_NAME}|key)=)[^{blank}&#]+"), rf"\1{MASK}"),
        (re.compile(rf"(?i)(;\s*({_HIDDEN_NAME}|key)\s*=\s*)[^{blank};]+"), rf"\1{MASK}"),
        (re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_TOKEN_SHAPES)})"), MASK),
    )


@cache
def _text_rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    quoted = r"\"[^\"]*\"|'[^']*'"
    return (
        (
            re.compile(
                r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----[\s\S]*?"
                r"(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)"
            ),
            MASK,
        ),
        (
            re.compile(
                r"(?i)((?:authorization|(?:x-)?api-key|x-auth-token|cookie)[\"']?\s*[:=]\s*[\"']?"
                r"(?:(?:bearer|basic|token|digest)\s+)?)"
                r"[^\s\"'][^\r\n\"']*"
            ),
            rf"\1{MASK}",
        ),
        (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), rf"\1{MASK}"),
        (re.compile(rf"(?i)([\"']{_HIDDEN_NAME}[\"']\s*:\s*)(?:{quoted})"), rf'\1"{MASK}"'),
        # An address with a query is left to the rules for URIs, which know where a value ends.
        (re.compile(rf"(?i)(?<![\w.?&#;-])({_HIDDEN_NAME}=)(?:{quoted}|[^\s;&]+)"), rf"\1{MASK}"),
    )


# --- arguments --------------------------------------------------------------------------------------------------------

_ATTACHED_PASSWORD_COMMANDS = ("mysql", "mariadb", "sshpass")
_ATTACHED_PASSWORD_CHARS = len("-p")


def _argv_pass(words: list[str]) -> list[str]:
    attached = any(word.rpartition("/")[2].startswith(_ATTACHED_PASSWORD_COMMANDS) for word in words)
    redacted: list[str] = []
    before = ""
    for word in words:
        redacted.append(_cut(_redacted_word(word, before, attached=attached)))
        # "Authorization:", "Basic", "…" are three words where the shell was not told to keep them together.
        before = f"{before} {word}" if before.lower().endswith("authorization:") else word
    return _cut_list(redacted)


def _redacted_word(word: str, before: str, *, attached: bool) -> str:
    if _announces_secret(before) and not re.fullmatch(r"--[A-Za-z][\w-]*(=.*)?", word):
        return MASK if word else word
    if before in ("-u", "--user", "--proxy-user") and (match := re.match(r"(?!\d+:\d+$)([^:/]*:)[\s\S]+", word)):
        return match[1] + MASK
    if attached and word.startswith("-p") and not word.startswith("--") and len(word) > _ATTACHED_PASSWORD_CHARS:
        return "-p" + MASK
    if match := _assignment().match(word):
        return match[1] + MASK
    return redact_text(word)


@cache
def _assignment() -> re.Pattern[str]:
    return re.compile(rf"(?i)(-{{0,2}}{_HIDDEN_NAME}=)[\s\S]+")


@cache
def _announcement() -> re.Pattern[str]:
    header = r"(?:proxy-)?authorization:\s*(?:bearer|basic)?"
    return re.compile(
        rf"(?i)--?(?!-|no-|skip-|without-){_HIDDEN_NAME}|[\s\S]*[\"']{_HIDDEN_NAME}[\"']:|{header}|bearer"
    )


def _announces_secret(word: str) -> bool:
    return _announcement().fullmatch(word) is not None


def _cut(word: str) -> str:
    if len(word) <= ARGUMENT_CHARS:
        return word
    # Room for the note, whose length depends on the number in it.
    kept = ARGUMENT_CHARS - 40
    return f"{word[:kept]}…[{len(word) - kept} more characters]"


def _cut_list(words: list[str]) -> list[str]:
    if len(words) <= ARGUMENTS:
        return words
    kept = ARGUMENTS - 1
    return [*words[:kept], f"…[{len(words) - kept} more arguments]"]
