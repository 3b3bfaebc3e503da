"""Turns flags into one validated, frozen configuration. Steps receive its values, never flags."""

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
from segmentation.events import EventLimits
from segmentation.identifiers import DEFAULT_IGNORED_IDS, IgnoredIds
from segmentation.timestamps import parse_timestamp
from segmentation.tracking_plan.load import TrackingPlanError
from stores.definitions import DefinitionsError, LoadedDefinitions, read_definitions
from stores.files import CLOUD
from stores.ignored_ids import IgnoredIdsError, read_ignored_ids
from stores.private_files import make_private_folder
from stores.redis.access import RedisTarget
from stores.segments.writer import DEFAULT_IDLE_TTL_MS
from stores.tracking_plan import TrackingPlanTexts, read_tracking_plan


@dataclasses.dataclass(frozen=True)
class Log:
    """A bounded source: files that are read in order. The run ends at a given instant of event time."""

    paths: tuple[str, ...]
    """The files, in the order in which they are read."""
    as_of_ms: int
    """The instant at which event time ends, in Unix milliseconds."""
    run: str
    """An id of the run; it is part of the names of the files that the run writes."""


@dataclasses.dataclass(frozen=True)
class Subscription:
    """An unbounded source: a Pub/Sub subscription."""

    name: str
    """projects/P/subscriptions/S."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A BigQuery table for the history."""

    name: str
    """PROJECT:DATASET.TABLE."""
    storage_write_service: str | None = None
    """Beam's expansion service for the Storage Write API: HOST:PORT or a jar. None: streaming inserts."""


@dataclasses.dataclass(frozen=True)
class Topic:
    """A Pub/Sub topic for dead letters."""

    name: str
    """projects/P/topics/T."""


@dataclasses.dataclass(frozen=True)
class Files:
    """Files of JSON lines, for the history or for dead letters."""

    prefix: str
    """The path with which each file's name begins."""


@dataclasses.dataclass(frozen=True)
class SegmentationConfig:
    """The configuration of the main job."""

    source: Log | Subscription
    rules_text: str = dataclasses.field(repr=False)
    redis: RedisTarget
    redis_key_prefix: str
    profile_ttl_ms: int
    history: Table | Files
    dead_letters: Topic | Files
    changes_topic: str | None = None
    tracking_plan: TrackingPlanTexts | None = dataclasses.field(default=None, repr=False)
    """The schemas that events must match. None: only `parse_event` checks events."""
    ignored_ids: IgnoredIds = DEFAULT_IGNORED_IDS
    idle_ttl_ms: int = DEFAULT_IDLE_TTL_MS
    """The TTL in Redis of a visitor without any membership; at most `profile_ttl_ms`."""

    @property
    def as_of_ms(self) -> int | None:
        """The instant at which a bounded run ends, in Unix milliseconds; None for a live run."""
        return self.source.as_of_ms if isinstance(self.source, Log) else None

    @property
    def run(self) -> str | None:
        """The id of a bounded run, which is part of its files' names; None for a live run."""
        return self.source.run if isinstance(self.source, Log) else None

    @classmethod
    def from_options(cls, options: SegmentationOptions, now_ms: int) -> "SegmentationConfig":
        """Returns the configuration that flags describe. Reads the definitions and the log, and makes folders.

        Raises:
          ConfigError: a flag is wrong, a file cannot be read, or a definition is invalid.
        """
        bounded = one_of(options, "events", "input_subscription") == "events"
        require(options, "segments", "redis_url")
        runner = options.view_as(StandardOptions).runner or ""
        redis = redis_target_from(options, may_hold_password="dataflow" not in runner.lower())
        history, dead_letters = _history(options, bounded), _dead_letters(options, bounded)
        if history == dead_letters:
            raise ConfigError("--history_path and --dead_letter_path must differ")
        changes_topic = topic_from(options, "changes_topic")
        as_of_ms = _as_of_ms(options, bounded)
        definitions = _definitions(options.segments)
        profile_ttl_ms = max(_ttl_ms(options, "profile_ttl"), definitions.rules.longest_window_ms)
        tracking_plan = _tracking_plan(options.tracking_plan)
        ignored_ids = _ignored_ids(options.ignored_ids)
        source = (
            _log(options.events, as_of_ms, now_ms, EventLimits(ignored_ids))
            if bounded
            else _subscription(options)
        )
        for flag, output in (("history_path", history), ("dead_letter_path", dead_letters)):
            if isinstance(output, Files):
                _make_folder(flag, output.prefix)
        return cls(
            source=source,
            rules_text=definitions.text,
            redis=redis,
            redis_key_prefix=options.redis_key_prefix,
            profile_ttl_ms=profile_ttl_ms,
            history=history,
            dead_letters=dead_letters,
            changes_topic=changes_topic,
            tracking_plan=tracking_plan,
            ignored_ids=ignored_ids,
            idle_ttl_ms=min(_ttl_ms(options, "idle_ttl"), profile_ttl_ms),
        )


def redis_target_from(
    options: SegmentationOptions | argparse.Namespace, *, may_hold_password: bool
) -> RedisTarget:
    """Returns the target that the flags of `add_redis_flags` describe. Does not connect.

    Args:
      options: the flags; --redis_url is among them.
      may_hold_password: whether the URL may contain a password, because the flags stay on this machine.

    Raises:
      ConfigError: a flag is malformed, flags contradict each other, or other people could read a password.
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


def topic_from(options: SegmentationOptions | argparse.Namespace, flag: str) -> str | None:
    """Returns the value of a flag that names a topic; None if the flag was not given.

    Raises:
      ConfigError: the value is not of the form projects/P/topics/T.
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
    name = topic_from(options, "dead_letter_topic")
    assert name is not None
    return Topic(name)


def _files(options: SegmentationOptions, flag: str, alternative: str, bounded: bool) -> Files:
    prefix = getattr(options, flag)
    if not bounded and prefix.startswith(CLOUD):
        raise ConfigError(f"--{flag} cannot be appended to on gs://: give --{alternative} instead")
    return Files(prefix)


def _make_folder(flag: str, prefix: str) -> None:
    """Makes the folder of a local prefix, for its owner only, if it does not exist."""
    if prefix.startswith(CLOUD):
        return
    folder = os.path.dirname(prefix) or "."
    try:
        make_private_folder(folder)
    except OSError as error:
        raise ConfigError(f"--{flag}: {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--{flag}: {folder} cannot be written to")


def _subscription(options: SegmentationOptions) -> Subscription:
    name = matching(options, "input_subscription", forms.SUBSCRIPTION)
    assert name is not None
    return Subscription(name)


def _log(pattern: str, as_of_ms: int | None, now_ms: int, limits: EventLimits) -> Log:
    try:
        paths = log_paths(pattern)
        if as_of_ms is None:
            as_of_ms = latest_event_ms(paths, now_ms, limits)
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


def _ignored_ids(path: str | None) -> IgnoredIds:
    try:
        return read_ignored_ids(path, CloudFiles()) if path else DEFAULT_IGNORED_IDS
    except IgnoredIdsError as error:
        raise ConfigError(f"--ignored_ids: {error}") from None


def _ttl_ms(options: SegmentationOptions, flag: str) -> int:
    try:
        return parse_duration(getattr(options, flag))
    except ValueError as error:
        raise ConfigError(f"--{flag}: {error}") from None
