"""Loading a file of definitions: valid files load, and all mistakes of a file are reported at once."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from segmentation.documents.problems import Problem, Problems
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.rules.schema.measures import Measured
from segmentation.rules.schema.values import ValueTests
from tests.segmentation.rules.reports import on, report, segments, with_condition

HERE = Path(__file__).parent


# Files that load


@pytest.mark.parametrize(
    "text",
    [
        "version: 1",
        "version: 1.0",
        "version: 1\nsegments: {}",
        json.dumps({"version": 1, "segments": {"a": {"when": {"event": "A", "within": "1h30m"}}}}),
        "version: 1\nexport_traits: [plan, address.city]",
        "version: 1\nsegments:\n  a: &a {when: &w {event: A}}\n  b: {when: {not: *w}}\n  c: *a",
        "version: 1\r\nsegments:\r\n  a: {when: {event: A}}\r\n",
    ],
)
def test_valid_files_load(text: str) -> None:
    assert isinstance(load_rules(text), Rules)


@pytest.mark.parametrize(
    "condition",
    [
        "{event: on}",
        "{event: [yes, 'no', \"*\"]}",
        "{event: $page}",
        "{event: [$screen, $identify, $group, $alias]}",
        "{event: A, where: {context.device.type: mobile, 'properties.products[].sku': {in: [A, 1, true]}}}",
        "{event: A, where: {price: 5, 'two words': '', 'properties.tags[]': {not_equals: new}}}",
        "{event: A, count: {equals: 0}}",
        "{event: A, first: {of: properties.category, matches: ^shoes, ends_with: s, not_equals: 1}}",
        "{measure: spend, at_least: 1e15, less_than: 10}",
        "{sequence: [{event: A}], within: 1h, then_not: {event: B, for: 59m59s}}",
        "{sequence: [{event: A}, {event: B, max_gap: 1m, same: 'p[].x'}], within: 1d, same: p.y}",
        "{trait: plan, exists: false}",
        "{trait: address.geo.lat, more_than: -1.5}",
        "{score: engagement, not_in: [1, 2.5]}",
        "{all: [{any: [{not: {segment: viewer}}]}]}",
    ],
)
def test_valid_conditions_load(condition: str) -> None:
    assert on(condition) == []


# The whole report


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    found = report((HERE / "broken.yaml").read_text(encoding="utf-8"))
    assert found == (HERE / "broken.txt").read_text(encoding="utf-8").splitlines()


def test_a_problem_has_a_line_a_path_what_was_found_and_what_would_be_right() -> None:
    with pytest.raises(Problems) as caught:
        load_rules(with_condition("\n      event: A\n      withn: 3d"))
    assert caught.value.problems == [
        Problem(6, ("segments", "cart", "when", "withn"), "unknown key 'withn'", "did you mean 'within'?")
    ]
    assert (
        str(caught.value) == "line 6: segments.cart.when.withn: unknown key 'withn'; did you mean 'within'?"
    )


def test_keys_that_are_no_plain_words_are_quoted_in_paths() -> None:
    assert on('{event: A, where: {"a.b": {"": 1, "two words": 2}}}') == [
        "where['a.b']['']: unknown key ''; expected one of " + ", ".join(sorted(ValueTests.TEST_NAMES)),
        "where['a.b']['two words']: unknown key 'two words'; expected one of "
        + ", ".join(sorted(ValueTests.TEST_NAMES)),
    ]


def test_what_is_long_is_shortened() -> None:
    (found,) = on(f"{{event: A, within: {'x' * 1000}}}")
    assert len(found) < 200
    (found,) = report(f"version: 1\n{'x' * 1000}: 1")
    assert len(found) < 300


@pytest.mark.parametrize("text", ["", "# nothing", "[]", "text", "- version: 1"])
def test_a_file_is_a_mapping(text: str) -> None:
    assert report(text) == ["line 1: the file is no mapping; begin with version: 1 and segments:"]


@pytest.mark.parametrize(
    ("version", "shown"),
    [("2", "2"), ("'1'", "'1'"), ("true", "true"), ("", "nothing"), ("[]", "an empty list")],
)
def test_the_version_is_1(version: str, shown: str) -> None:
    assert report(f"version: {version}") == [
        f"line 1: version: found {shown}; expected 1, the only version there is"
    ]


def test_the_version_is_required() -> None:
    assert report("\nsegments: {}") == ["line 2: the key 'version' is missing; add it, such as version: 1"]


def test_what_reading_meets_hides_nothing() -> None:
    text = (
        "version: 1\nsegments:\n  a: {when: {event: A}}\n  a: {when: {event: B}}\n  b: {when: {evnt: !x A}}"
    )
    assert report(text) == [
        "line 4: segments.a: the key 'a' occurs twice, first on line 3; keep one of them",
        "line 5: segments.b.when.evnt: the tag !x; leave the tag out",
        "line 5: segments.b.when.evnt: unknown key 'evnt'; did you mean 'event'?",
    ]


# One mistake hides no other


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            "{evnt: A, withn: 3, count: {atleast: x}}",
            [
                "count.at_least: found 'x'; expected a number from -1e15 to 1e15",
                "count.atleast: unknown key 'atleast'; did you mean 'at_least'?",
                "evnt: unknown key 'evnt'; did you mean 'event'?",
                "within: found 3; expected a duration such as 30s, 10m, 2h, 7d or 1h30m",
                "withn: unknown key 'withn'; did you mean 'within'?",
            ],
        ),
        (  # of the schema, and of the meaning
            "{event: A, within: 3, count: {at_least: 1}, sum: {of: a, matches: (}}",
            [
                "sum.matches: an expression that RE2 refuses: missing ): (; "
                "see the syntax of RE2 (no look-around, no back-reference)",
                "sum: two measures: count and sum; keep one, or join two conditions under all:",
                "within: found 3; expected a duration such as 30s, 10m, 2h, 7d or 1h30m",
            ],
        ),
        (  # the meaning of what stands under a misspelt key
            "{sequnce: [{event: A, max_gap: 1m}], within: 1h, then_not: {event: B, for: 1h}}",
            [
                "sequence[0].max_gap: a gap before the first step; leave it out",
                "sequnce: unknown key 'sequnce'; did you mean 'sequence'?",
                "then_not.for: 1h is not shorter than within: 1h; shorten it, or lengthen within:",
            ],
        ),
        (
            "{event: A, measure: nothing, within: 1x, zebra: 1, at_least: y}",
            [
                "at_least: found 'y'; expected a number from -1e15 to 1e15",
                "measure: unknown measure 'nothing'; known are orders, orders_ever, products, skus, spend",
                "within: found '1x'; expected a duration such as 30s, 10m, 2h, 7d or 1h30m",
                "zebra: unknown key 'zebra'; expected one of ",
                ": two forms in one condition: event and measure; join them under all: or any:",
            ],
        ),
        (
            "{all: [{event: 1}], any: [{event: 2}]}",
            [
                "all[0].event: found 1; expected a text",
                "any[0].event: found 2; expected a text",
                ": two forms in one condition: all and any; join them under all: or any:",
            ],
        ),
    ],
)
def test_one_mistake_hides_no_other(condition: str, expected: list[str]) -> None:
    found = on(condition)
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def test_a_misspelt_section_hides_nothing() -> None:
    assert report("version: 1\nsegmnts:\n  a:\n    whn: {evnt: A}\n  b: {when: {segment: c}}") == [
        "line 2: segmnts: unknown key 'segmnts'; did you mean 'segments'?",
        "line 4: segments.a.when.evnt: unknown key 'evnt'; did you mean 'event'?",
        "line 4: segments.a.whn: unknown key 'whn'; did you mean 'when'?",
        "line 5: segments.b.when.segment: unknown segment 'c'; known are a, b",
    ]


@pytest.mark.parametrize("key", ["<event>", "[key]", "<of>", "<"])
def test_keys_that_look_like_marks_harm_nobody(key: str) -> None:
    assert any(f"unknown key {key!r}" in line for line in on(f"{{event: A, {key!r}: 1}}"))
    assert any(f"unknown key {key!r}" in line for line in report(f"version: 1\n{key!r}: {{a: 1}}"))
    assert any(f"found {key!r}" in line for line in report(f"version: 1\nsegments: {{{key!r}: {{}}}}"))


# Limits


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"{{trait: a, matches: {'x' * 1001}}}", "a limit is exceeded: at most 1000 are taken"),
        (f"{{event: {'x' * 1001}}}", "a limit is exceeded: at most 1000 are taken"),
        (f"{{trait: {'x' * 501}, exists: true}}", "a limit is exceeded: at most 500 are taken"),
        (
            f"{{trait: a, in: {list(range(1001))}}}",
            "in: found 1001 entries; a limit is exceeded: at most 1000",
        ),
        (
            f"{{event: {list(map(str, range(1001)))}}}",
            "event: found 1001 entries; a limit is exceeded: at most 1000",
        ),
        (f"{{all: [{'{event: A}, ' * 1001}]}}", "all: found 1001 entries; a limit is exceeded: at most 1000"),
        (
            f"{{sequence: [{'{event: A}, ' * 21}], within: 1d}}",
            "sequence: found 21 entries; a limit is exceeded: at",
        ),
    ],
)
def test_limits(condition: str, expected: str) -> None:
    (found,) = on(condition)
    assert expected in found


def many_segments(count: int) -> str:
    lines = (
        f"  s{i}: {{when: {{event: E{i % 100}, within: {i + 1}s, count: {{at_least: 2}}}}}}"
        for i in range(count)
    )
    return "version: 1\nsegments:\n" + "\n".join(lines)


def many_mistakes(count: int) -> str:
    return segments({f"s{i}": {"segment": f"s{i + count}"} for i in range(count - 1)} | {"a": {"evnt": "A"}})


def calls(action: Callable[[], object]) -> int:
    """Returns how many functions are called, Python's and C's."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def test_ten_thousand_segments_load() -> None:
    assert len(load_rules(many_segments(10_000)).segments) == 10_000


@pytest.mark.parametrize(
    "act",
    [lambda n: load_rules(many_segments(n)), lambda n: report(many_mistakes(n))],
    ids=["load", "report"],
)
def test_the_cost_grows_with_the_number_of_segments_and_no_faster(act: Callable[[int], object]) -> None:
    act(10)  # fills caches
    few, many = calls(lambda: act(200)), calls(lambda: act(1_000))
    assert many < 6 * few


def test_more_than_ten_thousand_segments_are_refused() -> None:
    assert report(many_segments(10_001)) == [
        "line 2: segments: found 10001 entries; a limit is exceeded: at most 10000 are taken"
    ]


def test_ten_thousand_mistakes_are_reported() -> None:
    assert len(report(many_mistakes(10_000))) == 10_000


def test_aliases_that_multiply_conditions_are_refused() -> None:
    lines = ["version: 1", "segments:", "  s0: {when: &s0 {event: A}}"]
    lines += [f"  s{i}: {{when: &s{i} {{all: [{', '.join([f'*s{i - 1}'] * 20)}]}}}}" for i in range(1, 8)]
    (found,) = report("\n".join(lines))
    assert found.endswith("values, with those that aliases repeat; use fewer aliases")


def test_the_deepest_condition_that_fits_loads() -> None:
    assert on("{not: " * 60 + "{event: A}" + "}" * 60) == []
    assert on("{all: [" * 30 + "{event: A}" + "]}" * 30) == []


def test_all_measures_are_tried() -> None:
    for measure in Measured.MEASURES:
        path = "" if measure == "count" else "of: a, "
        assert on(f"{{event: A, {measure}: {{{path}at_least: 1}}}}") == []
