"""Any files give a plan or the loader's own error, and any event of a plan gives a verdict with a bounded list."""

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from segmentation.documents.document import MAX_DEPTH
from segmentation.events import MAX_DEPTH as MAX_EVENT_DEPTH
from segmentation.tracking_plan.load import _KEYWORDS, TrackingPlanError, load_tracking_plan
from segmentation.tracking_plan.plan import MAX_VIOLATIONS, TrackingPlan
from tests.segmentation.folding import examples, few_or_many

KEYS = st.sampled_from(["a", "b", "$ref", "$id", "const", "properties", "", "é/~%", "\x85"])
TEXTS = KEYS | st.sampled_from(
    [
        "(",
        "(?=a)",
        "^(a+)+$",
        "((a{999}){999}){99}",
        "date-time",
        "emial",
        "regex",
        "object",
        "null",
        "\ud800",
        "1e400",
    ]
)
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 0.5, 1e-300, 1e300, 2**63, 2**70, 10**400, -0.0, float("inf"), float("nan")]
)
ADDRESSES = st.sampled_from(
    [
        "#",
        "",
        "#/$defs/a",
        "#/$defs/b",
        "#/$defs/c",
        "#/properties/a",
        "#/enum/0",
        "#/allOf/0",
        "#/allOf/00",
        "#/allOf/-1",
        "#anchor",
        "#/$defs/%C3%A9~1~0%25",
        "#/%zz",
        "_s.yaml",
        "_s.yaml#/$defs/a",
        "_s.yaml#anchor",
        "b.yaml",
        "a.yaml#/$defs/a",
        "/a.yaml",
        "c.yaml",
        "http://example.com/a",
        "http://[",
        "file:///etc/passwd",
        "plan:/_s.yaml#/$defs/a",
        "urn:x",
        "https://json-schema.org/draft/2020-12/schema",
        "http://json-schema.org/draft-07/schema#",
    ]
)
ANYTHING = st.recursive(
    TEXTS | NUMBERS | st.sampled_from([None, True, False]) | ADDRESSES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Returns schemas, most of them valid, with inner ones."""
    some = st.lists(inner, min_size=1, max_size=2)
    named = st.dictionaries(KEYS, inner, max_size=3)
    lengths = st.sampled_from([0, 1, 2, 10**30])
    values: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
        **dict.fromkeys(
            ("$defs", "properties", "patternProperties", "dependentSchemas", "definitions"), named
        ),
        **dict.fromkeys(("minLength", "maxItems", "minProperties", "maxContains", "minContains"), lengths),
        **dict.fromkeys(("minimum", "exclusiveMaximum", "multipleOf"), NUMBERS),
        **dict.fromkeys(("$ref", "$dynamicRef", "$id", "$schema", "$recursiveRef"), ADDRESSES),
        "$anchor": st.just("anchor"),
        "const": ANYTHING,
        "contentMediaType": st.just("application/json"),
        "dependentRequired": st.dictionaries(KEYS, st.lists(KEYS, max_size=2, unique=True), max_size=2),
        "enum": st.lists(ANYTHING, min_size=1, max_size=3),
        "format": TEXTS,
        "pattern": TEXTS,
        "required": st.lists(KEYS, max_size=2, unique=True),
        "type": st.sampled_from(["object", "array", "string", "number", ["integer", "null"]]),
        "uniqueItems": st.booleans(),
    }
    for keyword in _KEYWORDS - values.keys():
        values[keyword] = inner
    pairs = st.sampled_from(sorted(values)).flatmap(
        lambda keyword: st.tuples(
            st.just(keyword), values[keyword] | ANYTHING if keyword == "enum" else values[keyword]
        )
    )
    return st.lists(pairs, max_size=4).map(dict)


SCHEMAS = st.recursive(
    st.booleans() | ADDRESSES.map(lambda address: {"$ref": address}) | st.just({"type": "string"}),
    _schemas,
    max_leaves=8,
)


def _nested(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = [value] if level % 3 else {"a": value}
    return value


EVENTS = st.recursive(
    TEXTS.filter(lambda text: text != "\ud800")
    | st.sampled_from([None, True, 0, 1, 0.5, 1e300, 2**70, 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(_nested, inner, st.sampled_from([1, 2, 100, 254, 255, 256, MAX_EVENT_DEPTH - 30]))
        | st.builds(lambda value, times: [value] * times, inner, st.sampled_from([20, 1000]))
    ),
    max_leaves=5,
)


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(part, dict | list):
            waiting += [(inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part)]
    return deepest


def plan_or_error(texts: dict[str, str]) -> TrackingPlan | None:
    """Returns the plan; None if the files have mistakes, each of which names its file."""
    try:
        return load_tracking_plan(texts)
    except TrackingPlanError as error:
        for line in str(error).splitlines():
            assert (
                line.startswith(tuple(f"{name}: line " for name in texts)) or "no file names an event" in line
            )
        return None


@few_or_many(150, 5000)
def test_any_schemas_give_a_plan_or_mistakes_and_any_event_a_verdict(count: int):
    @examples(count)
    @given(st.dictionaries(KEYS, SCHEMAS, max_size=3), SCHEMAS, SCHEMAS, st.lists(EVENTS, max_size=3))
    def check(properties: dict[str, Any], definition: Any, shared: Any, events: list[Any]) -> None:
        schema = {"properties": properties, "$defs": {"a": definition, "b": shared}}
        texts = {
            "a.yaml": json.dumps({"event": "A", "on_violation": "flag", "schema": schema}),
            "_s.yaml": json.dumps({"$defs": {"a": shared}}),
        }
        plan = plan_or_error(texts)
        for event in events:
            if plan is not None and _depth(event) < MAX_EVENT_DEPTH - 2:
                for message in ({"a": event}, {"b": event, "a": [event]}):
                    violations = plan.violations("A", message)
                    assert len(violations) <= MAX_VIOLATIONS
                    assert violations == load_tracking_plan(texts).violations("A", message)

    check()


@few_or_many(150, 5000)
def test_any_text_gives_a_plan_or_mistakes(count: int):
    pieces = [
        "event",
        "on_violation",
        "schema",
        "flag",
        ": ",
        "\n",
        "  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        '"',
        "'",
    ]
    pieces += [
        "&a ",
        "*a",
        "<<",
        "!!set ",
        "!x ",
        "? ",
        "| ",
        "> ",
        "#",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "$ref",
        "\t",
    ]
    pieces += [
        "\x00",
        "\ufeff",
        "\ud800",
        "1e400",
        ".nan",
        "0x1",
        "{}",
        "type",
        "string",
        "{" * (MAX_DEPTH + 1),
    ]

    @examples(count)
    @given(st.lists(st.sampled_from(pieces) | st.text(max_size=3), max_size=30).map("".join), st.booleans())
    def check(text: str, is_schema: bool) -> None:
        head = "event: A\non_violation: flag\nschema: " if is_schema else ""
        plan_or_error({"a.yaml": head + text})

    check()


@few_or_many(100, 5000)
def test_any_document_gives_a_plan_or_mistakes(count: int):
    @examples(count)
    @given(ANYTHING, ANYTHING, st.booleans())
    def check(schema: Any, other: Any, is_json: bool) -> None:
        document = {"event": "A", "on_violation": "flag", "schema": schema}
        dump = json.dumps if is_json else yaml.safe_dump
        plan_or_error({"a.yaml": dump(document), "_s.yaml": dump(other)})

    check()
