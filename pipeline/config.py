"""Flags to one validated, frozen configuration; steps receive its values, never flags."""

import argparse
import dataclasses
import glob
import os
import re
import zlib

from apache_beam.options.pipeline_options import StandardOptions
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from pipeline.cloud_files import CloudFiles
from pipeline.flags.cloud import CloudFlagsError, storage_write_service
from pipeline.flags.redis import RedisFlagsError, redis_target
from pipeline.options import SegmentationOptions
from segmentation.durations import parse_duration
from segmentation.events import InvalidEvent, parse_event
from segmentation.timestamps import parse_timestamp
from segmentation.tracking_plan.load import TrackingPlanError
from stores.definitions import Definitions, DefinitionsError, read_definitions
from stores.files import CLOUD
from stores.redis.access import RedisTarget
from stores.tracking_plan import TrackingPlanTexts, read_tracking_plan
from transforms.read_events import read_lines

_TOPIC = "projects/P/topics/T, P of 6 characters or more"
_SUBSCRIPTION = "projects/P/subscriptions/S, P of 6 characters or more"
_SECRET = "projects/P/secrets/S/versions/V"
_TABLE = "PROJECT:DATASET.TABLE"
_PROJECT = "[a-z][-a-z0-9:.]{4,61}[a-z0-9]"  # what Beam takes
_FORMS = {
    _TOPIC: rf"projects/{_PROJECT}/topics/[^/]+",
    _SUBSCRIPTION: rf"projects/{_PROJECT}/subscriptions/[^/]+",
    _SECRET: r"projects/[^/]+/secrets/[^/]+/versions/[^/]+",
    _TABLE: r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*[a-z0-9]:[A-Za-z0-9_]{1,1024}\.[\w-]{1,1024}",
}
_UNREADABLE = (OSError, EOFError, zlib.error, GoogleAPIError, GoogleAuthError)


class ConfigError(ValueError):
    """A flag, a file or a rule is wrong; the message says what to change."""


@dataclasses.dataclass(frozen=True)
class SegmentationConfig:
    """What the main job needs to know. Exactly one of `events` and `input_subscription` is set."""

    rules_text: str = dataclasses.field(repr=False)
    redis_url: str = dataclasses.field(repr=False)
    redis_key_prefix: str
    profile_ttl_ms: int
    run: str | None
    """Names the files of a bounded run; None for an unbounded one."""
    tracking_plan: TrackingPlanTexts | None = dataclasses.field(default=None, repr=False)
    """What events must look like; None: no more than an event's contract says."""
    history_table: str | None = None
    storage_write_service: str | None = None
    """What describes the Storage Write API's step to Beam, HOST:PORT or a jar; None: streaming inserts."""
    history_path: str | None = None
    dead_letter_topic: str | None = None
    dead_letter_path: str | None = None
    changes_topic: str | None = None
    redis_auth_secret: str | None = None
    redis_ca_secret: str | None = None
    events: tuple[str, ...] = ()
    """Paths of the log's files, in the order in which they are read."""
    as_of_ms: int | None = None
    input_subscription: str | None = None

    @property
    def redis(self) -> RedisTarget:
        """Where Redis is, and the secrets that open it."""
        return RedisTarget(self.redis_url, self.redis_auth_secret, self.redis_ca_secret)

    @classmethod
    def from_options(cls, options: SegmentationOptions, now_ms: int) -> "SegmentationConfig":
        """Returns the configuration that flags ask for; reads the rules and the log, a local one to its end.

        Raises:
          ConfigError: a wrong flag, an unreadable file or an invalid rule.
        """
        bounded = _one_of(options, "events", "input_subscription") == "events"
        _require(options, "segments", "redis_url")
        runner = options.view_as(StandardOptions).runner or ""
        redis = redis_of(options, may_hold_password="dataflow" not in runner.lower())
        outputs = _outputs(options, bounded)
        as_of_ms = _as_of_ms(options, bounded)
        definitions = _definitions(options.segments)
        tracking_plan = _tracking_plan(options.tracking_plan)
        paths: tuple[str, ...] = ()
        if bounded:
            paths = _expand(options.events)
            if as_of_ms is None:
                as_of_ms = latest_event_ms(paths, now_ms)
            else:
                _check_readable(paths)
        return cls(
            rules_text=definitions.text,
            redis_url=redis.url,
            redis_key_prefix=options.redis_key_prefix,
            profile_ttl_ms=max(_ttl_ms(options.profile_ttl), definitions.rules.longest_window_ms),
            run=str(now_ms) if bounded else None,
            tracking_plan=tracking_plan,
            **outputs,
            redis_auth_secret=redis.auth_secret,
            redis_ca_secret=redis.ca_secret,
            events=paths,
            as_of_ms=as_of_ms,
            input_subscription=_matching(options, "input_subscription", _SUBSCRIPTION),
        )


def latest_event_ms(paths: tuple[str, ...], now_ms: int) -> int:
    """Returns the greatest timestamp of a valid event that is not later than now; now if there is none.

    Raises:
      ConfigError: a file cannot be read.
    """
    latest_ms = None
    for path in paths:
        try:
            for line in read_lines(path):
                timestamp_ms = _timestamp_ms(line)
                if timestamp_ms is not None and timestamp_ms <= now_ms:
                    latest_ms = timestamp_ms if latest_ms is None else max(latest_ms, timestamp_ms)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from None
    return now_ms if latest_ms is None else latest_ms


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
            _matching(options, "redis_auth_secret", _SECRET),
            _matching(options, "redis_ca_secret", _SECRET),
            may_hold_password=may_hold_password,
        )
    except RedisFlagsError as error:
        raise ConfigError(str(error)) from None


def topic_in(options: SegmentationOptions | argparse.Namespace, flag: str) -> str | None:
    """Returns the topic that a flag names, None if it was not given.

    Raises:
      ConfigError: it does not look like a topic's name.
    """
    return _matching(options, flag, _TOPIC)


def _one_of(options: SegmentationOptions, flag: str, other: str) -> str:
    """Returns which of two flags was given; exactly one must be."""
    if bool(getattr(options, flag)) == bool(getattr(options, other)):
        raise ConfigError(f"give exactly one of --{flag} and --{other}")
    return flag if getattr(options, flag) else other


def _require(options: SegmentationOptions, *flags: str) -> None:
    missing = [f"--{flag}" for flag in flags if not getattr(options, flag)]
    if missing:
        raise ConfigError(f"missing: {', '.join(missing)}")


def _matching(options: SegmentationOptions | argparse.Namespace, flag: str, form: str) -> str | None:
    """Returns a flag's value, None if it was not given; it must look as its form says."""
    value = getattr(options, flag)
    if value and re.fullmatch(_FORMS[form], value) is None:
        found = "" if form == _SECRET else f", got {value}"  # it may be the secret itself
        raise ConfigError(f"--{flag} must look like {form}{found}")
    return value or None


def _outputs(options: SegmentationOptions, bounded: bool) -> dict[str, str | None]:
    _one_of(options, "history_table", "history_path")
    _one_of(options, "dead_letter_topic", "dead_letter_path")
    for flag, instead in (("history_path", "history_table"), ("dead_letter_path", "dead_letter_topic")):
        if not bounded and (getattr(options, flag) or "").startswith(CLOUD):
            raise ConfigError(f"--{flag} cannot be appended to on gs://: give --{instead} instead")
        _make_folder(flag, getattr(options, flag))
    if options.history_path and options.history_path == options.dead_letter_path:
        raise ConfigError("--history_path and --dead_letter_path must differ")
    return {
        "history_table": _matching(options, "history_table", _TABLE),
        "storage_write_service": _storage_write_service(options),
        "history_path": options.history_path or None,
        "dead_letter_topic": topic_in(options, "dead_letter_topic"),
        "dead_letter_path": options.dead_letter_path or None,
        "changes_topic": topic_in(options, "changes_topic"),
    }


def _storage_write_service(options: SegmentationOptions) -> str | None:
    if options.history_method == "STREAMING_INSERTS":
        return None
    if not options.history_table:
        raise ConfigError("--history_method goes with --history_table only: leave it out with --history_path")
    try:
        return storage_write_service(options)
    except CloudFlagsError as error:
        raise ConfigError(str(error)) from None


def _make_folder(flag: str, prefix: str | None) -> None:
    """Makes the folder of a prefix if it is missing."""
    if not prefix or prefix.startswith(CLOUD):
        return
    folder = os.path.dirname(prefix) or "."
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--{flag}: {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--{flag}: {folder} cannot be written to")


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


def _definitions(path: str) -> Definitions:
    try:
        return read_definitions(path, CloudFiles())
    except DefinitionsError as error:
        raise ConfigError(f"--segments: {error}") from None


def _tracking_plan(folder: str | None) -> TrackingPlanTexts | None:
    try:
        return read_tracking_plan(folder, CloudFiles()).texts if folder else None
    except TrackingPlanError as error:
        raise ConfigError(f"--tracking_plan: {error}") from None


def _expand(pattern: str) -> tuple[str, ...]:
    """Returns the files that a pattern names, in order of their names."""
    try:
        found = CloudFiles().match(pattern) if pattern.startswith(CLOUD) else glob.glob(pattern)
    except _UNREADABLE as error:
        raise _unreadable(pattern, error) from None
    if not found:
        raise ConfigError(f"--events: {pattern} matches no file")
    return tuple(sorted(found))


def _check_readable(paths: tuple[str, ...]) -> None:
    """Reads the beginning of each file, and the whole of a local .gz, which may be damaged anywhere."""
    for path in paths:
        try:
            for _ in read_lines(path):
                if path.startswith(CLOUD) or not path.endswith(".gz"):
                    break
        except _UNREADABLE as error:
            raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or str(error)
    return ConfigError(f"--events: {path} cannot be read: {reason}")


def _timestamp_ms(line: bytes) -> int | None:
    try:
        return parse_event(line).timestamp_ms
    except InvalidEvent:
        return None  # the run itself makes a dead letter of it


def _ttl_ms(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--profile_ttl: {error}") from None
