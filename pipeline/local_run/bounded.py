"""A bounded run on this machine: shows its progress, prints what came out, and says so if most lines were refused."""

import contextlib
import glob
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import NoReturn

from pipeline.config import Files, Log, SegmentationConfig
from pipeline.local_run.counts import dead_letters_by_reason, event_counts, profile_counts, write_counts
from pipeline.local_run.progress import progress
from segmentation.events import DEFAULT_LIMITS, EventLimits, InvalidEvent, parse_event
from segmentation.printable import printable
from segmentation.timestamps import format_timestamp
from stores.files import CLOUD
from stores.log_formats import HEAD_BYTES, ForeignFormat, foreign_format
from stores.segments.keys import changes_key, profile_key
from transforms.read_events import is_packed_file, read_head, read_lines
from transforms.step_metrics import reset_totals, total_counts
from transforms.write_json_lines import draft_folders

MOSTLY_REFUSED = 1
"""The exit status of a run whose lines are dead letters for the most part."""


def run_bounded(run: Callable[[], object], config: SegmentationConfig, log: Log) -> int:
    """Runs the job, and prints a summary to standard output; returns the exit status.

    The status is `MOSTLY_REFUSED` if more than half of the lines became dead letters. Standard error then says why.

    Args:
      run: runs the job to its end.
      config: the job's configuration.
      log: its source.
    """
    reset_totals()
    began = time.perf_counter()
    with progress(f"Processing {_named(log.paths)}"):
        run()
    seconds = time.perf_counter() - began
    counts = total_counts()
    for line in summary(config, log, counts, seconds):
        print(line)
    return _judge(log, counts, EventLimits(config.ignored_ids))


@contextlib.contextmanager
def unfinished_files(config: SegmentationConfig, log: Log) -> Iterator[None]:
    """Removes a run's unfinished files, however it ends; before it, those of former runs that were killed.

    SIGTERM ends the block with SystemExit, unless the process has a handler of its own.
    """
    outputs = [output for output in (config.history, config.dead_letters) if isinstance(output, Files)]
    with contextlib.ExitStack() as stack:
        for output in outputs:
            stack.enter_context(draft_folders(output.prefix, log.run))
        is_main = threading.current_thread() is threading.main_thread()  # only it can handle signals
        if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _end)
            stack.callback(signal.signal, signal.SIGTERM, signal.SIG_DFL)
        yield


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def summary(config: SegmentationConfig, log: Log, counts: Mapping[str, int], seconds: float) -> Iterator[str]:
    """Yields the lines of a run's summary.

    Args:
      config: the job's configuration.
      log: its source.
      counts: the job's counters by name.
      seconds: how long it ran.
    """
    yield f"{_named(log.paths)}, as of {format_timestamp(log.as_of_ms)}"
    counted = [*event_counts(counts), *profile_counts(counts), *write_counts(counts)]
    width = max(len(f"{number:,}") for _, number, _ in counted)
    for name, number, remark in counted:
        yield f"  {name:<16}  {number:>{width},}  {remark}".rstrip()
    for what, where in [("seconds", f"{seconds:.1f}"), *_outputs(config)]:
        yield f"  {what:<16}  {where}"


def _outputs(config: SegmentationConfig) -> Iterator[tuple[str, str]]:
    # without the address, which can hold a password
    key, stream = profile_key(config.redis_key_prefix, "PROFILE_ID"), changes_key(config.redis_key_prefix)
    yield "Redis", f"keys {key.decode()}, stream {stream.decode()}"
    for what, output in (("history", config.history), ("dead letters", config.dead_letters)):
        if isinstance(output, Files):
            yield what, _written(f"{output.prefix}-{config.run}")
        else:
            yield what, output.name
    if config.changes_topic is not None:
        yield "changes", config.changes_topic


def _written(prefix: str) -> str:
    """Returns the file that a run has written, or the pattern and the number of several."""
    pattern = f"{prefix}-*.jsonl"
    if prefix.startswith(CLOUD):
        return pattern
    files = glob.glob(glob.escape(prefix) + "-*.jsonl")
    return printable(files[0] if len(files) == 1 else f"{pattern} ({len(files)} files)")


def _judge(log: Log, counts: Mapping[str, int], limits: EventLimits) -> int:
    """Says on standard error if no event counted, or most lines were refused; returns the exit status."""
    read, by_reason = counts.get("events_read", 0), dead_letters_by_reason(counts)
    refused = sum(by_reason.values())
    if refused * 2 > read:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in by_reason.items())
        _say(f"{refused:,} of {read:,} lines became dead letters ({reasons})")
        for sentence in causes(log.paths, next(iter(by_reason)), limits):
            _say(sentence)
        return MOSTLY_REFUSED
    if not read:
        verb = "is" if len(log.paths) == 1 else "are"
        _say(f"{_named(log.paths)} {verb} empty: there was no event to process")
    elif not counts.get("events_parsed"):
        _say("no event has a timestamp up to the as-of instant, so none was processed: give a later --as_of")
    return 0


def causes(paths: tuple[str, ...], reason: str, limits: EventLimits = DEFAULT_LIMITS) -> Iterator[str]:
    """Yields a sentence for each likely cause of refused lines: what the files are instead, and the fix.

    Args:
      paths: the files of the log.
      reason: the most frequent reason of the dead letters.
      limits: the limits of valid events.
    """
    files: dict[ForeignFormat, list[str]] = {}
    for path in paths:
        found = foreign_format(read_head(path, HEAD_BYTES))
        if found is not None:
            files.setdefault(found, []).append(path)
    for found, named in files.items():
        others = f" (and {len(named) - 1:,} more)" if len(named) > 1 else ""
        looks = f"{named[0]}{others} looks like {found.what}, not like JSON lines of messages"
        yield printable(f"{looks}: {found.advice}{_command(found, named[0])}")
    if not files:
        message = _first_message(paths, reason, limits)
        example = f", first with the message “{printable(message)}”" if message else ""
        yield f"the most frequent reason is {reason}{example}; docs/dead-letters.md has the fix for every reason"


def _command(found: ForeignFormat, path: str) -> str:
    if not found.command:
        return ""
    reads = ["gcloud storage cat " + shlex.quote(path)] if path.startswith(CLOUD) else []
    if is_packed_file(path):
        reads.append("zcat" if reads else "zcat < " + shlex.quote(path))
    command = found.command if reads else f"{found.command} < {shlex.quote(path)}"
    return f", for example with {' | '.join([*reads, command])} > log.jsonl"


def _first_message(paths: tuple[str, ...], reason: str, limits: EventLimits) -> str | None:
    """Returns what was wrong with the first line that has a reason; None if it was not found by parsing alone."""
    for path in paths:
        for line in read_lines(path):
            try:
                parse_event(line, None, limits)
            except InvalidEvent as error:
                if error.reason == reason:
                    return str(error)
    return None


def _named(paths: tuple[str, ...]) -> str:
    return printable(paths[0] if len(paths) == 1 else f"{len(paths):,} files, {paths[0]} to {paths[-1]}")


def _say(sentence: str) -> None:
    print(f"segments run: {sentence}", file=sys.stderr)
