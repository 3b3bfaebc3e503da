"""docs/canary.md shows what the command needs, takes and says."""

import json
import re
from pathlib import Path

from commands.canary import DEFINITION, PROFILE_PREFIX, PROFILES, CanaryResult, parser

TEXT = Path("docs/canary.md").read_text()


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_segment_is_the_one_that_the_command_asks_for() -> None:
    assert block("yaml") == DEFINITION


def test_the_command_has_the_flags_that_are_shown() -> None:
    _, _, command = block("sh").replace("\\\n", "").partition("canary ")
    flags = parser().parse_args(command.split())
    assert (flags.timeout_seconds, flags.redis_key_prefix) == (60, "segments:")
    assert "--timeout_seconds` (60)" in TEXT


def test_the_line_is_of_the_form_that_is_shown() -> None:
    shown = json.loads(block("json"))
    assert json.loads(CanaryResult(shown["event_to_redis_ms"], shown["exit_lag_ms"]).line()) == shown


def test_the_profiles_are_those_that_are_named() -> None:
    assert f"`{PROFILE_PREFIX}0` to `{PROFILE_PREFIX}{PROFILES - 1}`" in TEXT
