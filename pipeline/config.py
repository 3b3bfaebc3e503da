"""Flags to one validated, frozen configuration; steps receive its values, never flags."""

import dataclasses
import glob
import re
import zlib
from urllib.parse import urlsplit

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from pipeline.options import SegmentationOptions
from segmentation.durations import parse_duration
from segmentation.events import InvalidEvent, parse_event
from segmentation.rules.load import load_rules
from segmentation.rules.problems import Problems
from segmentation.timestamps import parse_timestamp
from transforms.read_events import read_lines

_CLOUD = "gs://"
_TOPIC = "projects/P/topics/T"
_SUBSCRIPTION = "projects/P/subscriptions/S"
_SECRET = "projects/P/secrets/S/versions/V"
_TABLE = "PROJECT:DATASET.TABLE"
_FORMS = {
    _TOPIC: r"projects/[^/]+/topics/[^/]+",
    _SUBSCRIPTION: r"projects/[^/]+/subscriptions/[^/]+",
    _SECRET: r"projects/[^/]+/secrets/[^/]+/versions/[^/]+",
    _TABLE: r"[^\s:]+(:[^\s:]+)?:[A-Za-z0-9_]+\.[^\s.:]+",
}
_UNREADABLE = (OSError, EOFError, zlib.error, BeamIOError)


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
    history_table: str | None = None
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

    @classmethod
    def from_options(cls, options: SegmentationOptions, now_ms: int) -> "SegmentationConfig":
        """Returns the configuration that flags ask for; reads the rules and, for a default `--as_of`, the log.

        Raises:
          ConfigError: a wrong flag, an unreadable file or an invalid rule.
        """
        bounded = _one_of(options, "events", "input_subscription") == "events"
        if options.as_of is not None and not bounded:
            raise ConfigError("--as_of goes with --events only: leave it out for a subscription")
        rules_text = _read_rules(_required(options, "segments"))
        paths = _expand(options.events) if bounded else ()
        return cls(
            rules_text=rules_text,
            redis_url=_redis_url(_required(options, "redis_url")),
            redis_key_prefix=options.redis_key_prefix,
            profile_ttl_ms=_profile_ttl_ms(options.profile_ttl, rules_text),
            run=str(now_ms) if bounded else None,
            **_outputs(options, bounded),
            redis_auth_secret=_matching(options, "redis_auth_secret", _SECRET),
            redis_ca_secret=_matching(options, "redis_ca_secret", _SECRET),
            events=paths,
            as_of_ms=_as_of_ms(options.as_of, paths, now_ms) if bounded else None,
            input_subscription=_matching(options, "input_subscription", _SUBSCRIPTION),
        )


def _one_of(options: SegmentationOptions, flag: str, other: str) -> str:
    """Returns which of two flags was given; exactly one must be."""
    if bool(getattr(options, flag)) == bool(getattr(options, other)):
        raise ConfigError(f"give exactly one of --{flag} and --{other}")
    return flag if getattr(options, flag) else other


def _matching(options: SegmentationOptions, flag: str, form: str) -> str | None:
    """Returns a flag's value, None if it was not given; it must look as its form says."""
    value = getattr(options, flag)
    if value and re.fullmatch(_FORMS[form], value) is None:
        raise ConfigError(f"--{flag} must look like {form}, got {value}")
    return value or None


def _outputs(options: SegmentationOptions, bounded: bool) -> dict[str, str | None]:
    _one_of(options, "history_table", "history_path")
    _one_of(options, "dead_letter_topic", "dead_letter_path")
    for flag, instead in (("history_path", "history_table"), ("dead_letter_path", "dead_letter_topic")):
        if not bounded and (getattr(options, flag) or "").startswith(_CLOUD):
            raise ConfigError(f"--{flag} cannot be appended to on gs://: give --{instead} with a subscription")
    return {
        "history_table": _matching(options, "history_table", _TABLE),
        "history_path": options.history_path or None,
        "dead_letter_topic": _matching(options, "dead_letter_topic", _TOPIC),
        "dead_letter_path": options.dead_letter_path or None,
        "changes_topic": _matching(options, "changes_topic", _TOPIC),
    }


def _required(options: SegmentationOptions, flag: str) -> str:
    value = getattr(options, flag)
    if not value:
        raise ConfigError(f"--{flag} is missing")
    return str(value)


def _read_rules(path: str) -> str:
    try:
        with FileSystems.open(path) as file:
            text = file.read().decode()
    except _UNREADABLE as error:
        raise ConfigError(f"--segments: {path} cannot be read: {_reason(error)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--segments: {path} is not UTF-8") from None
    try:
        load_rules(text)
    except Problems as problems:
        mistakes = len(problems.problems)
        heading = f"--segments: {path} has {mistakes} mistake{'s' if mistakes > 1 else ''}:"
        raise ConfigError("\n".join([heading, *(f"  {problem}" for problem in problems.problems)])) from None
    return text


def _expand(pattern: str) -> tuple[str, ...]:
    """Returns the files that a pattern names, in order of their names."""
    try:
        if pattern.startswith(_CLOUD):
            found = [file.path for match in FileSystems.match([pattern]) for file in match.metadata_list]
        else:
            found = glob.glob(pattern)
        paths = tuple(sorted(found))
        if not paths:
            raise ConfigError(f"--events: {pattern} matches no file")
        for path in paths:
            next(read_lines(path), None)
    except _UNREADABLE as error:
        raise ConfigError(f"--events: {pattern} cannot be read: {_reason(error)}") from None
    return paths


def _redis_url(url: str) -> str:
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ConfigError("--redis_url must begin with redis://, rediss:// or unix:///")
    return url


def _profile_ttl_ms(text: str, rules_text: str) -> int:
    try:
        return max(parse_duration(text), load_rules(rules_text).longest_window_ms)
    except ValueError as error:
        raise ConfigError(f"--profile_ttl: {error}") from None


def _as_of_ms(text: str | None, paths: tuple[str, ...], now_ms: int) -> int:
    if text is not None:
        try:
            return parse_timestamp(text)
        except ValueError as error:
            raise ConfigError(f"--as_of: {error}") from None
    if any(path.startswith(_CLOUD) for path in paths):
        raise ConfigError("--as_of is missing: a log on gs:// is not read twice to find it")
    return latest_event_ms(paths, now_ms)


def latest_event_ms(paths: tuple[str, ...], now_ms: int) -> int:
    """Returns the greatest timestamp of a valid event that is not later than now; now if there is none."""
    latest_ms = None
    for path in paths:
        try:
            for line in read_lines(path):
                timestamp_ms = _timestamp_ms(line)
                if timestamp_ms is not None and (latest_ms or timestamp_ms) <= timestamp_ms <= now_ms:
                    latest_ms = timestamp_ms
        except _UNREADABLE as error:
            raise ConfigError(f"--events: {path} cannot be read: {_reason(error)}") from None
    return now_ms if latest_ms is None else latest_ms


def _timestamp_ms(line: bytes) -> int | None:
    try:
        return parse_event(line).timestamp_ms
    except InvalidEvent:
        return None  # the run itself makes a dead letter of it


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


