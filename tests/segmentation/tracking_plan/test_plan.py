"""A message against the tracking plan: what it breaks, where, and in which words."""

import json
import subprocess
import sys
from typing import Any

import pytest

from segmentation.events import MAX_DEPTH, parse_event
from segmentation.tracking_plan.load import load_tracking_plan
from segmentation.tracking_plan.plan import MAX_LISTED_DEPTH, MAX_VIOLATIONS, TrackingPlan, format_violations
from tests.events import message, payload

SECRET = "ada@example.com"


def plan_of(properties: str, on_violation: str = "reject") -> TrackingPlan:
    """Returns a plan of one event, `A`, by the JSON Schema of its `properties`."""
    schema = f"{{properties: {{properties: {properties}}}}}"
    return load_tracking_plan({"a.yaml": f"event: A\non_violation: {on_violation}\nschema: {schema}\n"})


def broken(schema: str, **properties: Any) -> list[str]:
    violations = plan_of(schema).violations("A", message(0, "A", **properties))
    return [str(violation) for violation in violations]


def test_what_the_plan_does_not_name_passes():
    plan = plan_of("false")
    assert plan.violations("B", message(0, "B", price="x")) == ()
    assert ("A" in plan, "B" in plan, plan.names) == (True, False, ("A",))
    with pytest.raises(KeyError):
        plan.on_violation("B")


@pytest.mark.parametrize("on_violation", ["reject", "flag"])
def test_each_event_says_what_becomes_of_a_violation(on_violation: str):
    plan = plan_of("{required: [x]}", on_violation)
    assert plan.on_violation("A") == on_violation
    assert plan.violations("A", message(0, "A"))
    assert not plan.violations("A", message(0, "A", x=1))


def test_calls_other_than_track_have_the_names_that_rules_give_them():
    text = "event: $identify\non_violation: flag\nschema: {properties: {traits: {required: [email]}}}\n"
    plan = load_tracking_plan({"identify.yaml": text})
    event = parse_event(payload(0, "$identify"))
    assert format_violations(plan.violations(event.name, event.message)) == "traits.email: is missing"


@pytest.mark.parametrize(
    "schema, properties, expected",
    [
        ("{required: [order_id]}", {}, "properties.order_id: is missing"),
        (
            "{properties: {price: {type: [number, 'null']}}}",
            {"price": SECRET},
            "properties.price: expected null or number",
        ),
        (
            "{properties: {products: {items: {required: [sku]}}}}",
            {"products": [{"sku": 1}, {}]},
            "properties.products[1].sku: is missing",
        ),
        (
            "{properties: {currency: {enum: [EUR, USD]}}}",
            {"currency": SECRET},
            "properties.currency: expected one of EUR, USD",
        ),
        (
            "{properties: {currency: {pattern: '^[A-Z]{3}$'}}}",
            {"currency": SECRET},
            'properties.currency: the value does not match "^[A-Z]{3}$"',
        ),
        (
            "{properties: {total: {minimum: 0}}}",
            {"total": -1},
            "properties.total: the value is less than the minimum of 0",
        ),
        (
            "{properties: {code: {maxLength: 3}}}",
            {"code": SECRET},
            "properties.code: the value is longer than 3 characters",
        ),
        ("{properties: {}, additionalProperties: false}", {"x": SECRET}, "properties.x: is not in the plan"),
        ("{properties: {a: {}}, unevaluatedProperties: false}", {"x": 1}, "properties.x: is not in the plan"),
        ("{properties: {x: false}}", {"x": SECRET}, "properties.x: is not in the plan"),
        ("{propertyNames: {maxLength: 3}}", {SECRET: 1}, "properties: a key is not in the plan"),
        (
            "{properties: {mail: {format: email}}}",
            {"mail": "no mail " + SECRET},
            'properties.mail: the value is not a "email"',
        ),
    ],
)
def test_says_where_and_what(schema: str, properties: dict[str, Any], expected: str):
    assert broken(schema, **properties) == [expected]


@pytest.mark.parametrize(
    "schema",
    [
        "{const: 1}",
        "{not: {type: string}}",
        "{anyOf: [{type: number}, {type: 'null'}]}",
        "{oneOf: [{type: string}, {type: [string, number]}]}",
        "{oneOf: [{type: number}]}",
        "{allOf: [{maxLength: 1}]}",
        "{if: {type: string}, then: {maxLength: 1}}",
        "{minLength: 100}",
        "{format: date-time}",
        "{contentMediaType: application/json, minLength: 99}",
        "{enum: [a]}",
        "false",
    ],
)
def test_never_says_what_a_field_held(schema: str):
    (violation,) = plan_of(f"{{properties: {{x: {schema}}}}}").violations("A", message(0, "A", x=SECRET))
    assert violation.path == "properties.x"
    assert violation.message
    assert SECRET not in violation.message
    (violation,) = plan_of("{properties: {x: {uniqueItems: true}}}").violations(
        "A", message(0, "A", x=[SECRET, SECRET])
    )
    assert SECRET not in violation.message


def test_tells_every_violation_up_to_a_limit():
    keys = ", ".join(f"k{number}: {{type: string}}" for number in range(50))
    many = f"{{properties: {{{keys}}}}}"
    assert len(broken(many, **{f"k{number}": number for number in range(50)})) == MAX_VIOLATIONS
    assert format_violations(plan_of("{required: [a, b]}").violations("A", message(0, "A"))) == (
        "properties.a: is missing; properties.b: is missing"
    )


def test_a_strange_key_is_quoted_and_cut():
    (told_once,) = broken("{additionalProperties: {type: string}}", **{"a key\n" + "x" * 500: 1})
    assert told_once.startswith("properties['a key\\nxxx")
    assert len(told_once) < 130


@pytest.mark.parametrize(
    "value",
    ["1e400", "-1e400", "9" * 4000, "-" + "9" * 4001, "12345678901234567890123", '"\\ud800"', "0.1", "{}"],
)
def test_takes_every_value_that_an_event_can_hold(value: str):
    """None of them is an error; whether it is a violation is the plan's to say."""
    event = parse_event(
        b'{"type":"track","event":"A","messageId":"m","userId":"u","timestamp":"2026-03-02T12:00:00Z",'
        b'"properties":{"x":' + value.encode() + b"}}"
    )
    plan_of("{properties: {x: {type: number, minimum: 0}}}").violations("A", event.message)


def test_takes_the_deepest_event_and_a_schema_that_refers_to_itself():
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 2):
        deep = {"x": deep}
    body = {**message(0, "A"), "properties": deep}
    event = parse_event(json.dumps(body).encode())
    text = 'event: A\non_violation: flag\nschema: {properties: {properties: {$ref: "#"}, x: {$ref: "#"}}}\n'
    assert load_tracking_plan({"a.yaml": text}).violations("A", event.message) == ()


UNLISTED = ["violates the plan; it nests too deeply, or repeats too much, to list where"]
TREE = "{$anchor: x, required: [z], properties: {a: {$ref: '#x'}, products: {items: {type: string}}}}"


@pytest.mark.parametrize(
    "schema",
    [
        "{required: [order_id]}",
        "{type: string}",
        "{not: {}}",
        "{additionalProperties: false}",
        "{const: {a: 1}}",
        TREE,
    ],
)
def test_the_deepest_event_can_violate_the_plan(schema: str):
    """The validator fails on a copy of a value that nests more than 255 levels."""
    for levels in (MAX_DEPTH - 2, 255, MAX_LISTED_DEPTH):
        deep: Any = 1
        for level in range(levels):
            deep = [deep] if level % 2 else {"a": deep}
        event = parse_event(json.dumps({**message(0, "A"), "properties": {"a": deep}}).encode())
        violations = plan_of(schema).violations("A", event.message)
        assert [str(violation) for violation in violations] == UNLISTED
    assert broken(schema, a={"a": [{"a": 1}]}) not in ([], UNLISTED)


def test_violations_that_would_take_much_memory_are_not_listed():
    many = f"{{required: {[f'k{number}' for number in range(5000)]}}}"
    assert broken(many, x="x" * 40_000) == UNLISTED
    assert len(broken(many, x="x")) == MAX_VIOLATIONS
    options = f"{{properties: {{x: {{items: {{enum: {[f'k{number}' for number in range(900)]}}}}}}}}}"
    assert broken(options, x=[1] * 10_000) == UNLISTED
    assert len(broken(options, x=[1] * 50)) == MAX_VIOLATIONS
    paths = "{$anchor: x, properties: {a: {$ref: '#x'}, x: {items: {type: string}}}}"
    deep: dict[str, Any] = {"x": [1] * 10_000}
    assert len(broken(paths, **deep)) == MAX_VIOLATIONS
    for _ in range(MAX_LISTED_DEPTH - 5):
        deep = {"a": deep}
    assert broken(paths, **deep) == UNLISTED


@pytest.mark.parametrize("on_violation", ["reject", "flag"])
def test_a_large_event_has_its_violations_listed(on_violation: str):
    product = (
        "{properties: {sku: {type: string}, price: {type: number, minimum: 0}, currency: {enum: [EUR, USD]}}}"
    )
    plan = plan_of(f"{{properties: {{products: {{items: {product}}}}}}}", on_violation)
    products = [{"sku": 1, "price": "x", "currency": "XXX"}] * 500
    violations = plan.violations("A", message(0, "A", products=products))
    assert len(violations) == MAX_VIOLATIONS
    assert str(violations[0]).startswith("properties.products[0].")


@pytest.mark.parametrize(
    "items, unique",
    [
        ([], True),
        ([1], True),
        ([1, 1], False),
        ([1, 1.0], False),
        ([0, -0.0], False),
        ([10**22, 1e22], False),
        ([1, True, "1", None, [1], {"1": 1}], True),
        ([0, False, ""], True),
        ([["a", 1.0, "1.0"], ["a", 1, "1.0"]], False),
        ([["a", 1.0, "1.0"], ["a", 1, "1"]], True),
        ([{"a": 1, "b": 2.50}, {"b": 2.5, "a": 1}], False),
        ([{"a": 1}, {"a": 2}], True),
        ([float("inf"), float("inf")], False),
        ([float("inf"), float("-inf")], True),
        (["ä", "\u00e4"], False),
    ],
)
def test_equal_items(items: list[Any], unique: bool):
    expected = [] if unique else ["properties.x: has equal items"]
    assert broken("{properties: {x: {uniqueItems: true}}}", x=items) == expected
    assert broken("{properties: {x: {uniqueItems: false}}}", x=items) == []


def test_equal_items_of_any_depth():
    deep: Any = 1
    for _ in range(MAX_DEPTH - 4):
        deep = [deep]
    schema = "{properties: {x: {uniqueItems: true}}}"
    assert broken(schema, x=[deep, [deep]]) == []
    assert broken(schema, x=[deep, deep]) == UNLISTED


def test_long_integers_are_not_compared_in_pairs(monkeypatch: pytest.MonkeyPatch):
    """They are one double, so that a hash of it would compare each with all others."""
    identified = []

    def identity(item: Any) -> str:
        identified.append(item)
        return str(item)

    monkeypatch.setattr("segmentation.tracking_plan.unique_items._identity", identity)
    items = [10**22 + number for number in range(2000)]
    assert broken("{properties: {x: {uniqueItems: true}}}", x=items) == []
    assert identified == items


def test_a_pattern_cannot_run_on():
    """It would take a backtracking engine longer than the universe has existed."""
    schema = "{properties: {x: {pattern: '^(a+)+$'}}}"
    assert broken(schema, x="a" * 30_000 + "!") == ['properties.x: the value does not match "^(a+)+$"']


def test_reads_nothing_and_asks_no_network():
    """A plan is compiled and used in a process that has neither files nor sockets to open."""
    script = (
        "import sys, segmentation.tracking_plan.load as files\n"
        "sys.addaudithook(lambda event, args: sys.exit(event) if event in ('open', 'socket.connect') else None)\n"
        "plan = files.load_tracking_plan({'a.yaml': 'event: A\\non_violation: flag\\nschema: {required: [x]}'})\n"
        "assert plan.violations('A', {})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
