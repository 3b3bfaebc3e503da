"""The flags of `python -m services.live`, named as their user gives them: through `make live` or directly."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from local.own_folder import FolderError
from local.pubsub_emulator import free_port
from local.samples import LOGS, ROOT, displayed_path
from services.live.output_folder import DEFAULT_OUTPUT
from services.live.system import LivePorts, is_free

MAKE_VARIABLE = "LIVE_CALLED_BY_MAKE"
"""An environment variable; `make live` sets it."""
_DEFINITIONS = ROOT / "definitions"
_MAX_PORT = 65535


class Caller(NamedTuple):
    """How the user called the program."""

    is_make: bool

    def flag(self, name: str, value: str | Path | int) -> str:
        """Returns the text that gives a flag, for messages."""
        return f"make live ARGS=--{name}={value}" if self.is_make else f"--{name}"


class Conflict(NamedTuple):
    """A port or a folder that cannot be used, and the flag and a value that avoid it."""

    text: str
    flag: str
    value: str | int


def in_use(conflicts: list[Conflict], caller: Caller) -> str:
    """Returns a line for each conflict; behind several, one with all the flags that avoid them."""
    lines = [
        f"{conflict.text}: choose another one with {caller.flag(conflict.flag, conflict.value)}"
        for conflict in conflicts
    ]
    if caller.is_make and len(conflicts) > 1:
        flags = " ".join(f"--{conflict.flag}={conflict.value}" for conflict in conflicts)
        lines.append(f'all together: make live ARGS="{flags}"')
    return "\n".join(f"live: {line}" for line in lines)


def choose_ports(options: argparse.Namespace) -> tuple[LivePorts, list[Conflict]]:
    """Returns the ports, and the conflicts with those that the flags name; a port without a flag is any free one."""
    chosen = {"port": options.port, "redis_port": options.redis_port, "pubsub_port": options.pubsub_port}
    avoided = [port for port in chosen.values() if port is not None]
    found: list[Conflict] = []
    for place, (name, port) in enumerate(chosen.items()):
        if port is None:
            continue
        is_double = port in list(chosen.values())[:place]
        if is_double or not is_free(port):
            avoided.append(_free_above(port, avoided))
            text = f"port {port} is given twice" if is_double else f"port {port} is in use"
            found.append(Conflict(text, name, avoided[-1]))
    ports = (port or free_port() for port in chosen.values())
    return LivePorts(*ports), found


def folder_conflict(error: FolderError, folder: Path) -> Conflict:
    """Returns the conflict with the output folder."""
    others = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))
    free = next((other for other in others if not other.exists()), folder.with_name(f"{folder.name}-new"))
    return Conflict(str(error), "output", displayed_path(free))


def _free_above(port: int, taken: list[int]) -> int:
    """Returns a port to propose: the next one that is free."""
    others = [*range(port + 1, _MAX_PORT), *range(1024, port)]
    return next(other for other in others if other not in taken and is_free(other))


def parse_options(argv: Sequence[str] | None, caller: Caller) -> argparse.Namespace:
    """Parses the flags; ends the program with status 2 if they are wrong."""
    usage = 'make live [REPLAY=SPEED [LOG=NAME]] [ARGS="--port=9000 ..."]'
    parser = argparse.ArgumentParser(
        prog="make live" if caller.is_make else "python -m services.live",
        usage=usage if caller.is_make else None,
        allow_abbrev=False,
        description="Runs the whole system on this machine: the Pub/Sub emulator, Redis, the job and the collector.",
    )
    add = parser.add_argument
    add("--port", type=_port, default=8080, help="The collector's port. Default: 8080")
    add("--redis_port", type=_port, metavar="PORT", help="The port of Redis. Default: any free one")
    add("--pubsub_port", type=_port, metavar="PORT", help="The port of Pub/Sub. Default: any free one")
    add(
        "--replay",
        type=_speed,
        metavar="SPEED",
        help="Also replay a log, at this multiple of its speed, such as 60, or as fast as the job can follow.",
    )
    add("--log", choices=sorted(LOGS), default="views", help="The log of data/ to replay. Default: views")
    output = (
        "The folder for history, dead letters and logs: a new one, an empty one, or that of an earlier run"
    )
    for name, default, description in (
        ("segments", _DEFINITIONS / "segments.yaml", "The file of definitions"),
        ("tracking_plan", _DEFINITIONS / "tracking_plan", "The folder of the tracking plan"),
        ("settings", _DEFINITIONS / "collector.yaml", "The collector's sources"),
        ("output", DEFAULT_OUTPUT, output),
    ):
        default_text = f"Default: {os.path.relpath(default, ROOT)}"
        add(f"--{name}", type=Path, default=default, metavar="PATH", help=f"{description}. {default_text}")
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to {_MAX_PORT}, such as 9000")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("expected a number above 0, such as 60")
    return speed
