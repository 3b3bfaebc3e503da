"""The command `segments check`: checks a file of definitions, or a folder with a tracking plan."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cloud_files import CloudFiles
from segmentation.durations import format_duration
from segmentation.printable import printable
from segmentation.rules.compiled import Rules
from segmentation.tracking_plan.load import TrackingPlanError
from segmentation.tracking_plan.plan import TrackingPlan
from stores.definitions import DefinitionsError, read_definitions
from stores.terminal import printable_output
from stores.tracking_plan import read_tracking_plan


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Returns the exit status: 2 if a file is invalid."""
    parser = argparse.ArgumentParser(
        prog="segments check",
        description="Prints every mistake in a file of definitions or in a folder with a tracking plan. If there is"
        " none, prints a summary of the content.",
    )
    parser.add_argument(
        "path", metavar="FILE_OR_FOLDER", help="A local path or gs:// address; end a gs:// folder with /."
    )
    path = parser.parse_args(argv).path
    remote = CloudFiles()
    try:
        is_folder = path.endswith("/") or Path(path).is_dir()
        found = (
            plan_summary(read_tracking_plan(path, remote).plan)
            if is_folder
            else summary(read_definitions(path, remote).rules)
        )
    except (DefinitionsError, TrackingPlanError) as error:
        print(f"segments check: {error}", file=sys.stderr)
        return 2
    print(f"{printable(path)}: {found}")
    return 0


def plan_summary(plan: TrackingPlan) -> str:
    """Returns a summary of a tracking plan, on one line."""
    rejecting = sum(plan.on_violation(name) == "reject" for name in plan.names)
    number = len(plan.names)
    return f"a tracking plan of {number} event{'' if number == 1 else 's'}, {rejecting} of them on_violation: reject"


def summary(rules: Rules) -> str:
    """Returns a summary of rules, on one line."""
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
