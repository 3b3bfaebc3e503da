"""Figures: measured values with their bounds, and the files that store them."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import msgspec
from rich.table import Table

from benchmarks.data import ROOT
from benchmarks.measure import middle_half
from pipeline.main import LOCAL_RUNNER

RESULTS = ROOT / "benchmarks" / "results.json"
DOC = ROOT / "docs" / "benchmarks.md"
_BEGIN = "<!-- The figures: written by `make bench` -->\n"
_END = "<!-- The end of the figures -->\n"


class Figure(msgspec.Struct, frozen=True):
    """One measured number, and its bound."""

    name: str
    value: float
    """The median of the rounds."""
    unit: str
    lower: float
    """The quartiles: half of the rounds are between `lower` and `upper`."""
    upper: float
    rounds: int
    at_most: float | None = None
    at_least: float | None = None

    @property
    def bound(self) -> str:
        """The bound as a text."""
        if self.at_most is not None:
            return f"at most {number(self.at_most)}"
        return "" if self.at_least is None else f"at least {number(self.at_least)}"

    @property
    def held(self) -> str:
        """Whether the number is within its bound: yes or no; empty if it has none."""
        if self.at_most is not None:
            return "yes" if self.value <= self.at_most else "no"
        if self.at_least is not None:
            return "yes" if self.value >= self.at_least else "no"
        return ""


class Report(msgspec.Struct, frozen=True):
    """The figures of one benchmark, and where and how they were measured."""

    command: str
    date: str
    cores: int
    system: str
    python: str
    beam: str
    runner: str
    figures: list[Figure]


Results = dict[str, Report]
"""Name of a benchmark to its report."""


def figure(
    name: str,
    samples: Sequence[float],
    unit: str,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    """Returns the figure of the rounds' numbers."""
    lower, value, upper = (float(f"{sample:.6g}") for sample in middle_half(samples))
    return Figure(name, value, unit, lower, upper, len(samples), at_most, at_least)


def report(command: str, figures: list[Figure]) -> Report:
    """Returns the report of figures measured here and now."""
    return Report(
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        beam=beam.__version__,
        runner=LOCAL_RUNNER.rpartition(".")[2],
        figures=figures,
    )


def table(name: str, reported: Report) -> Table:
    """Returns the figures as a table for the terminal."""
    drawn = Table(title=f"{name}: {_circumstances(reported)}", title_justify="left")
    for heading in _HEADINGS:
        drawn.add_column(heading, justify="right" if heading in _RIGHT else "left")
    for row in _rows(reported):
        drawn.add_row(*row)
    return drawn


def load(path: Path = RESULTS) -> Results:
    """Returns the stored figures; none if there is no file."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else {}


def keep(results: Results, path: Path = RESULTS, doc: Path = DOC) -> None:
    """Stores the figures, and writes them to the documentation."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    before, _, rest = doc.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    doc.write_text(f"{before}{markdown(results)}{after}", encoding="utf-8")


def markdown(results: Mapping[str, Report]) -> str:
    """Returns the part of the documentation with the figures."""
    parts = [_BEGIN]
    for name, reported in results.items():
        ruler = tuple("---:" if heading in _RIGHT else "---" for heading in _HEADINGS)
        rows = [_HEADINGS, ruler, *_rows(reported)]
        lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        parts.append(f"\n### `{name}`\n\n{_circumstances(reported)}\n\n{lines}")
    return "".join([*parts, "\n", _END])


def number(value: float) -> str:
    """Formats a number with about three significant digits."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


_HEADINGS = ("figure", "value", "unit", "half of the rounds", "bound", "held")
_RIGHT = ("value", "half of the rounds")


def _rows(reported: Report) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            number(one.value),
            one.unit,
            "" if one.lower == one.upper else f"{number(one.lower)} to {number(one.upper)}",
            one.bound,
            one.held,
        )
        for one in reported.figures
    ]


def _circumstances(reported: Report) -> str:
    rounds = max(one.rounds for one in reported.figures)
    return (
        f"`{reported.command}`, {rounds} round{'s' if rounds > 1 else ''}, {reported.date}, "
        f"{reported.runner}, {reported.cores} cores ({reported.system}), "
        f"Python {reported.python}, Beam {reported.beam}"
    )
