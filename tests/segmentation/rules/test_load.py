"""Loading a file of definitions: what is valid loads, of what is not every mistake is reported at once."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from segmentation.documents.problems import Problem, Problems
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.rules.schema.conditions import FORMS
from segmentation.rules.schema.measures import Measured
from segmentation.rules.schema.values import ValueTests

HERE = Path(__file__).parent
DEFINITIONS = """
  viewer: {when: {event: Product Viewed}}
measures:
  orders: {event: Order Completed, within: 90d, count: {}}
  orders_ever: {event: Order Completed, count: {}}
  products: {event: Product Viewed, within: 90d, distinct: {of: properties.product_id}}
  skus: {event: Order Completed, within: 90d, distinct: {of: "properties.products[].sku"}}
  spend: {event: Order Completed, within: 90d, sum: {of: properties.total}}
scores:
  engagement: {earn: [{event: Product Viewed, points: 1}]}
"""


def report(text: str) -> list[str]:
    """Returns what is said of a file, line by line; nothing where it loads."""
    try:
        load_rules(text)
    except Problems as problems:
        return str(problems).splitlines()
    return []


def with_condition(condition: str) -> str:
    """Returns a file with a segment whose condition stands on line 4."""
    return f"version: 1\nsegments:\n  cart:\n    when: {condition}{DEFINITIONS}"


def on(condition: str) -> list[str]:
    """Returns what is said of a condition, each with its place in the condition."""
    found = report(with_condition(condition))
    prefix = "line 4: segments.cart.when"
    assert all(line.startswith(prefix) for line in found), found
    return [line.removeprefix(prefix).removeprefix(".") for line in found]


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


# Unknown keys


@pytest.mark.parametrize(
    ("text", "path", "key", "meant"),
    [
        ("version: 1\nsegmnts: {}", "segmnts", "segmnts", "segments"),
        ("version: 1\nexport_trait: []", "export_trait", "export_trait", "export_traits"),
        (
            "version: 1\nmeasures: {m: {event: A, witin: 1d, count: {}}}",
            "measures.m.witin",
            "witin",
            "within",
        ),
        ("version: 1\nmeasures: {m: {event: A, cuont: {}}}", "measures.m.cuont", "cuont", "count"),
        ("version: 1\nmeasures: {m: {event: A, sum: {off: a}}}", "measures.m.sum.off", "off", "of"),
        (
            "version: 1\nscores: {s: {halflife: 1d, earn: [{event: A, points: 1}]}}",
            "scores.s.halflife",
            "halflife",
            "half_life",
        ),
        ("version: 1\nscores: {s: {earns: [{event: A, points: 1}]}}", "scores.s.earns", "earns", "earn"),
        (
            "version: 1\nscores: {s: {earn: [{event: A, point: 1}]}}",
            "scores.s.earn[0].point",
            "point",
            "points",
        ),
        (
            "version: 1\nscores: {s: {earn: [{event: A, points: {of: a, time: 2}}]}}",
            "scores.s.earn[0].points.time",
            "time",
            "times",
        ),
        ("version: 1\nsegments: {a: {wen: {event: A}}}", "segments.a.wen", "wen", "when"),
        (
            "version: 1\nsegments: {a: {descripton: x, when: {event: A}}}",
            "segments.a.descripton",
            "descripton",
            "description",
        ),
    ],
)
def test_the_nearest_key_is_named(text: str, path: str, key: str, meant: str) -> None:
    assert report(text) == [f"line 2: {path}: unknown key {key!r}; did you mean {meant!r}?"]


@pytest.mark.parametrize(
    ("condition", "path", "meant"),
    [
        ("{al: [{event: A}]}", "al", "all"),
        ("{anny: [{event: A}]}", "anny", "any"),
        ("{and: [{event: A}]}", "and", "all"),
        ("{or: [{event: A}]}", "or", "any"),
        ("{nott: {event: A}}", "nott", "not"),
        ("{segmnt: viewer}", "segmnt", "segment"),
        ("{evnt: A}", "evnt", "event"),
        ("{mesure: orders, at_least: 1}", "mesure", "measure"),
        ("{sequnce: [{event: A}], within: 1d}", "sequnce", "sequence"),
        ("{trai: plan, exists: true}", "trai", "trait"),
        ("{scores: engagement, at_least: 1}", "scores", "score"),
        ("{event: A, were: {a: 1}}", "were", "where"),
        ("{event: A, withn: 1d}", "withn", "within"),
        ("{event: A, averge: {of: a, at_least: 1}}", "averge", "average"),
        ("{event: A, distnct: {of: a, at_least: 1}}", "distnct", "distinct"),
        ("{event: A, count: {atleast: 1}}", "count.atleast", "at_least"),
        ("{event: A, last: {off: a, equals: 1}}", "last.off", "of"),
        ("{event: A, last: {of: a, equal: 1}}", "last.equal", "equals"),
        ("{event: A, where: {a: {startswith: b}}}", "where.a.startswith", "starts_with"),
        ("{measure: orders, more_then: 1}", "more_then", "more_than"),
        ("{trait: plan, exist: true}", "exist", "exists"),
        ("{score: engagement, lessthan: 1}", "lessthan", "less_than"),
        ("{sequence: [{evnt: A}], within: 1d}", "sequence[0].evnt", "event"),
        ("{sequence: [{event: A}, {event: B, maxgap: 1m}], within: 1d}", "sequence[1].maxgap", "max_gap"),
        ("{sequence: [{event: A}], witihn: 1d}", "witihn", "within"),
        ("{sequence: [{event: A}], within: 1d, sme: a.b}", "sme", "same"),
        ("{sequence: [{event: A}], within: 1d, thennot: {event: B, for: 1m}}", "thennot", "then_not"),
        ("{sequence: [{event: A}], within: 1d, then_not: {event: B, fro: 1m}}", "then_not.fro", "for"),
        ("{sequence: [{event: A}], within: 1d, then_not: {event: B, durng: 1m}}", "then_not.durng", "during"),
        (
            "{sequence: [{event: A}], within: 1d, then_not: [{event: B, for: 1m, wher: {a: 1}}]}",
            "then_not[0].wher",
            "where",
        ),
        ("{all: [{not: {any: [{event: A, cout: {at_least: 2}}]}}]}", "all[0].not.any[0].cout", "count"),
    ],
)
def test_the_nearest_key_is_named_in_conditions(condition: str, path: str, meant: str) -> None:
    key = path.rpartition(".")[2]
    assert on(condition) == [f"{path}: unknown key {key!r}; did you mean {meant!r}?"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("version: 1\nzebra: 1", "export_traits, measures, scores, segments, version"),
        ("version: 1\nsegments: {a: {zebra: 1, when: {event: A}}}", "description, when"),
        ("version: 1\nscores: {s: {earn: [{event: A, points: 1, zebra: 1}]}}", "event, points, where"),
        ("version: 1\nscores: {s: {earn: [{event: A, points: {of: a, zebra: 1}}]}}", "of, times"),
        ("version: 1\nmeasures: {s: {event: A, sum: {of: a, zebra: 1}}}", "of"),
        (
            "version: 1\nsegments: {a: {when: {sequence: [{event: A, zebra: 1}], within: 1d}}}",
            "event, max_gap, same, where",
        ),
        (
            "version: 1\nsegments: {a: {when: {not: {segment: b, zebra: 1}}}, b: {when: {event: A}}}",
            "segment",
        ),
    ],
)
def test_where_no_key_is_near_the_valid_ones_are_listed(text: str, keys: str) -> None:
    (found,) = report(text)
    assert found.endswith(f"zebra: unknown key 'zebra'; expected one of {keys}")


def test_a_key_of_another_form_is_unknown() -> None:
    tests = ", ".join(sorted((*ValueTests.TEST_NAMES, "measure")))
    assert on("{measure: orders, at_least: 1, within: 3d}") == [
        f"within: unknown key 'within'; expected one of {tests}"
    ]


def test_two_keys_that_mean_the_same() -> None:
    assert on("{event: A, withn: 3d, witin: 4d, within: 5d}") == [
        "withn: unknown key 'withn'; did you mean 'within'?",
        "witin: unknown key 'witin'; did you mean 'within'?",
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


# Types of values


OPERANDS = {
    "text": ("[5, true, null, [a], {a: b}]", "expected a text"),
    "number": (
        "['5', true, null, [5], {a: 5}, .inf, .nan, 1e16, -1000000000000001]",
        "expected a number from",
    ),
    "scalar": ("[null, [5], {a: 5}]", "expected a text, a number, true or false"),
    "finite": ("[.inf, .nan, -.inf, 1e999]", "expected a finite number"),
    "list": ("[a, 5, true, null, {a: b}]", "expected a list"),
    "boolean": ("['true', 1, 0, null, [true], {a: b}, yes]", "expected true or false"),
}
TESTS = {
    "equals": ("scalar", "finite"),
    "not_equals": ("scalar", "finite"),
    "in": ("list",),
    "not_in": ("list",),
    "at_least": ("number",),
    "at_most": ("number",),
    "more_than": ("number",),
    "less_than": ("number",),
    "contains": ("scalar", "finite"),
    "starts_with": ("text",),
    "ends_with": ("text",),
    "matches": ("text",),
    "exists": ("boolean",),
}
PLACES = [
    "{event: A, where: {a.b: {TEST}}}",
    "{event: A, count: {TEST}}",
    "{event: A, sum: {of: a, TEST}}",
    "{event: A, last: {of: a, TEST}}",
    "{trait: plan, TEST}",
    "{measure: spend, TEST}",
    "{score: engagement, TEST}",
]


def test_all_tests_are_tried() -> None:
    assert tuple(TESTS) == ValueTests.TEST_NAMES


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("test", "kinds"), TESTS.items())
def test_operands_of_the_wrong_type(test: str, kinds: tuple[str, ...], place: str) -> None:
    for operands, mend in (OPERANDS[kind] for kind in kinds):
        for operand in operands[1:-1].split(", "):
            (found,) = on(place.replace("TEST", f"{test}: {operand}"))
            path, _, rest = found.partition(": ")
            assert path.rpartition(".")[2] == test
            assert rest.startswith("found ")
            assert f"; {mend}" in rest


@pytest.mark.parametrize("test", ["in", "not_in"])
def test_lists_of_operands(test: str) -> None:
    assert on(f"{{trait: a, {test}: []}}") == [f"{test}: found an empty list; expected at least one entry"]
    assert on(f"{{trait: a, {test}: [1, null, [2], .nan]}}") == [
        f"{test}[1]: found nothing; expected a text, a number, true or false",
        f"{test}[2]: found a list; expected a text, a number, true or false",
        f"{test}[3]: found nan; expected a finite number",
    ]


@pytest.mark.parametrize("value", ["[1]", "null", ""])
def test_what_stands_in_where(value: str) -> None:
    (found,) = on(f"{{event: A, where: {{a: {value}}}}}")
    assert found.startswith("where.a: found ")
    assert found.endswith("; expected a text, a number, true, false or a mapping of tests")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("5", ": found 5; expected a condition: a mapping with one of " + ", ".join(FORMS)),
        ("", ": found nothing; expected a condition: a mapping with one of " + ", ".join(FORMS)),
        ("{}", ": found an empty mapping; expected a condition: a mapping with one of " + ", ".join(FORMS)),
        (
            "{within: 1d, at_least: 1}",
            ": no form of condition among the keys 'at_least', 'within'; expected a ",
        ),
        ("{all: {event: A}}", "all: found a mapping; expected a list"),
        ("{all: []}", "all: found an empty list; expected at least one entry"),
        ("{any: [A]}", "any[0]: found 'A'; expected a condition: "),
        ("{not: [{event: A}]}", "not: found a list; expected a condition: "),
        ("{segment: 5}", "segment: found 5; expected a text"),
        ("{event: 5}", "event: found 5; expected a text"),
        ("{event: }", "event: found nothing; expected a text"),
        ("{event: ''}", "event: found ''; expected a text that is not empty"),
        ("{event: []}", "event: found an empty list; expected at least one entry"),
        ("{event: [A, 5]}", "event[1]: found 5; expected a text"),
        (
            "{event: $pagee}",
            "event: found '$pagee'; expected an event's name, or $page, $screen, $identify, ",
        ),
        ("{event: $}", "event: found '$'; expected an event's name, or $page, "),
        ("{event: A, where: [a]}", "where: found a list; expected a mapping"),
        ("{event: A, within: 24}", "within: found 24; expected a duration such as"),
        (
            "{event: A, within: 401d}",
            "within: found '401d'; expected a duration of at least 1s and at most 400d",
        ),
        ("{event: A, within: }", "within: found nothing; expected a duration such as"),
        ("{event: A, count: 5}", "count: found 5; expected a mapping of tests, such as {at_least: 1}"),
        ("{event: A, count: }", "count: found nothing; expected a mapping of tests, such as {at_least: 1}"),
        ("{event: A, sum: a}", "sum: found 'a'; expected a path and tests, such as {of: properties.total, "),
        (
            "{event: A, last: a}",
            "last: found 'a'; expected a path and tests, such as {of: properties.category, ",
        ),
        ("{event: A, sum: {of: 5, at_least: 1}}", "sum.of: found 5; expected a text"),
        (
            "{event: A, sum: {at_least: 1}}",
            "sum: the key 'of' is missing; add it, such as of: properties.total",
        ),
        ("{event: A, count: {}}", "count: no test; add one, such as at_least: 1"),
        ("{event: A, sum: {of: a}}", "sum: no test; add one, such as at_least: 1"),
        ("{event: A, where: {a: {}}}", "where.a: no test; add one, such as at_least: 1"),
        ("{trait: plan}", ": no test; add one, such as at_least: 1"),
        ("{trait: 5, exists: true}", "trait: found 5; expected a text"),
        ("{measure: orders}", ": no test; add one, such as at_least: 1"),
        ("{score: engagement}", ": no test; add one, such as at_least: 1"),
        ("{sequence: {event: A}, within: 1d}", "sequence: found a mapping; expected a list"),
        ("{sequence: [], within: 1d}", "sequence: found an empty list; expected at least one entry"),
        ("{sequence: [A], within: 1d}", "sequence[0]: found 'A'; expected a mapping"),
        ("{sequence: [{event: A}]}", ": the key 'within' is missing; add it, such as within: 24h"),
        (
            "{sequence: [{}], within: 1d}",
            "sequence[0]: the key 'event' is missing; add it, such as event: Order",
        ),
        ("{sequence: [{event: A}], within: }", "within: found nothing; expected a duration such as"),
        ("{sequence: [{event: A}], within: 1d, same: }", "same: found nothing; expected a text"),
        ("{sequence: [{event: A}], within: 1d, then_not: }", "then_not: found nothing; expected a mapping"),
        (
            "{sequence: [{event: A}], within: 1d, then_not: []}",
            "then_not: found an empty list; expected at least",
        ),
        (
            "{sequence: [{event: A}, {event: B, max_gap: }], within: 1d}",
            "sequence[1].max_gap: found nothing; exp",
        ),
        (
            "{sequence: [{event: A}], within: 1d, then_not: {event: B, for: }}",
            "then_not.for: found nothing; expected a duration",
        ),
    ],
)
def test_values_of_the_wrong_type(condition: str, expected: str) -> None:
    (found,) = on(condition)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("segments: []", "segments: found an empty list; expected a mapping"),
        ("segments:", "segments: found nothing; expected a mapping"),
        ("segments: {a: }", "segments.a: found nothing; expected a mapping"),
        ("segments: {a: {}}", "segments.a: the key 'when' is missing; add it, such as when: {event: Order"),
        (
            "segments: {a: {when: {event: A}, description: 5}}",
            "segments.a.description: found 5; expected a text",
        ),
        ("measures: {m: 5}", "measures.m: found 5; expected a mapping"),
        ("measures: {m: {event: A}}", "measures.m: no measure; add one of count, sum, average, min, max, "),
        (
            "measures: {m: {count: {}}}",
            "measures.m: the key 'event' is missing; add it, such as event: Order",
        ),
        ("measures: {m: {event: A, count: }}", "measures.m.count: found nothing; expected {}"),
        (
            "measures: {m: {event: A, sum: {}}}",
            "measures.m.sum: the key 'of' is missing; add it, such as of: ",
        ),
        (
            "measures: {m: {event: A, sum: a}}",
            "measures.m.sum: found 'a'; expected a path, such as {of: prop",
        ),
        (
            "measures: {m: {event: A, last: }}",
            "measures.m.last: found nothing; expected a path, such as {of: prop",
        ),
        (
            "measures: {m: {event: A, count: {at_least: 1}}}",
            "measures.m.count.at_least: a test on a named measure; put the test into the condition",
        ),
        (
            "measures: {m: {event: A, sum: {of: a, exists: true}}}",
            "measures.m.sum.exists: a test on a named measure; put the test into the condition",
        ),
        (
            "measures: {m: {event: A, min: {of: a}, max: {of: a}}}",
            "measures.m.max: two measures: min and max; keep one, or join two conditions under all:",
        ),
        ("scores: {s: {}}", "scores.s: the key 'earn' is missing; add it, such as earn: [{event: Product V"),
        ("scores: {s: {earn: []}}", "scores.s.earn: found an empty list; expected at least one entry"),
        (
            "scores: {s: {earn: [{event: A}]}}",
            "scores.s.earn[0]: the key 'points' is missing; add it, such as",
        ),
        (
            "scores: {s: {earn: [{event: A, points: '1'}]}}",
            "scores.s.earn[0].points: found '1'; expected a number",
        ),
        (
            "scores: {s: {earn: [{event: A, points: true}]}}",
            "scores.s.earn[0].points: found true; expected a num",
        ),
        (
            "scores: {s: {earn: [{event: A, points: {}}]}}",
            "scores.s.earn[0].points: the key 'of' is missing; add",
        ),
        (
            "scores: {s: {earn: [{event: A, points: {of: a, times: x}}]}}",
            "scores.s.earn[0].points.times: found 'x'; expected a number from -1e15 to 1e15",
        ),
        (
            "scores: {s: {half_life: , earn: [{event: A, points: 1}]}}",
            "scores.s.half_life: found nothing; expected a duration such as",
        ),
        (
            "scores: {s: {earn: [{event: A, points: 1, where: {a: {matches: (}}}]}}",
            "scores.s.earn[0].where.a.matches: an expression that RE2 refuses",
        ),
        ("export_traits: plan", "export_traits: found 'plan'; expected a list"),
        ("export_traits: ['tags[]']", "export_traits[0]: found 'tags[]'; expected a dotted path without []"),
    ],
)
def test_sections_of_the_wrong_type(section: str, expected: str) -> None:
    (found,) = report(f"version: 1\n{section}")
    assert found.startswith(f"line 2: {expected}")


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[0]", "a[].", "[]", "a[]b", "a[][]", "a]"])
def test_malformed_paths(path: str) -> None:
    mend = "expected a dotted path, such as properties.price or properties.products[].sku"
    assert on(f"{{event: A, where: {{{path!r}: 1}}}}")[0].endswith(f"found {path!r}; {mend}")
    assert on(f"{{event: A, sum: {{of: {path!r}, at_least: 1}}}}") == [f"sum.of: found {path!r}; {mend}"]
    assert on(f"{{sequence: [{{event: A}}], within: 1d, same: {path!r}}}") == [
        f"same: found {path!r}; {mend}"
    ]


@pytest.mark.parametrize("measure", ["first", "last"])
def test_first_and_last_take_no_list(measure: str) -> None:
    assert on(f"{{event: A, {measure}: {{of: 'a[].b', equals: 1}}}}") == [
        f"{measure}.of: found 'a[].b'; expected a dotted path without []"
    ]
    assert report(f"version: 1\nmeasures: {{m: {{event: A, {measure}: {{of: 'a.b[]'}}}}}}") == [
        f"line 2: measures.m.{measure}.of: found 'a.b[]'; expected a dotted path without []"
    ]


def test_traits_take_no_list() -> None:
    assert on("{trait: 'tags[]', contains: new}") == [
        "trait: found 'tags[]'; expected a dotted path without []"
    ]


# Names


@pytest.mark.parametrize("name", ["a", "a1", "cart_abandoner", "x" * 64])
def test_names(name: str) -> None:
    assert report(f"version: 1\nsegments: {{{name}: {{when: {{event: A}}}}}}") == []


@pytest.mark.parametrize("section", ["segments", "measures", "scores"])
@pytest.mark.parametrize("name", ["", "A", "1a", "_a", "a-b", "a b", "a.b", "é", "x" * 65, "a\\n"])
def test_names_that_are_none(name: str, section: str) -> None:
    content = {"segments": "when: {event: A}", "measures": "event: A, count: {}"}.get(
        section, "earn: [{event: A, points: 1}]"
    )
    (found,) = report(f'version: 1\n{section}: {{"{name}": {{{content}}}}}')
    assert found.endswith("; expected a name of a to z, 0 to 9 and _, a letter first, at most 64 characters")
    assert found.startswith(f"line 2: {section}")


def test_a_wrong_name_does_not_hide_what_it_names() -> None:
    assert report("version: 1\nsegments: {A: {when: {event: 1}}}") == [
        "line 2: segments.A.when.event: found 1; expected a text",
        "line 2: segments.A: found 'A'; expected a name of a to z, 0 to 9 and _, a letter first, "
        "at most 64 characters",
    ]


def test_a_reference_must_be_a_name() -> None:
    assert on("{segment: Cart}")[0].startswith("segment: found 'Cart'; expected a name of a to z")


# References


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{segment: crt}", "segment: unknown segment 'crt'; did you mean 'cart'?"),
        ("{segment: xyz}", "segment: unknown segment 'xyz'; known are cart, viewer"),
        ("{measure: order, at_least: 1}", "measure: unknown measure 'order'; did you mean 'orders'?"),
        (
            "{measure: xyz, at_least: 1}",
            "measure: unknown measure 'xyz'; known are orders, orders_ever, products, skus, spend",
        ),
        ("{score: engagment, at_least: 1}", "score: unknown score 'engagment'; did you mean 'engagement'?"),
        ("{measure: cart, at_least: 1}", "measure: unknown measure 'cart'; known are orders, "),
    ],
)
def test_unknown_references(condition: str, expected: str) -> None:
    (found,) = on(condition)
    assert found.startswith(expected)


def test_many_known_names_are_not_listed() -> None:
    conditions: dict[str, Any] = {f"s{i}": {"event": "A"} for i in range(21)}
    assert report(segments({**conditions, "a": {"segment": "xyz"}})) == [
        "line 1: segments.a.when.segment: unknown segment 'xyz'; expected a name under segments:"
    ]


def test_a_reference_to_what_the_file_has_none_of() -> None:
    assert report(
        "version: 1\nsegments: {a: {when: {measure: m, at_least: 1}}, b: {when: {score: s, exists: true}}}"
    ) == [
        "line 2: segments.a.when.measure: unknown measure 'm'; the file names no measure",
        "line 2: segments.b.when.score: unknown score 's'; the file names no score",
    ]


def segments(conditions: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "segments": {name: {"when": when} for name, when in conditions.items()}})


def cycles(conditions: dict[str, Any]) -> list[str]:
    found = report(segments(conditions))
    assert all(line.endswith("; break the cycle") for line in found), found
    return [line.split("in a cycle: ")[1].removesuffix("; break the cycle") for line in found]


def test_a_segment_that_refers_to_itself() -> None:
    assert report("version: 1\nsegments:\n  a: {when: {event: A}}\n  b: {when: {not: {segment: b}}}") == [
        "line 4: segments.b: segments refer to each other in a cycle: b → b; break the cycle"
    ]


def test_every_cycle_is_reported_once() -> None:
    a_to_b_and_back = {"a": {"all": [{"segment": "b"}, {"segment": "b"}]}, "b": {"any": [{"segment": "a"}]}}
    assert cycles(a_to_b_and_back) == ["a → b → a"]
    assert cycles(
        {
            **a_to_b_and_back,
            "c": {"segment": "a"},
            "d": {"not": {"segment": "e"}},
            "e": {"all": [{"segment": "f"}, {"segment": "e"}]},
            "f": {"segment": "d"},
            "g": {"event": "A"},
        }
    ) == ["a → b → a", "d → e → f → d", "e → e"]


def test_two_cycles_through_one_segment() -> None:
    conditions = {
        "a": {"any": [{"segment": "b"}, {"segment": "c"}]},
        "b": {"segment": "a"},
        "c": {"segment": "a"},
    }
    assert cycles(conditions) == ["a → b → a", "a → c → a"]


def test_a_long_cycle_is_shortened() -> None:
    assert cycles({f"s{i}": {"segment": f"s{(i + 1) % 50}"} for i in range(50)}) == [
        "s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → … → s49 → s0"
    ]


def chain(length: int) -> dict[str, Any]:
    return {f"s{i}": {"segment": f"s{i + 1}"} if i + 1 < length else {"event": "A"} for i in range(length)}


def test_chains_of_references_are_at_most_100_deep() -> None:
    assert report(segments(chain(100))) == []
    assert report(segments(chain(101))) == [
        "line 1: segments.s0: segments refer to segments more than 100 deep; flatten them"
    ]
    assert report(segments(dict(reversed(chain(5000).items())))) == [
        "line 1: segments.s4899: segments refer to segments more than 100 deep; flatten them"
    ]


def test_many_references_to_one_segment_are_no_cycle() -> None:
    layers = {f"s{i}": {"all": [{"segment": f"s{i + 1}"}, {"segment": f"s{i + 1}"}]} for i in range(90)}
    assert report(segments({**layers, "s90": {"event": "A"}})) == []


# What can be decided


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ("{event: A, within: 1d, count: {at_least: 1500}}", "count.at_least: 1500"),
        ("{event: A, within: 1d, count: {at_least: 1000.5}}", "count.at_least: 1000.5"),
        ("{event: A, within: 1d, count: {more_than: 1000}}", "count.more_than: 1000"),
        ("{event: A, within: 1d, count: {at_most: 1000}}", "count.at_most: 1000"),
        ("{event: A, within: 1d, count: {less_than: 1001}}", "count.less_than: 1001"),
        ("{event: A, within: 1d, count: {equals: 1000}}", "count.equals: 1000"),
        ("{event: A, within: 1d, count: {not_equals: 1e15}}", "count.not_equals: 1000000000000000.0"),
        ("{event: A, within: 1d, count: {in: [1, 2000]}}", "count.in: a list"),
        ("{event: A, within: 1d, distinct: {of: a, at_least: 1001}}", "distinct.at_least: 1001"),
        ("{event: A, distinct: {of: a, at_least: 1001}}", "distinct.at_least: 1001"),
        ("{measure: orders, at_least: 1001}", "at_least: 1001"),
        ("{measure: products, more_than: 1000}", "more_than: 1000"),
    ],
)
def test_what_can_never_be_decided_is_refused(condition: str, path: str) -> None:
    assert on(condition) == [
        f"{path} can never be decided: at most 1000 events are remembered; "
        "at_least: 1000 and less_than: 1000 are the most that can"
    ]


@pytest.mark.parametrize(
    "condition",
    [
        "{event: A, within: 1d, count: {at_least: 1000}}",
        "{event: A, within: 1d, count: {more_than: 999}}",
        "{event: A, within: 1d, count: {less_than: 1000}}",
        "{event: A, within: 1d, count: {at_most: 999}}",
        "{event: A, within: 1d, count: {equals: 999}}",
        "{event: A, within: 1d, count: {at_least: -1e15}}",
        "{event: A, within: 1d, count: {equals: many}}",
        "{event: A, count: {at_least: 1500}}",
        "{event: A, count: {equals: 1e15}}",
        "{event: A, within: 1d, distinct: {of: a, at_least: 1000}}",
        "{event: A, within: 1d, distinct: {of: 'a[].b', at_least: 1500}}",
        "{event: A, within: 1d, sum: {of: a, at_least: 1500}}",
        "{event: A, within: 1d, last: {of: a, equals: 1500}}",
        "{measure: orders, at_least: 1000}",
        "{measure: orders_ever, at_least: 1500}",
        "{measure: skus, at_least: 1500}",
        "{measure: spend, at_least: 1500}",
    ],
)
def test_what_can_be_decided_loads(condition: str) -> None:
    assert on(condition) == []


@pytest.mark.parametrize("operand", [".inf", "-.inf", ".nan", "1e999", "1" * 400])
def test_numbers_that_are_none_harm_nobody(operand: str) -> None:
    assert on(f"{{event: A, within: 1d, count: {{at_least: {operand}}}}}")
    assert on(f"{{event: A, within: 1d, count: {{equals: {operand}}}}}")


# Sequences


STEP = "sequence: [{event: A}], within: 1h"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            f"{{{STEP}, then_not: {{event: B, for: 1h}}}}",
            "then_not.for: 1h is not shorter than within: 1h; shor",
        ),
        (
            f"{{{STEP}, then_not: [{{event: B, during: 90m}}]}}",
            "then_not[0].during: 90m is not shorter than wit",
        ),
        (
            f"{{{STEP}, then_not: {{event: B, for: 1m, during: 2m}}}}",
            "then_not: both for: and during:; give exact",
        ),
        (f"{{{STEP}, then_not: {{event: B}}}}", "then_not: neither for: nor during:; give exactly one"),
        (
            f"{{{STEP}, then_not: [{{event: B, for: 1m}}, {{event: C}}]}}",
            "then_not[1]: neither for: nor during:",
        ),
        (
            f"{{{STEP}, then_not: {{event: B, for: 1m, same: a}}}}",
            "then_not.same: same: in a sequence without sam",
        ),
        (
            f"{{{STEP}, then_not: {{event: B, for: 1m, where: {{a: {{}}}}}}}}",
            "then_not.where.a: no test; add one",
        ),
        (
            "{sequence: [{event: A, same: a}], within: 1h}",
            "sequence[0].same: same: in a sequence without same:; ",
        ),
        (
            "{sequence: [{event: A, max_gap: 1m}], within: 1h}",
            "sequence[0].max_gap: a gap before the first step; ",
        ),
        (
            "{sequence: [{event: A, where: {a: {matches: '(?<=a)b'}}}], within: 1h}",
            "sequence[0].where.a.matches: an expression that RE2 refuses",
        ),
    ],
)
def test_sequences_that_make_no_sense(condition: str, expected: str) -> None:
    (found,) = on(condition)
    assert found.startswith(expected)


# Expressions


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(?=a)", "invalid perl operator: (?="),
        ("a(?!b)", "invalid perl operator: (?!"),
        ("(?<=a)b", "invalid perl operator: (?<="),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(", "missing ): ("),
        ("a)", "unexpected ): a)"),
        ("[a", "missing ]: [a"),
        ("*", "no argument for repetition operator: *"),
        ("a**b++", "bad repetition operator: **"),
        ("a{2000}", "invalid repetition size: {2000}"),
        ("((a{100}){100}){100}", "invalid repetition size: {100}"),
    ],
)
def test_expressions_that_re2_refuses(
    expression: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    mend = "see the syntax of RE2 (no look-around, no back-reference)"
    found = on(f"{{trait: a, matches: {json.dumps(expression)}}}")
    assert found == [f"matches: an expression that RE2 refuses: {reason}; {mend}"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "expression", ["", "^a.*b$", r"\d{1,1000}", r"(?i)é|\p{Greek}", "(?P<name>a)", "x" * 1000]
)
def test_expressions_that_re2_takes(expression: str) -> None:
    assert on(f"{{trait: a, matches: {json.dumps(expression)}}}") == []


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
