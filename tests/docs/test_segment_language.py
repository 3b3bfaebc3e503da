"""The reference of the segment language: every example does what it says, and every form has an example."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from segmentation.documents import document
from segmentation.documents.document import read_document
from segmentation.documents.problems import Problems
from segmentation.durations import MAX_MS as LONGEST_DURATION_MS
from segmentation.durations import format_duration
from segmentation.memories.rows import MAX_EVENTS
from segmentation.rules import checks
from segmentation.rules.load import load_rules
from segmentation.rules.schema.conditions import FORMS, Condition
from segmentation.rules.schema.definitions import Definitions
from segmentation.rules.schema.measures import Measured
from segmentation.rules.schema.values import (
    MAX_EXPRESSION_CHARACTERS,
    MAX_LIST_ITEMS,
    MAX_SEGMENTS,
    MAX_STEPS,
    ValueTests,
)
from tests.docs.examples import Example, happened, read_examples

REFERENCE = Path(__file__).parents[2] / "docs" / "segment-language.md"
TEXT = REFERENCE.read_text(encoding="utf-8")
EXAMPLES = read_examples(TEXT)
RUN = [(example, block) for example in EXAMPLES for block in example.events]
BROKEN = [example for example in EXAMPLES if example.report is not None]


def name_of(value: Any) -> str:
    return f"line {value.line}" if isinstance(value, Example) else ""


@pytest.mark.parametrize(("example", "block"), RUN, ids=name_of)
def test_an_example_does_what_it_says(example: Example, block: str) -> None:
    written, found = happened(example, block)
    assert written == found


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.report is None], ids=name_of)
def test_an_example_loads(example: Example) -> None:
    load_rules(example.rules_text())


@pytest.mark.parametrize("example", BROKEN, ids=name_of)
def test_of_a_broken_example_is_said_what_stands_below_it(example: Example) -> None:
    with pytest.raises(Problems) as caught:
        load_rules(example.rules_text())
    assert str(caught.value) + "\n" == example.report


VIEWED = Example(1, "event: Product Viewed\nwithin: 10m\n", [], None)


@pytest.mark.parametrize(
    "block",
    [
        "12:00:00 Product Viewed\n12:10:00 → exited",
        "12:00:00 Product Viewed → entered\n12:10:00 → exited",
        "12:00:00 Product Viewed → entered until 12:10:00\n12:11:00 → exited",
        "12:00:00 Product Viewed → entered until 12:10:00\n12:11:00",
        "12:00:00 Product Viewed → entered until 12:10:00\n12:05:00 Product Viewed",
        "12:00:00 Product Added → entered until 12:10:00",
    ],
)
def test_an_example_that_says_something_else_is_found_out(block: str) -> None:
    written, found = happened(VIEWED, block)
    assert written != found


# Completeness


def what_is_there(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """Yields every key of a model and of all models in it; tests by their names alone."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield _key(model, field.alias or name)
        for inner in _models_in(field.annotation):
            yield from what_is_there(inner, seen)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    name = getattr(annotation, "__forward_arg__", annotation)
    if name == "Condition" or annotation is Condition:
        for choice in Condition.__value__.__args__[0].__args__:
            yield from _models_in(choice)
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def what_is_shown(value: Any) -> Iterator[str]:
    """Yields every key that was written in definitions."""
    if isinstance(value, BaseModel):
        for name in value.model_fields_set:
            yield _key(type(value), type(value).model_fields[name].alias or name)
            yield from what_is_shown(getattr(value, name))
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from what_is_shown(inner)


def _key(model: type[BaseModel], key: str) -> str:
    if key in ValueTests.TEST_NAMES and issubclass(model, ValueTests):
        return f"the test {key}"
    return f"{key} in {model.__name__}"


def test_every_form_has_an_example_that_is_run() -> None:
    shown = {
        key
        for example, _ in RUN
        for key in what_is_shown(Definitions.model_validate(read_document(example.rules_text()).value))
    }
    missing = sorted(set(what_is_there(Definitions, set())) - shown)
    assert missing == [], f"{REFERENCE.name} has no example with events for: {', '.join(missing)}"


def test_completeness_looks_at_every_form_measure_and_test() -> None:
    there = set(what_is_there(Definitions, set()))
    forms = {key.split(" in ")[0] for key in there if key.split(" in ")[-1].endswith("Condition")}
    assert forms >= {*FORMS, *Measured.MEASURES}
    assert {key.removeprefix("the test ") for key in there} >= set(ValueTests.TEST_NAMES)
    assert {"max_gap in StepDefinition", "for in ThenNotDefinition", "times in PointsOf"} <= there


@pytest.mark.parametrize("block", re.findall(r"^```(\w*)$", TEXT, re.MULTILINE)[::2])
def test_every_block_is_checked(block: str) -> None:
    assert block in ("yaml", "events", "report", "console")


def test_every_yaml_block_stands_before_what_checks_it() -> None:
    assert [example.line for example in EXAMPLES if not example.events and example.report is None] == []


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("size of a file", f"{document.MAX_BYTES // 1024**2} MiB"),
        ("segments", f"{MAX_SEGMENTS:,}"),
        ("depth of nesting", f"{document.MAX_DEPTH} levels"),
        ("segments that refer to segments", f"{checks.MAX_REFERENCE_DEPTH} deep"),
        ("entries of a list", f"{MAX_LIST_ITEMS:,}"),
        ("steps of a sequence, entries of `then_not`", f"{MAX_STEPS}"),
        ("an expression of `matches`", f"{MAX_EXPRESSION_CHARACTERS:,} characters"),
        ("a duration", f"1s to {format_duration(LONGEST_DURATION_MS)}"),
        ("events remembered per condition, or step, in its window", f"{MAX_EVENTS:,}"),
    ],
)
def test_limits_are_those_of_the_code(what: str, limit: str) -> None:
    assert f"| {what} | {limit} |" in TEXT
