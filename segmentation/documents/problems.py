"""Mistakes in a YAML file, each with its place, what was found, and the fix."""

import difflib
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from segmentation.printable import printable

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")
_MAX_VALUE_CHARACTERS = 80
_MAX_MISSPELT_CHARACTERS = 100
"""The longest word for which a similar one is looked for, because that takes the product of the lengths."""
MAX_LISTED = 20
MAX_PROBLEMS = 10_000
"""The most mistakes that are reported of a file. Aliases can repeat one many times, in a small file."""


class Problem(NamedTuple):
    """One mistake."""

    line: int
    path: tuple[str | int, ...]
    found: str
    fix: str = ""
    """What to write instead; empty if there is no advice."""

    def __str__(self) -> str:
        place = format_path(self.path)
        text = f"line {self.line}: {place + ': ' if place else ''}{self.found}"
        return printable(f"{text}; {self.fix}" if self.fix else text)


class Problems(ValueError):
    """All mistakes of a file, or `MAX_PROBLEMS` of them; the message then says that there are more."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        found = sorted(set(problems), key=lambda problem: (problem.line, str(problem)))
        self.problems = found[:MAX_PROBLEMS]
        lines = [str(problem) for problem in self.problems]
        if len(found) > MAX_PROBLEMS:
            lines.append(f"there are more mistakes than these {MAX_PROBLEMS}: correct them first")
        super().__init__("\n".join(lines))


def enough(problems: Iterable[Problem]) -> list[Problem]:
    """Returns so many of the problems that `Problems` can tell whether there are more than it reports."""
    return list(islice(problems, MAX_PROBLEMS + 1))


def format_path(path: Iterable[str | int]) -> str:
    """Returns a path as text, such as `segments.bot.when.all[0]`."""
    return "".join(map(_format_part, path)).lstrip(".")


def format_value(value: object) -> str:
    """Returns a value of the file as a short text for an error message."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        value = value[:_MAX_VALUE_CHARACTERS]  # its repr is longer, so that the cut is still seen
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else text[: _MAX_VALUE_CHARACTERS - 3] + "..."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that is most similar to a misspelt one; None if none is similar.

    Capital letters and the characters between words (`_`, `-`, spaces) make no difference.
    """
    if len(word) > _MAX_MISSPELT_CHARACTERS:
        return None
    by_letters = {_letters(name): name for name in known}
    letters = _letters(word)
    anagrams = (other for other in by_letters if letters and sorted(other) == sorted(letters))
    match = next(iter(difflib.get_close_matches(letters, by_letters, n=1)), None) or next(anagrams, None)
    return None if match is None else by_letters[match]


def similarity(word: str, other: str) -> float:
    """Returns how similar two words are to `nearest`, from 0 to 1."""
    return difflib.SequenceMatcher(None, _letters(other), _letters(word)).ratio()


def format_list(words: Iterable[str]) -> str:
    """Returns the words in order, separated by commas; of more than 20 only the first 20."""
    ordered = sorted(words)
    return ", ".join(ordered[:MAX_LISTED]) + (", …" if len(ordered) > MAX_LISTED else "")


def _letters(word: str) -> str:
    return _BETWEEN_WORDS.sub("", word.lower())


def _format_part(part: str | int) -> str:
    if isinstance(part, str) and len(part) <= _MAX_VALUE_CHARACTERS and _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{format_value(part)}]"
