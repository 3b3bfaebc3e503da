"""Mistakes in a file of definitions, each with its place, what was found and what would be right."""

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One mistake."""

    line: int
    path: tuple[str | int, ...]
    found: str
    mend: str = ""

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")
        return f"line {self.line}: {place + ': ' if place else ''}{self.found}" + (f"; {self.mend}" if self.mend else "")


class Problems(ValueError):
    """All mistakes of a file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda problem: (problem.line, str(problem)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
