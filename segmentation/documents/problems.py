"""Mistakes in a file of definitions, each with its place, what was found and what would be right."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")
_MAX_SHOWN = 80
MAX_LISTED = 20


class Problem(NamedTuple):
    """One mistake."""

    line: int
    path: tuple[str | int, ...]
    found: str
    mend: str = ""

    def __str__(self) -> str:
        place = shown_path(self.path)
        text = f"line {self.line}: {place + ': ' if place else ''}{self.found}"
        return f"{text}; {self.mend}" if self.mend else text


class Problems(ValueError):
    """All mistakes of a file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda problem: (problem.line, str(problem)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shown_path(path: Iterable[str | int]) -> str:
    """Returns a path as a short text, such as `segments.bot.when.all[0]`."""
    return "".join(map(_shown_part, path)).lstrip(".")


def shown(value: object) -> str:
    """Returns a value of the file as a short text for a message."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns which of the known words was probably meant, if any."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def listed(words: Iterable[str]) -> str:
    """Returns the words in order, the first of them if they are many."""
    ordered = sorted(words)
    return ", ".join(ordered[:MAX_LISTED]) + (", …" if len(ordered) > MAX_LISTED else "")


def _shown_part(part: str | int) -> str:
    if isinstance(part, str) and len(part) <= _MAX_SHOWN and _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{shown(part)}]"
