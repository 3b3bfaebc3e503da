"""Entry point of the main job: `python -m pipeline.main`, the same as `segments run`."""

import argparse
import difflib
import logging
import sys
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult

from pipeline.config import SegmentationConfig, Subscription, Table
from pipeline.flags.cloud import CloudFlagsError, check_credentials, check_locations
from pipeline.flags.forms import ConfigError
from pipeline.flags.redis import RedisFlagsError, check_answer
from pipeline.graph import READ_EVENTS, build, read_messages
from pipeline.local_run.live import run_live
from pipeline.options import SegmentationOptions
from stores.clock import system_clock_ms
from transforms.coders import PLUGIN

LOCAL_RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
"""The full name is needed: plain DirectRunner downloads another runner if it has a network."""
_LOCAL_NAMES = ("directrunner", "direct", "bundlebaseddirectrunner", LOCAL_RUNNER.lower())
_USAGE = (
    "segments run --events=FILE_OR_GLOB|--input_subscription=S --segments=FILE --redis_url=URL"
    " --history_path=PREFIX --dead_letter_path=PREFIX [flags, Beam's too]"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job and returns the exit status: 0, or 2 if a flag, a file or a definition is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    try:
        run(list(sys.argv[1:] if argv is None else argv))
    except ConfigError as error:
        print(f"segments run: {error}", file=sys.stderr)
        return 2
    return 0


def run(argv: list[str]) -> PipelineResult:
    """Builds and starts the job. On the local runner it waits until the job ends.

    On any other runner it returns when the job is submitted, because the launcher of a template must not wait.

    Raises:
      ConfigError: a flag is wrong, a file cannot be read, a definition is invalid, or Redis does not answer
        a local run.
    """
    options = parse_options(argv)
    config = SegmentationConfig.from_options(options.view_as(SegmentationOptions), system_clock_ms())
    standard = options.view_as(StandardOptions)
    is_local = standard.runner is None or standard.runner.lower() in _LOCAL_NAMES
    if is_local:
        standard.runner = LOCAL_RUNNER
        _check_redis(config)
    _check_cloud(options, config, is_local)
    if isinstance(config.source, Subscription):
        standard.streaming = True
    setup = options.view_as(SetupOptions)
    setup.beam_plugins = [*(setup.beam_plugins or []), PLUGIN]
    pipeline = _pipeline(options)
    if is_local and isinstance(config.source, Subscription):
        return run_live(pipeline, config, config.source)
    build(pipeline | READ_EVENTS >> read_messages(config.source), config)
    result = pipeline.run()
    if is_local:
        result.wait_until_finish()
    return result


def parse_options(argv: list[str]) -> PipelineOptions:
    """Parses flags into options.

    Raises:
      ConfigError: neither this job nor Beam knows a flag, or a value is invalid.
    """
    parser = _Parser(prog="segments run", usage=_USAGE, allow_abbrev=False, conflict_handler="resolve")
    for options_class in [PipelineOptions, *_all_subclasses(PipelineOptions)]:
        options_class._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(argv)
    if unknown:
        flag = unknown[0].split("=")[0]
        if not flag.startswith("-"):  # the message leaves it out, because it may be a URL with a password
            raise ConfigError("an argument belongs to no flag; write each as --flag=value")
        known = [option for action in parser._actions for option in action.option_strings]
        close = difflib.get_close_matches(flag, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; see --help"
        raise ConfigError(f"unknown flag {flag}{hint}")
    return PipelineOptions(argv)


def _check_redis(config: SegmentationConfig) -> None:
    try:
        check_answer(config.redis)
    except RedisFlagsError as error:
        raise ConfigError(str(error)) from None


def _check_cloud(options: PipelineOptions, config: SegmentationConfig, is_local: bool) -> None:
    try:
        table = config.history if isinstance(config.history, Table) else None
        if is_local and table is not None and table.storage_write_service is not None:
            raise CloudFlagsError(
                "--history_method=STORAGE_WRITE_API runs partly in Java, which the local runner cannot: leave it out,"
                " or give another --runner"
            )
        if is_local and table is not None:
            check_credentials()
        if "dataflow" in (options.view_as(StandardOptions).runner or "").lower():
            check_locations(options)
    except CloudFlagsError as error:
        raise ConfigError(str(error)) from None


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=options)
    except (
        ValueError,
        ImportError,
        AttributeError,
    ) as error:  # the runner does not exist, or does not know a flag
        raise ConfigError(str(error)) from None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(message)


def _all_subclasses(options_class: Any) -> list[Any]:
    direct = options_class.__subclasses__()
    return [*direct, *(inner for subclass in direct for inner in _all_subclasses(subclass))]


if __name__ == "__main__":
    sys.exit(main())
