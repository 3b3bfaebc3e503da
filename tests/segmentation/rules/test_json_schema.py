"""The published JSON Schema: it is the current one, it takes what loads, and it marks typical mistakes."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from commands.definitions_schema import PUBLISHED, schema_text
from segmentation.documents.document import read_document
from segmentation.documents.problems import Problems
from segmentation.rules.json_schema import json_schema
from segmentation.rules.load import load_rules
from segmentation.rules.schema.conditions import FORMS

ROOT = Path(__file__).parents[3]
DEFINITIONS = sorted(ROOT.glob("definitions/segments*.yaml"))
CONFORMANCE = sorted(ROOT.glob("tests/conformance/*/segments.yaml"))
VALIDATOR = jsonschema.Draft7Validator(json_schema())


def mistakes(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(read_document(text).value)]


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
        "the language has changed: publish its schema anew by `python -m commands.definitions_schema`"
    )


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_our_definitions_name_it_for_editors() -> None:
    first_lines = {path.read_text(encoding="utf-8").splitlines()[0] for path in DEFINITIONS}
    assert first_lines == {f"# yaml-language-server: $schema={PUBLISHED.name}"}


def test_there_is_something_to_validate() -> None:
    assert DEFINITIONS
    assert CONFORMANCE


@pytest.mark.parametrize("path", [*DEFINITIONS, *CONFORMANCE], ids=lambda path: str(path.relative_to(ROOT)))
def test_definitions_that_load_validate(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    load_rules(text)
    assert mistakes(text) == []


def objects(part: Any) -> list[dict[str, Any]]:
    """Returns all objects of a schema that describe a mapping."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    found = [one for deeper in inner for one in objects(deeper)]
    return [part, *found] if isinstance(part, dict) and part.get("type") == "object" else found


def test_no_mapping_takes_unknown_keys() -> None:
    mappings = objects(json_schema())
    assert len(mappings) > 20
    assert [mapping for mapping in mappings if mapping["additionalProperties"] is not False] == []


def test_every_key_and_every_mapping_is_explained() -> None:
    published = json_schema()
    models = [published, *published["definitions"].values()]
    named = [model for model in models if "properties" in model]
    assert len(named) > 10
    assert [model["title"] for model in named if not model.get("description")] == []
    assert [
        f"{model['title']}: {key}"
        for model in named
        for key, part in model["properties"].items()
        if not part.get("description", "").endswith((".", "1"))
    ] == []


def test_every_form_can_be_chosen() -> None:
    branches = json_schema()["definitions"]["Condition"]["oneOf"]
    required = [
        json_schema()["definitions"][branch["$ref"].split("/")[-1]]["required"] for branch in branches
    ]
    assert [keys[0] for keys in required] == list(FORMS)


def test_no_default_is_shown() -> None:
    assert '"default"' not in schema_text()


MISTAKES = [
    "{}",
    "version: 2",
    "version: '1'",
    "version: 1\nsegmnts: {}",
    "version: 1\nsegments: []",
    "version: 1\nsegments: {Cart: {when: {event: A}}}",
    "version: 1\nsegments: {a: {}}",
    "version: 1\nsegments: {a: {wen: {event: A}}}",
    "version: 1\nmeasures: {m: {event: A}}",
    "version: 1\nmeasures: {m: {event: A, count: {at_least: 1}}}",
    "version: 1\nmeasures: {m: {event: A, sum: {of: a, at_least: 1}}}",
    "version: 1\nmeasures: {m: {event: A, count: {}, sum: {of: a}}}",
    "version: 1\nmeasures: {m: {event: A, last: {of: 'a[]'}}}",
    "version: 1\nscores: {s: {}}",
    "version: 1\nscores: {s: {earn: []}}",
    "version: 1\nscores: {s: {earn: [{event: A}]}}",
    "version: 1\nscores: {s: {earn: [{event: A, points: one}]}}",
    "version: 1\nscores: {s: {earn: [{event: A, points: 1e16}]}}",
    "version: 1\nexport_traits: plan",
    "version: 1\nexport_traits: ['tags[]']",
]
CONDITION_MISTAKES = [
    "A",
    "",
    "{}",
    "{within: 1d}",
    "{evnt: A}",
    "{event: A, trait: b, exists: true}",
    "{event: A, withn: 1d}",
    "{event: A, within: 10}",
    "{event: A, within: 10 m}",
    "{event: A, within: }",
    "{event: ''}",
    "{event: []}",
    "{event: $pagee}",
    "{event: A, count: 5}",
    "{event: A, count: {}}",
    "{event: A, count: {at_leest: 5}}",
    "{event: A, count: {at_least: '5'}}",
    "{event: A, count: {at_least: 5}, sum: {of: a, at_least: 5}}",
    "{event: A, sum: {at_least: 5}}",
    "{event: A, sum: {of: a}}",
    "{event: A, first: {of: 'a[]', exists: true}}",
    "{event: A, where: {a: {}}}",
    "{event: A, where: {a: [1]}}",
    "{event: A, where: {a: }}",
    "{event: A, where: {a..b: 1}}",
    "{event: A, where: {'a[0]': 1}}",
    "{trait: plan}",
    "{trait: plan, exists: yes}",
    "{trait: plan, in: pro}",
    "{trait: plan, in: []}",
    "{trait: 'tags[]', exists: true}",
    "{measure: orders}",
    "{measure: Orders, at_least: 1}",
    "{score: engagement}",
    "{all: []}",
    "{all: {event: A}}",
    "{not: [{event: A}]}",
    "{all: [{any: [{not: {event: 5}}]}]}",
    "{sequence: [{event: A}]}",
    "{sequence: [], within: 1d}",
    "{sequence: {event: A}, within: 1d}",
    "{sequence: [{event: A, maxgap: 1m}], within: 1d}",
    "{sequence: [{event: A}], within: 1d, then_not: {event: B}}",
    "{sequence: [{event: A}], within: 1d, then_not: {event: B, for: 1m, during: 1m}}",
    "{sequence: [{event: A}], within: 1d, then_not: []}",
    "{sequence: [{event: A}], within: 1d, same: }",
]


@pytest.mark.parametrize(
    "text",
    [*MISTAKES, *(f"version: 1\nsegments: {{a: {{when: {condition}}}}}" for condition in CONDITION_MISTAKES)],
)
def test_typical_mistakes_are_marked(text: str) -> None:
    assert mistakes(text) != []
    with pytest.raises(Problems):
        load_rules(text)


@pytest.mark.parametrize(
    "condition",
    [
        "{event: A}",
        "{event: ['*', $page], where: {a: yes, 'b[].c': {in: [1, true, x]}}, within: 1h30m}",
        "{event: A, last: {of: a.b, equals: x}}",
        "{not: {all: [{any: [{segment: a_b}]}]}}",
        "{sequence: [{event: A, same: a}, {event: B, max_gap: 1m}], within: 1d, same: b, "
        "then_not: [{event: C, for: 1m}, {event: D, during: 1m, same: c}]}",
        "{trait: address.city, exists: false}",
        "{measure: m, at_least: 1, at_most: 2}",
        "{score: s, more_than: -1.5}",
    ],
)
def test_valid_conditions_are_not_marked(condition: str) -> None:
    assert mistakes(f"version: 1\nsegments: {{a: {{when: {condition}}}}}") == []


def test_texts_are_short_enough_for_a_tooltip() -> None:
    descriptions = re.findall(r'"description": "(.*)"', schema_text())
    assert max(map(len, descriptions)) <= 120
    assert not any("\\n" in description for description in descriptions)


def test_it_is_json() -> None:
    assert json.loads(schema_text()) == json_schema()
