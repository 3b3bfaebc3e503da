"""The command `python -m services.live`, which `make live` calls."""

import argparse
import contextlib
import http.client
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

import redis

from local.programs import ProgramError
from local.pubsub_emulator import PubSubEmulatorError
from local.samples import LOGS, ROOT, displayed_path
from services.collector.settings import SettingsError, Source, load_settings
from services.live.news import Changes, DeadLetters, dead_letter_line
from services.live.system import DEAD_LETTERS_SUBSCRIPTION, EVENTS_TOPIC, LiveFiles, LiveSystem, is_free

_DEFINITIONS = ROOT / "definitions"
_POLL_MS = 250
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stop(Exception):
    """Ctrl-C was pressed, the terminal was closed, or SIGTERM was received."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the system until Ctrl-C; returns the exit status: 1 if a program ended by itself, 2 for wrong input."""
    options = _parser().parse_args(argv)
    files = LiveFiles(options.segments, options.tracking_plan, options.settings, options.output)
    try:
        source = load_settings(files.settings).sources[-1]
        if not is_free(options.port):
            print(f"live: port {options.port} is in use: choose another one with --port", file=sys.stderr)
            return 2
        system = LiveSystem(files, options.port, _log_replay(options, source))
    except (PubSubEmulatorError, SettingsError) as error:
        print(f"live: {error}", file=sys.stderr)
        return 2
    try:
        with _signals_stop(), system:
            _print("live: starting the Pub/Sub emulator, Redis, the job and the collector …")
            system.start()
            _print(_welcome(system, files, source))
            _follow(system, files.output / "dead-letters.jsonl")
    except (_Stop, BrokenPipeError):
        _print("live: stopped, all programs have ended")
        return 0
    except ProgramError as error:
        _print(f"live: {error}", sys.stderr)
        _print("live: stopped, all programs have ended", sys.stderr)
        return 1


def _follow(system: LiveSystem, dead_letters_file: Path) -> NoReturn:
    """Prints changes and dead letters until a program ends, which raises ProgramError."""
    changes = Changes(system.redis_url)
    dead_letters = DeadLetters(system.emulator, DEAD_LETTERS_SUBSCRIPTION)
    is_replaying = True
    while True:
        try:
            lines, letters = changes.lines(_POLL_MS), dead_letters.take()
        except (OSError, http.client.HTTPException, redis.RedisError) as error:
            system.programs.explain(error)
        if letters:
            with dead_letters_file.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(letter, ensure_ascii=False) + "\n" for letter in letters)
        for line in [*lines, *map(dead_letter_line, letters)]:
            print(line, flush=True)
        system.programs.check()
        if is_replaying and system.programs.has_ended("replay"):
            is_replaying = False
            print(f"replay: {system.programs.log('replay').read_text().strip()}", flush=True)


def _welcome(system: LiveSystem, files: LiveFiles, source: Source) -> str:
    output = displayed_path(files.output)
    redis_client = f"redis.Redis(port={system.redis_port}, decode_responses=True)"
    return f"""
live: ready, for trying things out. Ctrl-C discards the data of Redis and Pub/Sub; a crash loses messages in progress.

  collector     {system.url}
  Pub/Sub       PUBSUB_EMULATOR_HOST={system.emulator}, events in {EVENTS_TOPIC}
  Redis         {system.redis_url}
  history       {output}/history.jsonl
  dead letters  {output}/dead-letters.jsonl
  logs          {output}/*.log

Send it an event:

  curl {system.url}/v1/track -u {source.write_key}: -d '{{
    "userId": "ada", "event": "Product Added", "properties": {{"product_id": "p1", "price": 349}}}}'

and look at the profile:

  .venv/bin/python -c 'import redis; print({redis_client}.hgetall("segments:profile:ada"))'

Changes and dead letters follow; Ctrl-C stops everything:
"""


def _log_replay(options: argparse.Namespace, source: Source) -> list[str] | None:
    """Returns the arguments of `services.live.replay`; None if no log is to be replayed."""
    if options.replay is None:
        return None
    log = ROOT / "data" / LOGS[options.log].file
    return [str(log), f"--speed={options.replay:g}", f"--write_key={source.write_key}"]


@contextlib.contextmanager
def _signals_stop() -> Iterator[None]:
    """Raises `_Stop` at the first and at the second signal of `_SIGNALS`; ignores further ones."""
    received = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received += 1
        if received > 1:
            for ignored in _SIGNALS:
                signal.signal(ignored, signal.SIG_IGN)
        _print("live: stopping …" if received == 1 else "live: stopping at once")
        raise _Stop

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(text: str, output: TextIO | None = None) -> None:
    """Prints a text; if the output is closed, this and all later texts are dropped."""
    output = output or sys.stdout
    try:
        print(text, file=output, flush=True)
    except OSError:  # the terminal was closed
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, output.fileno())
        os.close(null)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.live",
        description="Runs the whole system on this machine: the Pub/Sub emulator, Redis, the job and the collector.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8080, help="The collector's port. Default: 8080")
    add(
        "--replay",
        type=_speed,
        metavar="SPEED",
        help="Also replay a log, at this multiple of its speed, such as 60.",
    )
    add("--log", choices=sorted(LOGS), default="views", help="The log of data/ to replay. Default: views")
    for name, default, description in (
        ("segments", _DEFINITIONS / "segments.yaml", "The file of definitions"),
        ("tracking_plan", _DEFINITIONS / "tracking_plan", "The folder of the tracking plan"),
        ("settings", _DEFINITIONS / "collector.yaml", "The collector's sources"),
        ("output", ROOT / "build" / "live", "The folder for history, dead letters and logs, emptied first"),
    ):
        default_text = f"Default: {os.path.relpath(default, ROOT)}"
        add(f"--{name}", type=Path, default=default, metavar="PATH", help=f"{description}. {default_text}")
    return parser


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("expected a number above 0, such as 60")
    return speed


if __name__ == "__main__":
    sys.exit(main())
