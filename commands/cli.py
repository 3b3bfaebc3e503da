"""The command `segments`: runs its subcommands."""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from stores.terminal import printable_output


class Command(NamedTuple):
    """A subcommand: a module with `main(argv) -> int`. It is imported only when called, because Beam takes seconds."""

    module: str
    purpose: str


_INTERRUPTED = 130
COMMANDS = {
    "run": Command("pipeline.main", "Turn the events of a log or a subscription into segments"),
    "check": Command(
        "commands.check", "Check a file of definitions or a tracking plan: print every mistake, or a summary"
    ),
    "canary": Command(
        "commands.canary", "Send a synthetic profile through the live system, and measure how long it takes"
    ),
    "replay": Command("commands.replay", "Send dead letters through the job again"),
    "demo": Command("commands.demo.command", "Process a sample log and print the result"),
}


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand in the first argument with the other arguments; returns its exit status."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if name in COMMANDS:
        try:
            module = importlib.import_module(COMMANDS[name].module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "local":
                raise
            print(f"segments {name}: run this in a checkout of the project", file=sys.stderr)
            return 2
        try:
            return int(module.main(rest))
        except KeyboardInterrupt:
            return _INTERRUPTED
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if not name:
        print(_help(), file=sys.stderr)
        return 2
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; see segments --help"
    print(f"segments: no command {name}{hint}", file=sys.stderr)
    return 2


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.purpose}" for name, command in COMMANDS.items()]
    return "\n".join(
        ["usage: segments COMMAND …", "", *lines, "", "segments COMMAND --help lists the flags of a command."]
    )


if __name__ == "__main__":
    sys.exit(main())
