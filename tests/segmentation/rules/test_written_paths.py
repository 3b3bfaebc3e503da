"""Paths and event names as they are written in a file: which are right, and what the report says of the others."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segmentation.profile.replay import ProfileFold
from segmentation.rules.load import load_rules
from segmentation.rules.schema.paths import path_fix
from tests.segmentation.folding import event_of, examples
from tests.segmentation.rules.reports import on, report

NO_ESCAPES = "a path has no escapes, and a key with a dot or brackets is in quotes"
ONE_KEY_IN_QUOTES = "double quotes are around one whole key, and a quote in it is written twice"
NO_INDEXES = "a path has no indexes: [] walks all elements of a list, and a key with brackets is in quotes"
NO_WILDCARDS = "a path has no wildcards: [] walks all elements, and a key with * is in quotes"
COMPUTES_NOTHING = "a path computes nothing: let the events carry the result, such as properties.discount"
NO_WHITE_SPACE = "a key begins and ends without white space, unless it is in quotes"
EXPECTED = "expected a dotted path, such as properties.price or properties.products[].sku"
NO_LIST = "expected a dotted path without []; a key of that name is in quotes"

RIGHT = [
    "type",
    "properties.imported-user-segment",
    "properties.Favourite Colour",
    "properties.$initial_referrer",
    "properties.Question - Answer",
    "properties.Weight (kg)",
    "properties.Terms & Conditions",
    "properties.km/h",
    "properties.24/7",
    "properties.C++",
    "properties.100%",
    "properties.customer's choice",
    "properties.a=b",
    "properties.0",
    "properties.@type",
    "properties.custom-properties.color",
    'properties."utm.source"',
    'properties."utm[source]"',
    'properties."tags[]"',
    'properties."5"" disk"',
    'properties."price * quantity"',
    r'properties."App\Models"',
    'properties." "',
    'properties.""',
    '"utm.source"',
    '"a"."b"',
]


@pytest.mark.parametrize("path", RIGHT)
def test_right_paths(path: str) -> None:
    written = json.dumps(path)
    assert on(f"{{event: A, where: {{{written}: 1}}}}") == []
    assert on(f"{{event: A, sum: {{of: {written}, at_least: 1}}}}") == []
    assert on(f"{{event: A, last: {{of: {written}, exists: true}}}}") == []
    assert on(f"{{trait: {written}, exists: true}}") == []
    assert on(f"{{sequence: [{{event: A, same: {written}}}], within: 1d, same: {written}}}") == []
    points = f"version: 1\nscores: {{s: {{earn: [{{event: A, points: {{of: {written}}}}}]}}}}"
    assert report(points) == report(f"version: 1\nexport_traits: [{written}]") == []


@pytest.mark.parametrize(
    "path", ["properties.tags[]", 'properties."tags"[]', 'properties."tags[]"[]."a.b"[].c']
)
def test_right_paths_through_lists(path: str) -> None:
    assert on(f"{{event: A, where: {{{json.dumps(path)}: 1}}}}") == []


WRONG = [
    (r"properties.utm\.source", NO_ESCAPES, 'properties."utm.source"'),
    (r"properties.utm\\.source", NO_ESCAPES, 'properties."utm.source"'),
    (r"properties.tags\[\]", NO_ESCAPES, 'properties."tags[]"'),
    (r'properties."utm\.source"', NO_ESCAPES, 'properties."utm.source"'),
    (r'properties."a\"b"', NO_ESCAPES, 'properties."a""b"'),
    (r"properties.App\Models", NO_ESCAPES, r'properties."App\Models"'),
    ("properties.price\\", NO_ESCAPES, 'properties."price\\"'),
    ('properties."utm.source', ONE_KEY_IN_QUOTES, 'properties."utm.source"'),
    ('properties.utm.source"', ONE_KEY_IN_QUOTES, 'properties."utm.source"'),
    ('properties."a"b', ONE_KEY_IN_QUOTES, 'properties."utm.source"'),
    ('properties.5"disk', ONE_KEY_IN_QUOTES, 'properties."5""disk"'),
    ("properties.'utm.source'", ONE_KEY_IN_QUOTES, 'properties."utm.source"'),
    ("properties.`utm.source`", ONE_KEY_IN_QUOTES, 'properties."utm.source"'),
    ("properties.'90s", ONE_KEY_IN_QUOTES, "properties.\"''90s\""),
    ('"properties.utm.source"', ONE_KEY_IN_QUOTES, "properties.utm.source"),
    ("properties['utm.source']", "keys are separated by dots", 'properties."utm.source"'),
    ('properties["utm.source"]', "keys are separated by dots", 'properties."utm.source"'),
    ("properties.utm[source]", "a key with brackets is in quotes", 'properties."utm[source]"'),
    ("properties.utm[a.b]", "a key with brackets is in quotes", 'properties."utm[a.b]"'),
    ("a[]b", "a key with brackets is in quotes", '"a[]b"'),
    ("a[][]", "a key with brackets is in quotes", '"a[][]"'),
    ("a]", "a key with brackets is in quotes", '"a]"'),
    ("[]", "a key with brackets is in quotes", '"[]"'),
    ("properties.tags[0]", NO_INDEXES, "properties.tags[]"),
    ("properties.products[0].sku", NO_INDEXES, "properties.products[].sku"),
    ("properties.products[*].sku", NO_INDEXES, "properties.products[].sku"),
    ("properties.products.*.sku", NO_WILDCARDS, "properties.products[].sku"),
    ("properties.utm_*", NO_WILDCARDS, 'properties."utm_*"'),
    ("properties.*", NO_WILDCARDS, 'properties."*"'),
    ("a + b", f"{COMPUTES_NOTHING}; a key of that name is in quotes", '"a + b"'),
    (
        "properties.total/100",
        f"{COMPUTES_NOTHING}; a key of that name is in quotes",
        'properties."total/100"',
    ),
    (
        "properties.total - 5",
        f"{COMPUTES_NOTHING}; a key of that name is in quotes",
        'properties."total - 5"',
    ),
    (
        "properties.total > 5",
        f"{COMPUTES_NOTHING}; a key of that name is in quotes",
        'properties."total > 5"',
    ),
    (" properties.price", NO_WHITE_SPACE, "properties.price"),
    ("properties.price ", NO_WHITE_SPACE, "properties.price"),
    ("properties. price", NO_WHITE_SPACE, "properties.price"),
    ("properties.tags []", NO_WHITE_SPACE, "properties.tags[]"),
]


@pytest.mark.parametrize(("path", "fix", "example"), WRONG)
def test_a_wrong_path_is_refused_with_one_that_is_right(path: str, fix: str, example: str) -> None:
    written = json.dumps(path)
    found = f"found {path!r}; {fix}, such as '{example}'"
    (of_where,) = on(f"{{event: A, where: {{{written}: 1}}}}")
    assert of_where.endswith(found)
    assert on(f"{{event: A, distinct: {{of: {written}, at_least: 1}}}}") == [f"distinct.of: {found}"]
    assert on(f"{{sequence: [{{event: A}}], within: 1d, same: {written}}}") == [f"same: {found}"]
    pasted = f"version: 1\nsegments: {{a: {{when: {{event: A, where: {{'{example}': 1}}}}}}}}"
    assert report(pasted) == []


@pytest.mark.parametrize(
    "path",
    [
        "properties.price * properties.quantity",
        "properties.price*properties.quantity",
        "properties.price*2",
        "properties.total*0.5",
        "2 * properties.price",
        "properties.total - properties.tax",
        "properties.Unit Price - properties.Discount",
        "properties.total/properties.quantity",
        "properties.total+properties.tax",
        "-properties.total",
        "sum(properties.total)",
        "(properties.a + properties.b) / 2",
        "properties.price, properties.quantity",
        "address.x - address.y",
        'properties."unit.price" * properties.quantity',
    ],
)
def test_a_path_computes_nothing(path: str) -> None:
    (found,) = on(f"{{event: A, sum: {{of: {json.dumps(path)}, at_least: 1}}}}")
    assert found.startswith(f"sum.of: found {path!r}; {COMPUTES_NOTHING}")
    (found,) = on(f"{{trait: {json.dumps(path)}, exists: true}}")
    assert COMPUTES_NOTHING in found


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[]."])
def test_a_key_is_missing(path: str) -> None:
    assert on(f"{{event: A, where: {{{path!r}: 1}}}}")[0].endswith(f"found {path!r}; {EXPECTED}")
    assert on(f"{{event: A, sum: {{of: {path!r}, at_least: 1}}}}") == [f"sum.of: found {path!r}; {EXPECTED}"]
    assert on(f"{{trait: {path!r}, exists: true}}") == [f"trait: found {path!r}; {EXPECTED}"]


@pytest.mark.parametrize(
    ("path", "example"),
    [("tags[]", '"tags[]"'), ('"a.b"[].c', '"a.b[]".c'), ("a[].b[]", '"a[]"."b[]"')],
)
def test_where_no_list_is_walked_the_key_of_that_name_is_in_quotes(path: str, example: str) -> None:
    assert on(f"{{trait: '{path}', exists: true}}") == [
        f"trait: found {path!r}; {NO_LIST}, such as '{example}'"
    ]
    assert on(f"{{trait: '{example}', exists: true}}") == []


def test_an_index_of_a_trait() -> None:
    (found,) = on("{trait: 'tags[0]', exists: true}")
    assert found.endswith(f"; {NO_INDEXES}, such as '\"tags[0]\"'")


texts = st.text("ab.\"[]\\*-+/ '`0é", max_size=12)
rooted = st.builds(str.__add__, st.sampled_from(["", "properties.", "a."]), texts)


@examples(1000)
@given(path=rooted, takes_lists=st.booleans())
def test_what_the_report_suggests_is_right(path: str, takes_lists: bool) -> None:
    fix = path_fix(path, takes_lists)
    if fix is not None and ", such as '" in fix:
        example = fix.rpartition(", such as ")[2]
        assert path_fix(yaml.safe_load(example), takes_lists) is None


# One path, several texts


def test_one_path_occurs_once_in_where() -> None:
    where = """{properties.a: 1, 'properties."a"': 2, '"properties".a': {at_least: 3}}"""
    assert on(f"{{event: A, where: {where}}}") == [
        """where['"properties".a']: the same path as 'properties.a'; join their tests in one mapping""",
        """where['properties."a"']: the same path as 'properties.a'; join their tests in one mapping""",
    ]


def test_a_trait_is_served_under_the_shortest_text_of_its_path() -> None:
    rules = load_rules("""version: 1\nexport_traits: ['"plan"', '"utm.source"', '"address".city']""")
    assert list(rules.traits) == ["plan", '"utm.source"', "address.city"]


# What keys with dots, brackets and spaces match


def members(conditions: dict[str, Any], *messages: dict[str, Any]) -> set[str]:
    """Returns the segments in which a profile is after some messages."""
    segments = {name: {"when": when} for name, when in conditions.items()}
    fold = ProfileFold("user", load_rules(json.dumps({"version": 1, "segments": segments})))
    for number, message in enumerate(messages):
        stamped = {"messageId": f"m{number}", "userId": "user", "timestamp": "2026-03-01T10:00:00Z"}
        event = event_of(stamped | message)
        fold.fold([event], event.timestamp_ms)
    return set(fold.snapshot.segments) if fold.snapshot else set()


CONDITIONS = {
    "nested": {"event": "Signed Up", "where": {"properties.utm.source": "newsletter"}},
    "flat": {"event": "Signed Up", "where": {'properties."utm.source"': "newsletter"}},
    "php": {"event": "Signed Up", "where": {'properties."utm[source]"': "newsletter"}},
    "key_with_brackets": {"event": "Signed Up", "where": {'properties."tags[]"': "new"}},
    "list": {"event": "Signed Up", "where": {"properties.tags[]": "new"}},
    "quoted_list": {"event": "Signed Up", "where": {'properties."tags"[]': "new"}},
    "dollar": {"event": "Signed Up", "where": {"properties.$initial_referrer": {"contains": "google"}}},
    "last": {"event": "Signed Up", "last": {"of": 'properties."utm.source"', "equals": "newsletter"}},
    "same": {
        "sequence": [{"event": "Signed Up"}],
        "within": "1d",
        "same": 'properties."utm.source"',
    },
    "hyphen": {"trait": "imported-user-segment", "equals": "4"},
    "space": {"trait": "Favourite Colour", "equals": "red"},
    "dot": {"trait": '"utm.source"', "equals": "search"},
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"properties": {"utm": {"source": "newsletter"}}}, {"nested"}),
        ({"properties": {"utm.source": "newsletter"}}, {"flat", "last", "same"}),
        (
            {
                "properties": {
                    "utm[source]": "newsletter",
                    "tags[]": "new",
                    "$initial_referrer": "https://google.example",
                }
            },
            {"php", "key_with_brackets", "dollar"},
        ),
        ({"properties": {"tags": ["new"]}}, {"list", "quoted_list"}),
        (
            {
                "type": "identify",
                "traits": {"imported-user-segment": "4", "Favourite Colour": "red", "utm.source": "search"},
            },
            {"hyphen", "space", "dot"},
        ),
        ({"type": "identify", "traits": {"utm": {"source": "search"}}}, set()),
    ],
)
def test_keys_with_dots_and_brackets(message: dict[str, Any], expected: set[str]) -> None:
    assert members(CONDITIONS, {"type": "track", "event": "Signed Up"} | message) == expected


# Event names


@pytest.mark.parametrize(
    "name", ["Order Completed", "*", "$page", "A", "5 $", "What?", "a.b", "a/b", "é", "A\\B"]
)
def test_right_event_names(name: str) -> None:
    assert on(f"{{event: {json.dumps(name)}}}") == []


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("Order *", "starts_with: 'Order '"),
        ("Product*", "starts_with: 'Product'"),
        ("Order*Completed", "starts_with: 'Order'"),
        ("* Viewed", "ends_with: ' Viewed'"),
        ("*Viewed*", "contains: 'Viewed'"),
        ("**", "contains: ''"),
    ],
)
def test_an_event_name_has_no_wildcards(name: str, test: str) -> None:
    condition = f'event: "*" with where: {{event: {{{test}}}}}'
    fix = f"a name has no wildcards: list the names, or test the name of every event, such as {condition}"
    assert on(f"{{event: {json.dumps(name)}}}") == [f"event: found {name!r}; {fix}"]
    assert on(f"{{event: [A, {json.dumps(name)}]}}") == [f"event[1]: found {name!r}; {fix}"]
    assert on(f"{{{condition.replace(' with', ',')}}}") == []


def test_the_fix_of_a_wildcard_selects_the_names() -> None:
    when = {"event": "*", "where": {"event": {"starts_with": "Order "}}}
    named = {
        name: members({"orders": when}, {"type": "track", "event": name}) for name in ("Order Paid", "Paid")
    }
    assert named == {"Order Paid": {"orders"}, "Paid": set()}


@pytest.mark.parametrize("name", [" Order Completed", "Order Completed ", "\tA", "A\n", "\u00a0A", "$page "])
def test_an_event_name_has_no_white_space_at_its_ends(name: str) -> None:
    assert on(f"{{event: {json.dumps(name)}}}") == [
        f"event: found {name!r}; expected a name without white space at its ends, such as {name.strip()!r}"
    ]


def test_an_event_name_of_white_space() -> None:
    (found,) = on("{event: ' '}")
    assert found.startswith("event: found ' '; expected an event's name, or $page")
