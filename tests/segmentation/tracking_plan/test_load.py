"""Files of a tracking plan: all mistakes are reported, with the file, the line and the fix."""

import pytest
from jsonschema_specifications import REGISTRY

from segmentation.tracking_plan.load import _KEYWORDS, TrackingPlanError, load_tracking_plan

GOOD = "event: Order Completed\non_violation: reject\nschema:\n  type: object\n"


def mistakes(**texts: str) -> list[str]:
    with pytest.raises(TrackingPlanError) as raised:
        load_tracking_plan({f"{name}.yaml": text for name, text in texts.items()})
    return str(raised.value).splitlines()


def test_a_plan_of_two_files():
    plan = load_tracking_plan(
        {
            "order.yaml": GOOD + "  properties: {properties: {$ref: '_shared.yaml#/$defs/order'}}\n",
            "_shared.yaml": "$defs:\n  order: {required: [order_id]}\n",
        }
    )
    assert plan.names == ("Order Completed",)
    assert str(plan.violations("Order Completed", {"properties": {}})[0]) == "properties.order_id: is missing"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", "line 1: the file is not a mapping; begin with event: and schema:"),
        ("a: [", "line 2: not YAML: did not find expected node content"),
        (
            GOOD + "event: B\n",
            "line 5: event: the key 'event' occurs twice, first on line 1; keep one of them",
        ),
        (
            GOOD.replace("on_violation", "on_violations"),
            "line 2: on_violations: unknown key 'on_violations'; did you mean 'on_violation'?",
        ),
        (
            GOOD + "owner: shop\n",
            "line 5: owner: unknown key 'owner'; expected one of description, event, on_violation, schema",
        ),
        (
            GOOD.replace("Order Completed", "5"),
            "line 1: event: found 5; expected an event's name, or $page, $screen, $identify, $group or $alias",
        ),
        (
            GOOD.replace("reject", "drop"),
            "line 2: on_violation: found 'drop'; expected reject or flag",
        ),
        (
            "event: A\nschema: {}\n",
            "line 1: on_violation: found nothing; expected reject or flag",
        ),
        (
            "event: A\non_violation: flag\nschema: true\n",
            "line 3: schema: found true; expected the JSON Schema of the whole message",
        ),
        (GOOD + "description: [x]\n", "line 5: description: found a list; expected a text"),
        (
            GOOD.replace("object", "objekt"),
            "line 4: schema.type: found 'objekt'; expected array, boolean, integer, null, number, object, string",
        ),
        (
            GOOD + "  requird: [properties]\n",
            "line 5: schema.requird: unknown keyword 'requird'; did you mean 'required'?",
        ),
        (
            GOOD + "  properties:\n    properties:\n      properties:\n        total: {typ: number}\n",
            "line 8: schema.properties.properties.properties.total.typ: unknown keyword 'typ'; did you mean 'type'?",
        ),
        (
            GOOD + "  properties: {a: {pattern: '(?=a)b'}}\n",
            "line 5: schema.properties.a.pattern: an unsupported pattern; expected no look-around, no"
            " back-reference, few repetitions",
        ),
        (
            GOOD + "  properties: {a: {pattern: '((a{999}){999}){99}'}}\n",
            "line 5: schema.properties.a.pattern: an unsupported pattern; expected no look-around",
        ),
        (
            GOOD + "  patternProperties: {'(?<!a)b': {}}\n",
            "line 5: schema.patternProperties['(?<!a)b']: an unsupported pattern; expected no look-around",
        ),
        (
            GOOD + "  properties: {a: {format: emial}}\n",
            "line 5: schema.properties.a.format: Unknown format: 'emial'",
        ),
        (GOOD + "  required: name\n", 'line 5: schema.required: "name" is not of type "array"'),
        (
            GOOD + "  properties:\n    a: {type: string}\n    b: {$ref: '#/$defs/b'}\n",
            "line 7: schema.properties.b[$ref]: its target is not in this plan; expected #/$defs/NAME, or",
        ),
        (
            GOOD + "  $ref: https://example.com/order.json\n",
            "line 5: schema['$ref']: its target is not in this plan",
        ),
        (GOOD + "  $ref: file:///etc/passwd\n", "line 5: schema['$ref']: its target is not in this plan"),
        (GOOD + "  $ref: _nothing.yaml#/$defs/a\n", "line 5: schema['$ref']: its target is not in this"),
        (GOOD + "  $dynamicRef: '#nowhere'\n", "line 3: schema: its target is not in this plan"),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_its_fix(text: str, expected: str):
    (told,) = mistakes(order=text)
    assert told.startswith("order.yaml: " + expected.replace("[$ref]", "['$ref']"))


def test_tells_every_mistake_of_every_file():
    told = mistakes(
        b="event: B\non_violation: no\nschema: {typ: 1, requird: [x]}\n",
        a=GOOD + "  minimu: 1\n  maximu: 1\n",
        _shared="$defs: {x: {typ: 1}}\n",
    )
    assert [line.split(": ")[:2] for line in told] == [
        ["_shared.yaml", "line 1"],
        ["a.yaml", "line 5"],
        ["a.yaml", "line 6"],
        ["b.yaml", "line 2"],
    ]


def test_an_event_has_one_file():
    (told,) = mistakes(a=GOOD, b=GOOD)
    assert told == (
        "b.yaml: line 1: event: 'Order Completed' is also in a.yaml; keep one file for each event"
    )


def test_a_plan_names_an_event():
    assert mistakes(_shared="$defs: {}\n") == [
        "no file names an event: add one, with event:, on_violation: and schema:"
    ]


def test_a_shared_file_is_a_mapping():
    assert mistakes(_shared="- a\n") == [
        "_shared.yaml: line 1: the file is not a mapping; begin with $defs:",
    ]


def test_knows_every_keyword_of_json_schema():
    dialect = "https://json-schema.org/draft/2020-12/"
    named = {
        keyword
        for address in REGISTRY
        if address.startswith(dialect)
        for keyword in REGISTRY.contents(address).get("properties", {})
    }
    assert named == _KEYWORDS
