"""Flags to one validated, frozen configuration; steps receive its values, never flags."""

import argparse
import dataclasses
import os

from apache_beam.options.pipeline_options import StandardOptions

from pipeline.bounded_log import LogError, check_readable, latest_event_ms, log_paths
from pipeline.cloud_files import CloudFiles
from pipeline.flags import forms
from pipeline.flags.cloud import CloudFlagsError, storage_write_service
from pipeline.flags.forms import ConfigError, matching, one_of, require
from pipeline.flags.redis import RedisFlagsError, redis_target
from pipeline.options import SegmentationOptions
from segmentation.durations import parse_duration
from segmentation.timestamps import parse_timestamp
from segmentation.tracking_plan.load import TrackingPlanError
from stores.definitions import DefinitionsError, LoadedDefinitions, read_definitions
from stores.files import CLOUD
from stores.redis.access import RedisTarget
from stores.tracking_plan import TrackingPlanTexts, read_tracking_plan


@dataclasses.dataclass(frozen=True)
class Log:
    """A bounded source: files that are read in order, up to an instant."""

    paths: tuple[str, ...]
    """In the order in which they are read."""
    as_of_ms: int
    """The end of time."""
    run: str
    """Names the files that the run writes."""


@dataclasses.dataclass(frozen=True)
class Subscription:
    """An unbounded source."""

    name: str
    """projects/P/subscriptions/S."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A BigQuery table for the history."""

    name: str
    """PROJECT:DATASET.TABLE."""
    storage_write_service: str | None = None
    """What describes the Storage Write API's step to Beam, HOST:PORT or a jar; None: streaming inserts."""


@dataclasses.dataclass(frozen=True)
class Topic:
    """A Pub/Sub topic for dead letters."""

    name: str
    """projects/P/topics/T."""


@dataclasses.dataclass(frozen=True)
class Files:
    """JSON lines."""

    prefix: str
    """How the files' names begin."""


@dataclasses.dataclass(frozen=True)
class SegmentationConfig:
    """What the main job needs to know."""

    source: Log | Subscription
    rules_text: str = dataclasses.field(repr=False)
    redis: RedisTarget
    redis_key_prefix: str
    profile_ttl_ms: int
    history: Table | Files
    dead_letters: Topic | Files
    changes_topic: str | None = None
    tracking_plan: TrackingPlanTexts | None = dataclasses.field(default=None, repr=False)
    """What events must look like; None: no more than an event's contract says."""

    @property
    def as_of_ms(self) -> int | None:
        """The end of time of a bounded run; None for an unbounded one."""
        return self.source.as_of_ms if isinstance(self.source, Log) else None

    @property
    def run(self) -> str | None:
        """Names the files of a bounded run; None for an unbounded one."""
        return self.source.run if isinstance(self.source, Log) else None

    @classmethod
    def from_options(cls, options: SegmentationOptions, now_ms: int) -> "SegmentationConfig":
        """Returns the configuration that flags ask for; reads the rules and the log, a local one to its end.

        Raises:
          ConfigError: a wrong flag, an unreadable file or an invalid rule.
        """
        bounded = one_of(options, "events", "input_subscription") == "events"
        require(options, "segments", "redis_url")
        runner = options.view_as(StandardOptions).runner or ""
        redis = redis_of(options, may_hold_password="dataflow" not in runner.lower())
        history, dead_letters = _history(options, bounded), _dead_letters(options, bounded)
        if history == dead_letters:
            raise ConfigError("--history_path and --dead_letter_path must differ")
        changes_topic = topic_in(options, "changes_topic")
        as_of_ms = _as_of_ms(options, bounded)
        definitions = _definitions(options.segments)
        tracking_plan = _tracking_plan(options.tracking_plan)
        source = _log(options.events, as_of_ms, now_ms) if bounded else _subscription(options)
        for flag, output in (("history_path", history), ("dead_letter_path", dead_letters)):
            if isinstance(output, Files):
                _make_folder(flag, output.prefix)
        return cls(
            source=source,
            rules_text=definitions.text,
            redis=redis,
            redis_key_prefix=options.redis_key_prefix,
            profile_ttl_ms=max(_ttl_ms(options.profile_ttl), definitions.rules.longest_window_ms),
            history=history,
            dead_letters=dead_letters,
            changes_topic=changes_topic,
            tracking_plan=tracking_plan,
        )


def redis_of(options: SegmentationOptions | argparse.Namespace, *, may_hold_password: bool) -> RedisTarget:
    """Returns where the flags of `add_redis_flags` lead to, having connected to nothing.

    Args:
      options: the flags; --redis_url is among them.
      may_hold_password: the flags stay on this machine, so the URL may hold one.

    Raises:
      ConfigError: one does not look as it must, they do not fit, or a password would be shown to others.
    """
    try:
        return redis_target(
            options.redis_url,
            matching(options, "redis_auth_secret", forms.SECRET),
            matching(options, "redis_ca_secret", forms.SECRET),
            may_hold_password=may_hold_password,
        )
    except RedisFlagsError as error:
        raise ConfigError(str(error)) from None


def topic_in(options: SegmentationOptions | argparse.Namespace, flag: str) -> str | None:
    """Returns the topic that a flag names, None if it was not given.

    Raises:
      ConfigError: it does not look like a topic's name.
    """
    return matching(options, flag, forms.TOPIC)


def _history(options: SegmentationOptions, bounded: bool) -> Table | Files:
    if one_of(options, "history_table", "history_path") == "history_path":
        if options.history_method != "STREAMING_INSERTS":
            raise ConfigError(
                "--history_method goes with --history_table only: leave it out with --history_path"
            )
        return _files(options, "history_path", "history_table", bounded)
    name = matching(options, "history_table", forms.TABLE)
    assert name is not None
    try:
        streamed = options.history_method == "STREAMING_INSERTS"
        return Table(name, None if streamed else storage_write_service(options))
    except CloudFlagsError as error:
        raise ConfigError(str(error)) from None


def _dead_letters(options: SegmentationOptions, bounded: bool) -> Topic | Files:
    if one_of(options, "dead_letter_topic", "dead_letter_path") == "dead_letter_path":
        return _files(options, "dead_letter_path", "dead_letter_topic", bounded)
    name = topic_in(options, "dead_letter_topic")
    assert name is not None
    return Topic(name)


def _files(options: SegmentationOptions, flag: str, instead: str, bounded: bool) -> Files:
    prefix = getattr(options, flag)
    if not bounded and prefix.startswith(CLOUD):
        raise ConfigError(f"--{flag} cannot be appended to on gs://: give --{instead} instead")
    return Files(prefix)


def _make_folder(flag: str, prefix: str) -> None:
    """Makes the folder of a prefix if it is missing."""
    if prefix.startswith(CLOUD):
        return
    folder = os.path.dirname(prefix) or "."
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--{flag}: {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--{flag}: {folder} cannot be written to")


def _subscription(options: SegmentationOptions) -> Subscription:
    name = matching(options, "input_subscription", forms.SUBSCRIPTION)
    assert name is not None
    return Subscription(name)


def _log(pattern: str, as_of_ms: int | None, now_ms: int) -> Log:
    try:
        paths = log_paths(pattern)
        if as_of_ms is None:
            as_of_ms = latest_event_ms(paths, now_ms)
        else:
            check_readable(paths)
    except LogError as error:
        raise ConfigError(f"--events: {error}") from None
    return Log(paths, as_of_ms, run=str(now_ms))


def _as_of_ms(options: SegmentationOptions, bounded: bool) -> int | None:
    if options.as_of is None:
        if bounded and options.events.startswith(CLOUD):
            raise ConfigError("--as_of is missing: a log on gs:// is not read twice to find it")
        return None
    if not bounded:
        raise ConfigError("--as_of goes with --events only: leave it out for a subscription")
    try:
        return parse_timestamp(options.as_of)
    except ValueError as error:
        raise ConfigError(f"--as_of: {error}") from None


def _definitions(path: str) -> LoadedDefinitions:
    try:
        return read_definitions(path, CloudFiles())
    except DefinitionsError as error:
        raise ConfigError(f"--segments: {error}") from None


def _tracking_plan(folder: str | None) -> TrackingPlanTexts | None:
    try:
        return read_tracking_plan(folder, CloudFiles()).texts if folder else None
    except TrackingPlanError as error:
        raise ConfigError(f"--tracking_plan: {error}") from None


def _ttl_ms(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--profile_ttl: {error}") from None
