"""A plan that could ask for too much work for one event is refused; others are not, and do no more than counted."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from segmentation.tracking_plan.load import TrackingPlanError, load_tracking_plan
from segmentation.tracking_plan.plan import TrackingPlan
from segmentation.tracking_plan.work import MAX_CHECKS, AppliedSchemas
from tests.segmentation.folding import examples, few_or_many

X = {"$ref": "#/$defs/x"}
MANY = f"can need more than {MAX_CHECKS} checks"


def plan_of(schema: dict[str, Any]) -> TrackingPlan:
    """Returns the plan of one event, `A`."""
    text = f"event: A\non_violation: flag\nschema: {json.dumps(schema)}\n"
    return load_tracking_plan({"a.yaml": text})


def refusal(schema: dict[str, Any]) -> str:
    with pytest.raises(TrackingPlanError) as raised:
        plan_of(schema)
    return str(raised.value)


def recursive(x: dict[str, Any]) -> dict[str, Any]:
    return {"$defs": {"x": x}, "properties": {"properties": X}}


def doubled(levels: int, keyword: str) -> dict[str, Any]:
    """Returns definitions that refer to the next one twice."""
    defs: dict[str, Any] = {
        f"x{level}": {keyword: [{"$ref": f"#/$defs/x{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$ref": "#/$defs/x0", "$defs": {**defs, f"x{levels}": {"required": ["order_id"]}}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_a_schema_that_refers_to_itself_twice_is_refused(keyword: str):
    branch = {"required": ["a"], "properties": {"a": X}}
    assert refusal(recursive({keyword: [branch, branch]})).startswith(
        "a.yaml: line 3: schema['$defs'].x: by this, the value at properties.a.a.a.a.a.a.a.a can need more"
    )
    items = {"items": X}
    assert MANY in refusal(recursive({keyword: [items, {**items, "minItems": 1}]}))


@pytest.mark.parametrize(
    "x",
    [
        {"if": {"properties": {"a": X}}, "then": {"properties": {"a": X}}},
        {"not": {"properties": {"a": X}}, "properties": {"a": X}},
        {"properties": {"a": X}, "patternProperties": {"^a": X}},
        {"items": X, "contains": X},
        {"prefixItems": [X], "contains": X},
        {"properties": {"a": X}, "dependentSchemas": {"a": {"properties": {"a": X}}}},
        {"additionalProperties": X, "anyOf": [{"additionalProperties": X}]},
        {"anyOf": [{"properties": {"a": X}}], "unevaluatedProperties": False},
        {"allOf": [{"$ref": "#/$defs/y"}, {"properties": {"a": X}}]},
    ],
)
def test_any_two_ways_to_the_same_value_are_refused(x: dict[str, Any]):
    schema = recursive(x)
    schema["$defs"]["y"] = {"properties": {"a": X}}
    assert MANY in refusal(schema)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_definitions_that_double_without_recursion_are_refused(keyword: str):
    assert plan_of(doubled(6, keyword)).violations("A", {})
    assert refusal(doubled(60, keyword)).startswith("a.yaml: line 3: schema['$defs'].x")
    assert MANY in refusal(doubled(60, keyword))


def test_unevaluated_properties_count_what_they_apply_again():
    schema: dict[str, Any] = {"required": ["order_id"]}
    for _ in range(12):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    assert MANY in refusal(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"dependentRequired": {f"k{number}": [] for number in range(1001)}},
        {"enum": [[number] for number in range(101)]},
        {"enum": list(range(101))},
        {"allOf": [{"multipleOf": number} for number in range(1, 5)]},
        {"allOf": [{"uniqueItems": True}] * 4},
        {"allOf": [{"pattern": "^.{1,100}a"}] * 10},
        {"patternProperties": {f"^.{{1,200}}{letter}": {} for letter in "abcdef"}},
        {"anyOf": [{"maximum": number} for number in range(100)]},
        {"items": {"allOf": [{}] * 1001}},
    ],
)
def test_what_compares_much_counts_as_much(schema: dict[str, Any]):
    assert MANY in refusal({"properties": {"x": schema}})


@pytest.mark.parametrize("target", ["", "#", "a.yaml", "a.yaml#", "#/$defs/x", "#loop"])
def test_a_schema_that_applies_to_the_same_value_again_is_refused(target: str):
    schema = {"anyOf": [{}, {"$ref": target}], "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"not": X}}}
    assert "applies to the same value again, by its references; refer to it from properties" in refusal(
        {**schema, "$anchor": "loop"}
    )


@pytest.mark.parametrize(
    "x",
    [
        {"properties": {"left": X, "right": X}},
        {"properties": {"parent": X, "children": {"items": X}}},
        {"properties": {"a": X}, "additionalProperties": X},
        {"prefixItems": [X, X], "items": X},
        {"anyOf": [{"type": "string"}, {"items": X}, {"properties": {"a": X}}]},
        {"oneOf": [{"type": "null"}, {"properties": {"all": {"items": X}, "any": {"items": X}, "not": X}}]},
    ],
)
def test_one_way_to_each_value_is_taken(x: dict[str, Any]):
    event: Any = 1
    for level in range(500):
        event = [event] if level % 2 else {"a": event}
    assert plan_of(recursive(x)).violations("A", {"properties": event}) == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"k{number}": {"type": "string"} for number in range(5000)}},
        {"required": [f"k{number}" for number in range(5000)]},
        {"enum": [*(f"k{number}" for number in range(5000)), None]},
        {"enum": list(range(50))},
        {"oneOf": [{"properties": {"type": {"const": f"k{number}"}}} for number in range(80)]},
        {"properties": {"x": {"uniqueItems": True, "items": {"multipleOf": 0.01, "pattern": "^.{1,100}$"}}}},
    ],
)
def test_usual_schemas_are_taken(schema: dict[str, Any]):
    plan_of({"properties": {"x": schema}})


def test_a_long_chain_of_references_needs_no_stack():
    length = 3000
    defs = {f"x{n}": {"properties": {"a": {"$ref": f"#/$defs/x{n + 1}"}}} for n in range(length)}
    plan_of({"$ref": "#/$defs/x0", "$defs": {**defs, f"x{length}": {}}})
    chain = {f"x{n}": {"allOf": [{"$ref": f"#/$defs/x{n + 1}"}]} for n in range(length)}
    assert MANY in refusal({"$ref": "#/$defs/x0", "$defs": {**chain, f"x{length}": {}}})


def test_combinations_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segmentation.tracking_plan.work.MAX_STEPS", 50)
    assert refusal({"properties": {f"k{number}": {} for number in range(60)}}) == (
        "a.yaml: line 3: schema: too many combinations of the plan's schemas can apply to the values of an event;"
        " let fewer schemas refer to each other"
    )


def test_the_schema_in_a_shared_file_is_named_once():
    event = "event: {}\non_violation: flag\nschema: {{properties: {{a: {{$ref: '_s.yaml#/$defs/x'}}}}}}\n"
    branch = {"properties": {"a": X}}
    shared = json.dumps({"$defs": {"x": {"anyOf": [branch, branch]}}})
    with pytest.raises(TrackingPlanError) as raised:
        load_tracking_plan({"a.yaml": event.format("A"), "b.yaml": event.format("B"), "_s.yaml": shared})
    (told,) = str(raised.value).splitlines()
    assert told.startswith("_s.yaml: line 1: ['$defs'].x: by this, the value at a.a")


# The bound is kept: a keyword that every schema has counts how often it is asked, and about which value.

KEYS = st.sampled_from(["a", "b"])
NAMES = ["x", "y", "z"]
REFERENCES = st.sampled_from(NAMES).map(lambda name: {"$ref": f"#/$defs/{name}"})


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(KEYS, inner, max_size=2)
    one = dict.fromkeys(("additionalProperties", "contains", "if", "items", "not", "then", "else"), inner)
    unevaluated = dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), inner)
    lists = dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some)
    maps = {"dependentSchemas": named, "properties": named, "patternProperties": named}
    return st.fixed_dictionaries({}, optional={**one, **unevaluated, **lists, **maps}).flatmap(
        # Few keywords at a time, so that most plans are taken
        lambda schema: (
            st.sets(st.sampled_from(sorted(schema)), max_size=2).map(
                lambda keywords: {keyword: schema[keyword] for keyword in keywords}
            )
            if schema
            else st.just(schema)
        )
    )


SIMPLE = REFERENCES | st.sampled_from(
    [{"type": "object"}, {"type": "array"}, {"required": ["a"]}, {"minItems": 1}, {"type": "string"}, {}]
)
SCHEMAS = st.recursive(SIMPLE, _schemas, max_leaves=6)
VALUES = st.recursive(
    st.just("text"),
    lambda inner: st.dictionaries(KEYS, inner, max_size=2) | st.lists(inner, max_size=3),
    max_leaves=12,
)


def _counted(schema: Any) -> Any:
    """Returns the schema with the counting keyword in each schema of it."""
    if isinstance(schema, list):
        return [_counted(part) for part in schema]
    maps = ("$defs", "dependentSchemas", "patternProperties", "properties")
    plain = ("$ref", "required", "type", "minItems")
    return {
        "x-counted": True,
        **{
            keyword: {key: _counted(inner) for key, inner in part.items()}
            if keyword in maps
            else part
            if keyword in plain
            else _counted(part)
            for keyword, part in schema.items()
        },
    }


def _distinct(value: Any) -> Any:
    """Returns a copy without a value that occurs twice, so that an address stands for one value."""
    if isinstance(value, dict):
        return {key: _distinct(part) for key, part in value.items()}
    return [_distinct(part) for part in value] if isinstance(value, list) else "".join(["t", "ext"])


def _allowed(value: Any, applied: AppliedSchemas | None, depth: int = 0) -> dict[int, tuple[int, int]]:
    """Returns for the address of each value how many checks are counted, and the levels of schemas down to it."""
    depth += applied.depth if applied else 0
    found = {id(value): (applied.checks if applied else 0, depth)}
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        if applied is None:
            below = None
        elif isinstance(key, str):
            below = applied.named.get(key, applied.other)
        else:
            below = applied.item(key)
        found |= _allowed(part, below, depth)
    return found


@few_or_many(150, 5000)
def test_no_value_is_checked_more_often_than_counted(count: int):
    taken: Counter[bool] = Counter()

    @examples(count)
    @given(schema=SCHEMAS, defs=st.fixed_dictionaries(dict.fromkeys(NAMES, SCHEMAS)), value=VALUES)
    def check(schema: dict[str, Any], defs: dict[str, Any], value: Any) -> None:
        whole = {"properties": {"p": schema}, "$defs": defs}
        try:
            plan = plan_of(whole)
        except TrackingPlanError:
            taken[False] += 1
            return
        taken[True] += 1
        event = {"p": _distinct(value)}
        asked: Counter[int] = Counter()

        class Count:
            def __init__(self, parent_schema: Any, value: Any, schema_path: Any) -> None:
                pass

            def validate(self, instance: Any) -> None:
                asked[id(instance)] += 1

        validator = Draft202012Validator(_counted(whole), keywords={"x-counted": Count})
        allowed = _allowed(event, plan._events["A"].applied)
        assert validator.is_valid(event) == (plan.violations("A", event) == ())
        for address, times in asked.items():
            assert times <= allowed[address][0]
        asked.clear()
        list(validator.iter_errors(event))
        for address, times in asked.items():
            checks, depth = allowed[address]
            assert times <= checks * (1 + depth)

    check()
    assert taken[True] > count / 10
