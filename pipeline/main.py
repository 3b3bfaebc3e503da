"""Entry point of the main job: `python -m pipeline.main`, the same as `segments run`."""

import argparse
import difflib
import logging
import shutil
import sys
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult
from google.api_core.exceptions import GoogleAPICallError

from pipeline.config import Log, SegmentationConfig, Subscription, Table, Topic
from pipeline.flags.cloud import CloudFlagsError, check_credentials, check_locations
from pipeline.flags.forms import ConfigError
from pipeline.flags.pubsub import require_topic
from pipeline.flags.redis import RedisFlagsError, check_answer
from pipeline.graph import READ_EVENTS, build, read_messages
from pipeline.local_run.bounded import run_bounded, unfinished_files
from pipeline.local_run.counts import skipped_report
from pipeline.local_run.live import run_live
from pipeline.local_run.progress import progress
from pipeline.local_run.timer_holds import timers_hold_watermarks
from pipeline.options import LocalRunOptions, SegmentationOptions
from stores.clock import ClockError, system_clock_ms
from stores.terminal import log_to_stderr, printable_output
from transforms.clock_checks import redis_clock_check
from transforms.coders import PLUGIN
from transforms.step_metrics import total_counts

LOCAL_RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
"""The full name is needed: plain DirectRunner downloads another runner if it has a network."""
_LOCAL_NAMES = ("directrunner", "direct", "bundlebaseddirectrunner", LOCAL_RUNNER.lower())
_HELP_BEAM = "--help_beam"
_IN_A_STEP = " [while running '"
"""Beam writes it, and the step's label, behind the message of what a step raised."""
_USAGE = (
    "segments run --events=FILE_OR_GLOB --segments=FILE --redis_url=URL\n"
    "                    --history_path=PREFIX --dead_letter_path=PREFIX [more flags]"
)


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job and returns the exit status: 2 if a flag, a file or a definition is wrong, otherwise 0.

    On the local runner the status is 1 if a step or a pull failed four times, as on a full disk. A bounded run there
    prints a summary, and returns 1 if most lines became dead letters.
    """
    log_to_stderr("%(levelname)s %(message)s")
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    try:
        job = prepare(list(sys.argv[1:] if argv is None else argv))
        if job.is_local and isinstance(job.config.source, Log):
            status = run_bounded(job.run, job.config, job.config.source)
        else:
            job.run()
            status = 0
    except ConfigError as error:
        print(f"segments run: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if _IN_A_STEP not in str(error) and not isinstance(error, GoogleAPICallError):
            raise
        print(f"segments run: the run failed: {error}", file=sys.stderr)  # Beam has logged the traceback
        return 1
    if job.is_local and job.reports_skipped:
        print("\n".join(skipped_report(total_counts())))
    return status


def run(argv: list[str]) -> PipelineResult:
    """Prepares the job and runs it, without a summary.

    Raises:
      ConfigError: see `prepare` and `Job.run`.
    """
    return prepare(argv).run()


class Job(NamedTuple):
    """A job whose flags and files are right."""

    pipeline: beam.Pipeline
    config: SegmentationConfig
    is_local: bool
    """Whether it runs on the local runner."""
    reports_skipped: bool
    """Whether a local run lists the values that conditions skipped."""

    def run(self) -> PipelineResult:
        """Builds and starts the job. On the local runner it waits until the job ends.

        On any other runner it returns when the job is submitted, because the launcher of a template must not wait.

        Raises:
          ConfigError: a subscription or a topic of a run on this machine does not exist.
        """
        source = self.config.source
        if not self.is_local:
            return self._submit()
        _require_topics(self.config)
        if isinstance(source, Subscription):
            return run_live(self.pipeline, self.config, source)
        with timers_hold_watermarks(), unfinished_files(self.config, source):
            result = self._submit()
            result.wait_until_finish()
        return result

    def _submit(self) -> PipelineResult:
        build(self.pipeline | READ_EVENTS >> read_messages(self.config.source), self.config)
        return self.pipeline.run()


def prepare(argv: list[str]) -> Job:
    """Parses the flags, and checks all that they name.

    Raises:
      ConfigError: a flag is wrong, a file cannot be read, a definition is invalid, or Redis does not answer
        a local run.
    """
    options = parse_options(argv)
    standard = options.view_as(StandardOptions)
    is_local = standard.runner is None or standard.runner.lower() in _LOCAL_NAMES
    with progress("Checking the flags and the files", only_on_terminals=True):
        config = SegmentationConfig.from_options(options.view_as(SegmentationOptions), system_clock_ms())
    if is_local:
        standard.runner = LOCAL_RUNNER
        _check_redis(config)
    _check_cloud(options, config, is_local)
    if isinstance(config.source, Subscription):
        standard.streaming = True
    setup = options.view_as(SetupOptions)
    setup.beam_plugins = [*(setup.beam_plugins or []), PLUGIN]
    return Job(_pipeline(options), config, is_local, options.view_as(LocalRunOptions).report_skipped)


def parse_options(argv: list[str]) -> PipelineOptions:
    """Parses flags into options. --help prints this job's flags and exits, --help_beam those of Beam.

    Raises:
      ConfigError: neither this job nor Beam knows a flag, or a value is invalid.
    """
    own_classes = [SegmentationOptions, LocalRunOptions]
    options_classes = [PipelineOptions, *_all_subclasses(PipelineOptions)]
    parser = _parser(options_classes)
    if _HELP_BEAM in argv:
        _parser([options for options in options_classes if options not in own_classes]).print_help()
        parser.exit()
    if "--help" in argv or "-h" in argv:
        _parser(own_classes).print_help()
        parser.exit()
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


def _parser(options_classes: Sequence[Any]) -> "_Parser":
    """Returns a parser of the flags of these classes of options, and of those that print help."""
    parser = _Parser(
        prog="segments run", usage=_USAGE, allow_abbrev=False, conflict_handler="resolve", add_help=False
    )
    for options_class in options_classes:
        options_class._add_argparse_args(parser)
    add = parser.add_argument_group("help").add_argument
    add("-h", "--help", action="help", help="Show the flags of this job.")
    add(
        _HELP_BEAM,
        action="help",
        help="Show Beam's flags, such as --runner and --project, which are given in the same way.",
    )
    return parser


def _check_redis(config: SegmentationConfig) -> None:
    try:
        check_answer(config.redis)
        redis_clock_check(config.redis).check()
    except (RedisFlagsError, ClockError) as error:
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


def _require_topics(config: SegmentationConfig) -> None:
    if isinstance(config.dead_letters, Topic):
        require_topic("dead_letter_topic", config.dead_letters.name)
    if config.changes_topic is not None:
        require_topic("changes_topic", config.changes_topic)


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    try:
        pipeline = beam.Pipeline(options=options)
    except (
        ValueError,
        ImportError,
        AttributeError,
    ) as error:  # the runner does not exist, or does not know a flag
        raise ConfigError(str(error)) from None
    # Beam removes its folder when the pipeline has run, but not if an error comes before.
    weakref.finalize(pipeline, shutil.rmtree, pipeline.local_tempdir, ignore_errors=True)
    return pipeline


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(message)


def _all_subclasses(options_class: Any) -> list[Any]:
    direct = options_class.__subclasses__()
    return [*direct, *(inner for subclass in direct for inner in _all_subclasses(subclass))]


if __name__ == "__main__":
    sys.exit(main())
