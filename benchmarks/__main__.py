"""The command `python -m benchmarks`, the same as `make bench`."""

import argparse
import logging
import sys
from collections.abc import Sequence

from rich.console import Console

from benchmarks import (
    collector,
    fold,
    history,
    live,
    redis_memory,
    redis_writer,
    results,
    segments,
    sliding_windows,
    state_size,
    steps,
    users,
    worst_event,
)
from benchmarks.cost import page
from benchmarks.cost.prices import read_prices
from benchmarks.cost.reckon import reckon
from benchmarks.cost.volumes import count_volumes

EVENTS = 300_000
ROUNDS = 5
BENCHMARKS = {
    "fold": fold.measure,
    "steps": steps.measure,
    "sliding_windows": sliding_windows.measure,
    "users": users.measure,
    "segments": segments.measure,
    "worst_event": worst_event.measure,
    "state_size": state_size.measure,
    "redis_memory": redis_memory.measure,
    "redis_writer": redis_writer.measure,
    "history": history.measure,
    "live": live.measure,
    "collector": collector.measure,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark {name}; there are {', '.join(BENCHMARKS)}")
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    console = Console(width=None if sys.stdout.isatty() else 180)
    command = " ".join(["python -m benchmarks", *arguments])
    kept = results.load()
    for name in [name for name in BENCHMARKS if not options.names or name in options.names]:
        measured = BENCHMARKS[name](options.events or EVENTS, options.rounds)
        kept[name] = results.report(command, measured)
        console.print(results.table(name, kept[name]))
        if options.events is None or options.keep:
            results.keep({name: kept[name] for name in BENCHMARKS if name in kept})
    if options.events is None or options.keep:
        page.keep(reckon(results.load(), count_volumes(), read_prices()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures what the pipeline costs, prints the figures, and writes them to "
        "benchmarks/results.json, docs/benchmarks.md and, as dollars, docs/cost.md.",
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"One of {', '.join(BENCHMARKS)}. Default: all of them")
    add("--events", type=int, metavar="N", help=f"A quick try, which is only printed. Default: {EVENTS:,}")
    add(
        "--keep", action="store_true", help="Keep the figures of a quick try, with the command that made them"
    )
    add("--rounds", type=int, default=ROUNDS, metavar="N", help=f"Default: {ROUNDS}")
    return parser


if __name__ == "__main__":
    main()
