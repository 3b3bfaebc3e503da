"""Parsing and formatting of durations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.durations import MAX_MS, MIN_MS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1s", 1000),
        ("30s", 30_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s", 93_784_000),
        ("90m", 5_400_000),
        ("0d0h1m", 60_000),
        ("007s", 7000),
        ("400d", MAX_MS),
        ("399d24h", MAX_MS),
        ("0000000000000001d", 86_400_000),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "30",
        "30 s",
        " 30s",
        "30s\n",
        "1.5h",
        "-1h",
        "+1h",
        "30S",
        "1w",
        "1y",
        "100ms",
        "30m1h",
        "1h1h",
        "1h,30m",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(text)


def test_digits_are_those_of_ascii() -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration("３０s")


@pytest.mark.parametrize("text", ["0s", "0d", "400d1s", "401d", "1000000000001s", "9" * 60 + "d"])
def test_durations_out_of_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration of at least 1s and at most 400d"):
        parse_duration(text)


def test_a_duration_that_is_too_long_to_read() -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration("0" * 64 + "1d")


@given(st.integers(MIN_MS // 1000, MAX_MS // 1000))
def test_what_is_formatted_can_be_parsed(seconds: int) -> None:
    assert parse_duration(format_duration(seconds * 1000)) == seconds * 1000


def test_formatting_is_short() -> None:
    assert [format_duration(ms) for ms in (0, 1000, 5_400_000, MAX_MS)] == ["0s", "1s", "1h30m", "400d"]
