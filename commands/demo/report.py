"""Prints the report of a sample run."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commands.demo.outcome import RunResult, SegmentNumbers, momentary_memberships, pick_changes
from local.samples import displayed_path
from pipeline.local_run.console import PrintableConsole
from pipeline.local_run.counts import event_counts
from segmentation.printable import printable
from stores.segments.keys import DEFAULT_KEY_PREFIX, profile_key

WIDTH = 100
_COLUMNS = ("members", "entered", "exited", "corrections")
_MAX_CHANGES = 16
_MAX_DISAGREEMENTS = 10


@dataclasses.dataclass(frozen=True)
class SampleRun:
    """A finished run, with the content of its report."""

    events: Path
    definitions: Path
    as_of: str | None
    """The as-of instant; None for the job's default."""
    as_of_reason: str | None
    """The end of a sentence that says where that instant lies, and why."""
    counts: Mapping[str, int]
    """The job's counters by name."""
    seconds: float
    runner: str
    result: RunResult
    before: Mapping[str, SegmentNumbers] | None
    """The numbers of the previous run; None for the first run."""
    history: list[Path]
    dead_letters: list[Path]
    numbers: Path
    next_steps: list[str]


def report_console() -> Console:
    """Returns the console for reports: standard output, at most 100 columns wide, without styles if not a terminal."""
    console = PrintableConsole()
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def print_report(run: SampleRun, console: Console) -> None:
    """Prints the whole report."""
    _print_counts(run, console)
    _print_segments(run, console)
    _print_changes(run.result, console)
    _print_snapshot(run.result, console)
    _print_files(run, console)
    _heading(console, "Next")
    for step in run.next_steps:
        console.print(f"  {step}", soft_wrap=True)


def _heading(console: Console, text: str, remark: str = "") -> None:
    console.print()
    console.print(Text.assemble((text, "bold"), (f"  {remark}" if remark else "", "dim")), soft_wrap=True)


def _print_counts(run: SampleRun, console: Console) -> None:
    read = run.counts.get("events_read", 0)
    _heading(console, displayed_path(run.events))
    for line in (f"decided by {displayed_path(run.definitions)}", *_as_of(run)):
        console.print(f"  {line}", style="dim", soft_wrap=True)
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    for name, number, remark in event_counts(run.counts):
        grid.add_row(f"  {name}", f"{number:,}", remark)
    grid.add_row("  seconds", f"{run.seconds:.1f}", f"on {run.runner}, with its start")
    grid.add_row("  events per second", f"{read / run.seconds:,.0f}")
    console.print(grid)


def _as_of(run: SampleRun) -> list[str]:
    """Returns lines that say what the as-of instant is, and where it lies."""
    instant = run.as_of or "its latest event"
    lines = [f"as of {instant}: the instant at which time stops; the members are those of that instant"]
    return lines if run.as_of_reason is None else [*lines, f"it is {run.as_of_reason}"]


def _print_segments(run: SampleRun, console: Console) -> None:
    before, now = run.before, run.result.numbers
    rows = [(name, now.get(name), before.get(name) if before is not None else None) for name in _names(run)]
    differs = before is not None and any(numbers != previous for _, numbers, previous in rows)
    if run.result.disagreements:
        _print_disagreements(run.result.disagreements, console)
    remark = "members by Redis, entered and exited by the history"
    _heading(console, "Segments", f"{remark}; both agree" if not run.result.disagreements else remark)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  segment")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
        if differs:
            table.add_column("", justify="right")
    if differs:
        table.add_column("")
    for name, numbers, previous in rows:
        table.add_row(f"  {name}", *_cells(numbers, previous, differs, with_word=before is not None))
    console.print(table)
    for line in _words(sum(momentary_memberships(run.result.rows).values())):
        console.print(f"  {line}", style="dim")
    if before is None:
        console.print("  The next run prints the differences from this run.", style="dim")
    elif differs:
        console.print("  Beside each number: the difference from the run before.", style="dim")
    else:
        console.print("  No difference from the run before.", style="dim")


def _words(momentary: int) -> list[str]:
    """Returns lines that say what the table counts."""
    lines = [
        "entered, exited: memberships that began or ended, and lasted; members = entered - exited",
        "corrections: entries and exits that late events caused",
    ]
    if momentary:
        lines.append(
            f"left out of entered and exited: {momentary:,} that ended at the instant at which they began"
        )
    return lines


def _names(run: SampleRun) -> list[str]:
    return list(dict.fromkeys([*run.result.numbers, *(run.before or {})]))


def _cells(
    now: SegmentNumbers | None, before: SegmentNumbers | None, differs: bool, with_word: bool
) -> list[Text]:
    cells = []
    for field in _COLUMNS:
        number, previous = getattr(now, field, 0), getattr(before, field, 0)
        cells.append(Text("-" if now is None else f"{number:,}"))
        if differs:
            difference = number - previous
            style = "green" if difference > 0 else "red"
            cells.append(Text(f"{difference:+,}" if difference else "", style))
    if differs and with_word:
        cells.append(Text(_word(now, before), "yellow"))
    return cells


def _word(now: SegmentNumbers | None, before: SegmentNumbers | None) -> str:
    if now is None:
        return "gone"
    if before is None:
        return "new"
    return "" if now.version == before.version else "edited"


def _print_disagreements(lines: list[str], console: Console) -> None:
    console.print()
    console.print(
        Text(f"WRONG: REDIS AND THE HISTORY DISAGREE ON {len(lines):,} MEMBERSHIPS", "bold white on red")
    )
    for line in lines[:_MAX_DISAGREEMENTS]:
        console.print(f"  {printable(line)}", style="red", soft_wrap=True)
    if len(lines) > _MAX_DISAGREEMENTS:
        console.print(f"  and {len(lines) - _MAX_DISAGREEMENTS:,} more", style="red")


def _print_changes(result: RunResult, console: Console) -> None:
    picked = pick_changes(result.rows, _MAX_CHANGES)
    if not picked:
        return
    _heading(console, "Changes", f"{len(picked)} of {len(result.rows):,}, one of each kind")
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  time (UTC)", no_wrap=True)
    table.add_column("who", max_width=14, no_wrap=True, overflow="ellipsis")
    table.add_column("segment", overflow="fold")
    for column in ("change", "cause", "expires at"):
        table.add_column(column, no_wrap=True)
    for row in picked:
        who = printable(row["profile_id"])
        cells = (who, row["segment"], row["change"], row["cause"], _time(row["expires_at"]))
        table.add_row(f"  {_time(row['event_time'])}", *cells)
    console.print(table)


def _time(timestamp: str | None) -> str:
    return "" if timestamp is None else timestamp[:19].replace("T", " ")


def _print_snapshot(result: RunResult, console: Console) -> None:
    if result.busiest is None:
        return
    number = len(json.loads(result.snapshot["segments"]))
    _heading(
        console,
        "One member as Redis holds it",
        f"of {result.profiles:,} profiles in Redis, one in the most segments ({number})",
    )
    key = profile_key(DEFAULT_KEY_PREFIX, result.busiest).decode(errors="replace")
    console.print(f"  HGETALL {printable(key)}", soft_wrap=True)
    width = max(map(len, result.snapshot))
    for field in sorted(result.snapshot):
        text = Text.assemble((f"  {field:<{width}}  ", "cyan"), printable(result.snapshot[field]))
        console.print(text, soft_wrap=True)


def _print_files(run: SampleRun, console: Console) -> None:
    _heading(console, "Files", "replaced by the next run")
    for files, what in ((run.history, "membership changes"), (run.dead_letters, "dead letters")):
        for file in files:
            console.print(f"  {displayed_path(file)}  {what}", soft_wrap=True)
    console.print(f"  {displayed_path(run.numbers)}  numbers to compare the next run with", soft_wrap=True)
