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
        (
            GOOD + "  properties: {a: {$dynamicRef: '#nowhere'}}\n",
            "line 5: schema.properties.a['$dynamicRef']: $dynamicRef is not supported; use $ref, with #/$defs/NAME",
        ),
        (
            GOOD + "  $dynamicAnchor: a\n",
            "line 5: schema['$dynamicAnchor']: $dynamicAnchor is not supported; use $ref, with #/$defs/NAME",
        ),
        (
            GOOD + "  $recursiveRef: '#'\n",
            "line 5: schema['$recursiveRef']: $recursiveRef is not supported; use",
        ),
        (
            GOOD + "  $vocabulary: {}\n",
            "line 5: schema['$vocabulary']: $vocabulary is not supported; leave it out",
        ),
        (
            GOOD + "  properties: {a: {$id: 'https://example.com/a'}}\n",
            "line 5: schema.properties.a['$id']: $id is not supported; leave it out; other files refer to a schema by",
        ),
        (
            GOOD + "  $id: https://example.com/order\n  $ref: _shared.yaml#/$defs/a\n",
            "line 5: schema['$id']: $id is not supported; leave it out",
        ),
        (
            GOOD + "  $schema: http://example.com/order\n",
            "line 5: schema['$schema']: found 'http://example.com/order'; expected"
            " https://json-schema.org/draft/2020-12/schema, or leave it out",
        ),
        (
            GOOD + "  $schema: http://json-schema.org/draft-07/schema#\n",
            "line 5: schema['$schema']: found 'http://json-schema.org/draft-07/schema#'; expected https://json-sch",
        ),
        (
            GOOD + "  properties:\n    a: {$schema: 'https://json-schema.org/draft/2019-09/schema'}\n",
            "line 6: schema.properties.a['$schema']: found 'https://json-schema.org/draft/2019-09/schema'; expected",
        ),
        (
            GOOD + "  $defs: {a: {$ref: '#/$defs/b'}}\n",
            "line 5: schema['$defs'].a['$ref']: its target is not in",
        ),
        (GOOD + "  $ref: '#/type'\n", "line 5: schema['$ref']: its target is not in this plan"),
        (
            GOOD + "  $ref: '#/properties'\n  properties: {a: {}}\n",
            "line 5: schema['$ref']: its target is not in",
        ),
        (GOOD + "  $ref: '#nowhere'\n", "line 5: schema['$ref']: its target is not in this plan"),
        (GOOD + "  $ref: '#/$defs'\n  $defs: {}\n", "line 5: schema['$ref']: its target is not in this plan"),
        (GOOD + "  $ref: ./order.yaml\n", "line 5: schema['$ref']: its target is not in this plan"),
        (
            GOOD + "  properties: {const: {$ref: 'http://example.com'}}\n",
            "line 5: schema.properties.const['$ref']: its target is not in this plan",
        ),
        (
            GOOD + "  $defs:\n    a: {$anchor: x}\n    b: {$anchor: x}\n",
            "line 7: schema['$defs'].b['$anchor']: the anchor 'x' occurs twice in this file; rename one of them",
        ),
        (
            GOOD + "  enum: [.nan]\n",
            "line 5: schema.enum[0]: found nan; expected a number that JSON can hold",
        ),
        (
            GOOD + "  minimum: -1e400\n",
            "line 5: schema.minimum: found -inf; expected a number that JSON can hold",
        ),
        (
            GOOD + "  multipleOf: 0\n",
            "line 5: schema.multipleOf: 0 is less than or equal to the minimum of 0",
        ),
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


def test_a_reference_without_a_target_in_another_file_is_reported_there():
    event = GOOD + "  $ref: _shared.yaml#/$defs/a\n"
    assert mistakes(order=event, _shared="$defs:\n  a:\n    $ref: '#/$defs/b'\n") == [
        "_shared.yaml: line 3: ['$defs'].a['$ref']: its target is not in this plan; expected #/$defs/NAME, or"
        " _shared.yaml#/$defs/NAME"
    ]


@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/a%20b~1c~0d",
        "order.yaml#/$defs/a%20b~1c~0d",
        "#there",
        "#/allOf/0",
        "_shared.yaml",
        "_shared.yaml#",
        "_shared.yaml#there",
    ],
)
def test_what_a_reference_can_mean(reference: str):
    schema = (
        "  $schema: https://json-schema.org/draft/2020-12/schema\n"
        f"  properties: {{order_id: {{$ref: '{reference}'}}}}\n"
        "  $defs: {'a b/c~d': {type: string}, other: {$anchor: there, type: string}}\n"
        "  allOf: [{type: [object, string], maxProperties: 0}]\n"
    )
    shared = "$anchor: there\ntype: string\n"
    plan = load_tracking_plan({"order.yaml": GOOD + schema, "_shared.yaml": shared})
    assert plan.violations("Order Completed", {"order_id": {"x": 5}})


def test_a_key_with_the_name_of_a_keyword_is_a_key():
    schema = "  properties: {$ref: {type: string}, $id: {const: {$ref: nothing, $schema: 5}}}\n"
    plan = load_tracking_plan({"order.yaml": GOOD + schema})
    assert plan.violations("Order Completed", {"$ref": "x", "$id": {"$ref": "nothing", "$schema": 5}}) == ()


def test_aliases_are_bounded_in_all_files_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segmentation.tracking_plan.load.MAX_VALUES", 1000)
    lists = "".join(f"  - &l{level} [{', '.join([f'*l{level - 1}'] * 3)}]\n" for level in range(1, 5))
    schema = GOOD + "  default:\n  - &l0 [0, 0, 0]\n" + lists
    load_tracking_plan({"a.yaml": schema})
    assert mistakes(**{name: schema.replace("Completed", name) for name in "abcde"}) == [
        "b.yaml: line 1: more than 1000 values in the plan up to here, with those that aliases repeat; use fewer"
        " aliases"
    ]


def test_a_long_value_is_shortened_in_a_message():
    (told,) = mistakes(order=GOOD + f"  pattern: '{'(' * 5000}'\n")
    assert told.startswith('order.yaml: line 5: schema.pattern: "((((')
    assert told.endswith('((" is not a "regex"')
    assert len(told) < 300


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
