"""What somebody typed, as words to be found; what is close to them; and how FTS5 is asked. Pure text.

Whatever was typed is data: an expression holds nothing but letters and digits, quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_WORDS: Final = 16  # further ones are not asked for
_LETTERS: Final = 3  # what the index of letters holds together
_LONG: Final = 8  # from here on two slips are forgiven
_SHORT: Final = 4  # below, a slip makes another word
_LONGEST: Final = 64  # nobody mistypes more than a word
_MOST_GUESSES: Final = 24


class Asked(Struct, frozen=True):
    """What was typed: as it is compared with whole names, and its words."""

    start: str
    words: tuple[str, ...]

    def is_in(self, name: str, about: str) -> bool:
        """True where the name begins as was typed, or the two have words that begin as all those that were."""
        if not self.words:
            return begins(name, self.start)
        told = [*words_of(name), *words_of(about)]
        return begins(name, self.start) or all(any(word.startswith(one) for word in told) for one in self.words)


def asked(text: str) -> Asked:
    """What `text` asks for."""
    return Asked(_lower(text.strip()), tuple(dict.fromkeys(words_of(text)))[:MOST_WORDS])


def begins(name: str, start: str) -> bool:
    """True where the name begins so, as the index of names compares."""
    return _lower(name).startswith(start)


def words_of(text: str) -> list[str]:
    """The words of a name or a sentence, as the index of words cuts them, in small letters without accents."""
    if text.isascii():
        return "".join(char if char.isalnum() else " " for char in text.lower()).split()
    from unicodedata import category, normalize  # few need it

    def plain(char: str) -> str:
        parts = normalize("NFD", char)
        # A syllable of Hangul has parts as well, and is no letter with an accent.
        char = parts[0] if len(parts) > 1 and category(parts[1]) == "Mn" else char
        return char if char.isalnum() or category(char).startswith("M") else " "

    return "".join(plain(char) for char in normalize("NFC", text).lower()).split()


def in_names(words: Iterable[str]) -> str:
    """The expression for names that have a word that begins as each of these."""
    return f"{{name}} : ({_all(words)})"


def beside_names(words: Iterable[str]) -> str:
    """The expression for what has such words, but not all of them in its name."""
    listed = list(words)
    return f"({_all(listed)}) NOT ({in_names(listed)})"


def in_any_of(choices: Iterable[Iterable[str]]) -> str:
    """The expression for names that have, of each of these choices, a word that begins so."""
    return "{name} : (" + " AND ".join(f"({_any(words)})" for words in choices) + ")"


def letters(words: Iterable[str]) -> str | None:
    """The expression for names that hold the letters of these words; null where they are too short for it."""
    parts = [part for word in words for part in _parts(word)]
    return _each(dict.fromkeys(parts)) if parts else None


def near_letters(word: str) -> str | None:
    """The expression for names that hold the first or the last half of a word's letters; null for a short word."""
    if not _SHORT <= len(word) <= _LONGEST:
        return None
    half = max(_LETTERS, len(word) // 2)
    return f"({_each(_parts(word[:half]))}) OR ({_each(_parts(word[-half:]))})"


def guesses(word: str, known: Iterable[str]) -> list[str]:
    """The word, it with two letters swapped or one left out, and those of the `known` words that are close to it."""
    if not _SHORT <= len(word) <= _LONGEST:
        return [word]
    limit = 2 if len(word) >= _LONG else 1
    close = sorted(
        {one for one in known if _is_close(word, one, limit)}, key=lambda one: (abs(len(one) - len(word)), one)
    )
    return [word, *close[:_MOST_GUESSES], *_slips(word)]


def _slips(word: str) -> Iterator[str]:
    for at in range(min(len(word), _MOST_GUESSES)):
        if at + 1 < len(word) and word[at] != word[at + 1]:
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if len(word) > _SHORT:
            yield word[:at] + word[at + 1 :]


def _is_close(word: str, other: str, limit: int) -> bool:
    """True where so few slips make `word` of the other, or of its beginning."""
    return any(
        abs(len(word) - len(one)) <= limit
        and len(set(word) ^ set(one)) <= 2 * limit  # a look before the long way
        and _slips_between(word, one) <= limit
        for one in dict.fromkeys((other, other[: len(word)], other[: len(word) + 1]))
    )


def _slips_between(one: str, other: str) -> int:
    """How many letters are wrong, missing, too many, or swapped with the next."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, char in enumerate(one, 1):
        line = [row]
        for column, against in enumerate(other, 1):
            cost = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (char != against))
            if row > 1 and column > 1 and (char, one[row - 2]) == (other[column - 2], against):
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]


def _parts(word: str) -> list[str]:
    return [word[at : at + _LETTERS] for at in range(min(len(word), _LONGEST) - _LETTERS + 1)]


def _all(words: Iterable[str]) -> str:
    return " AND ".join(f'"{word}"*' for word in words)


def _any(words: Iterable[str]) -> str:
    return " OR ".join(f'"{word}"*' for word in words)


def _each(parts: Iterable[str]) -> str:
    return " AND ".join(f'"{part}"' for part in parts)


def _lower(text: str) -> str:
    """As SQLite's `lower`: it knows the letters of ASCII alone."""
    return "".join(char.lower() if char.isascii() else char for char in text)
