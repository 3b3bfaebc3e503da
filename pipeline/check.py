"""The command `segments check`: is a file of definitions right?"""

import argparse
import sys
from collections.abc import Sequence

from pipeline.definitions import DefinitionsError, read_definitions
from segmentation.durations import format_duration
from segmentation.rules.compiled import Rules


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 where the file is wrong."""
    parser = argparse.ArgumentParser(
        prog="segments check",
        description="Prints every mistake in a file of definitions, or, if there is none, what is in it.",
    )
    parser.add_argument("file", metavar="FILE", help="A local path or gs://.")
    path = parser.parse_args(argv).file
    try:
        rules = read_definitions(path).rules
    except DefinitionsError as error:
        print(f"segments check: {error}", file=sys.stderr)
        return 2
    print(f"{path}: {summary(rules)}")
    return 0


def summary(rules: Rules) -> str:
    """Returns on one line what rules hold."""
    numbers = {
        "segment": len(rules.segments),
        "measure": len(rules.measures),
        "score": len(rules.scores),
        "trait": len(rules.traits),
    }
    parts = [f"{number} {what}{'' if number == 1 else 's'}" for what, number in numbers.items() if number]
    if rules.longest_window_ms:
        parts.append(f"looking back {format_duration(rules.longest_window_ms)} at most")
    return ", ".join([*parts, f"rules version {rules.version}"])
