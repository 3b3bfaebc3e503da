"""The values of definitions: operands of tests, paths, names and expressions."""

import json

import pytest

from segmentation.rules.schema.conditions import FORMS
from segmentation.rules.schema.values import ValueTests
from tests.segmentation.rules.reports import on, report

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
        (
            "export_traits: ['tags[]']",
            "export_traits[0]: found 'tags[]'; expected a dotted path without []; ",
        ),
    ],
)
def test_sections_of_the_wrong_type(section: str, expected: str) -> None:
    (found,) = report(f"version: 1\n{section}")
    assert found.startswith(f"line 2: {expected}")


@pytest.mark.parametrize("measure", ["first", "last"])
def test_first_and_last_take_no_list(measure: str) -> None:
    mend = "expected a dotted path without []; a key of that name is in quotes, such as "
    assert on(f"{{event: A, {measure}: {{of: 'a[].b', equals: 1}}}}") == [
        f"""{measure}.of: found 'a[].b'; {mend}'"a[]".b'"""
    ]
    assert report(f"version: 1\nmeasures: {{m: {{event: A, {measure}: {{of: 'a.b[]'}}}}}}") == [
        f"""line 2: measures.m.{measure}.of: found 'a.b[]'; {mend}'a."b[]"'"""
    ]


def test_traits_take_no_list() -> None:
    assert on("{trait: 'tags[]', contains: new}") == [
        "trait: found 'tags[]'; expected a dotted path without []; a key of that name is in quotes, "
        """such as '"tags[]"'"""
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
