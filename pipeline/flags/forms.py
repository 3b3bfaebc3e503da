"""Checks the form of flags' values, and which flags were given."""

import argparse
import re

from apache_beam.options.pipeline_options import PipelineOptions

TOPIC = "projects/P/topics/T, P of 6 characters or more"
SUBSCRIPTION = "projects/P/subscriptions/S, P of 6 characters or more"
SECRET = "projects/P/secrets/S/versions/V"
TABLE = "PROJECT:DATASET.TABLE"
_PROJECT = "[a-z][-a-z0-9:.]{4,61}[a-z0-9]"  # the names that Beam accepts
_FORMS = {
    TOPIC: rf"projects/{_PROJECT}/topics/[^/]+",
    SUBSCRIPTION: rf"projects/{_PROJECT}/subscriptions/[^/]+",
    SECRET: r"projects/[^/]+/secrets/[^/]+/versions/[^/]+",
    TABLE: r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*[a-z0-9]:[A-Za-z0-9_]{1,1024}\.[\w-]{1,1024}",
}

Flags = PipelineOptions | argparse.Namespace


class ConfigError(ValueError):
    """A flag, a file or a definition is wrong. The message contains the fix."""


def one_of(flags: Flags, flag: str, other: str) -> str:
    """Returns the name of the one of two flags that was given.

    Raises:
      ConfigError: both were given, or neither.
    """
    if bool(getattr(flags, flag)) == bool(getattr(flags, other)):
        raise ConfigError(f"give exactly one of --{flag} and --{other}")
    return flag if getattr(flags, flag) else other


def require(flags: Flags, *names: str) -> None:
    """Checks that all these flags were given.

    Raises:
      ConfigError: a flag is missing.
    """
    missing = [f"--{name}" for name in names if not getattr(flags, name)]
    if missing:
        raise ConfigError(f"missing: {', '.join(missing)}")


def matching(flags: Flags, flag: str, form: str) -> str | None:
    """Returns the value of a flag; None if the flag was not given.

    Args:
      flags: the flags.
      flag: the name of one of them.
      form: the form that its value must have: `TOPIC`, `SUBSCRIPTION`, `SECRET` or `TABLE`.

    Raises:
      ConfigError: the value does not have the form.
    """
    value: str | None = getattr(flags, flag)
    if value and re.fullmatch(_FORMS[form], value) is None:
        found = "" if form == SECRET else f", got {value}"  # the value may be the secret itself
        raise ConfigError(f"--{flag} must look like {form}{found}")
    return value or None
