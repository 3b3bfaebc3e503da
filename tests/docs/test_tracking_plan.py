"""docs/tracking-plan.md is true: its file, its table, its messages and its command."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from commands.cli import main
from segmentation.documents.document import MAX_VALUES
from segmentation.tracking_plan.load import TrackingPlanError, load_tracking_plan
from segmentation.tracking_plan.plan import MAX_LIST_BYTES, MAX_LISTED_DEPTH, TrackingPlan, format_violations
from segmentation.tracking_plan.work import MAX_CHECKS
from stores.tracking_plan import read_tracking_plan

TEXT = Path("docs/tracking-plan.md").read_text()
FOLDER = "definitions/tracking_plan"


@pytest.fixture(scope="module")
def plan() -> TrackingPlan:
    return read_tracking_plan(FOLDER).plan


def block(comment: str) -> str:
    match = re.search(rf"<!-- {comment} -->\n```\w*\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    return match[1]


def test_shows_a_file_of_the_plan():
    assert block("a file of definitions/tracking_plan") == Path(f"{FOLDER}/order_completed.yaml").read_text()


def test_lists_every_event_with_what_it_must_have(plan: TrackingPlan):
    rows = re.findall(r"^\| ([A-Z][\w ]+) \| (\w+) \| (.*?) ?\|$", TEXT, re.MULTILINE)
    found = []
    for name in plan.names:
        missing = plan.violations(name, {"properties": {}})
        fields = [f"`{violation.path.removeprefix('properties.')}`" for violation in missing]
        found.append((name, plan.on_violation(name), ", ".join(fields)))
    assert rows == found


def test_shows_the_message_of_a_dead_letter(plan: TrackingPlan):
    violations = plan.violations("Order Completed", {"properties": {"total": "27,50", "tax": True}})
    assert format_violations(violations) + "\n" == block("message of a dead letter")


def test_shows_the_message_of_a_violation_without_a_list(plan: TrackingPlan):
    deep: Any = 1
    for _ in range(MAX_LISTED_DEPTH):
        deep = [deep]
    violations = plan.violations("Order Completed", {"properties": {"note": deep}})
    assert format_violations(violations) + "\n" == block("message without a list")
    assert f"more than {MAX_LISTED_DEPTH} levels" in TEXT
    assert f"more than {MAX_LIST_BYTES >> 20} MiB" in TEXT


def test_shows_a_plan_that_needs_too_much_work():
    with pytest.raises(TrackingPlanError) as raised:
        load_tracking_plan({"rule_saved.yaml": block("a plan that is refused")})
    assert f"{raised.value}\n" == block("how it is refused")
    assert f"at most {MAX_CHECKS:,} checks" in TEXT
    assert f"at most {MAX_VALUES:,}\n  values" in TEXT


@pytest.mark.parametrize(
    "row, schema, checks",
    [
        ("the schema itself", {}, 1),
        (
            "each schema of `allOf`",
            {"allOf": [{}, {}], "not": {"if": {}, "then": {}}, "propertyNames": {}},
            7,
        ),
        ("each schema of `allOf`", {"$ref": "#/$defs/x", "oneOf": [{}], "anyOf": [{}], "else": {}}, 5),
        ("the same, beside", {"allOf": [{"allOf": [{}]}], "unevaluatedItems": False}, 7),
        ("`const`, `minimum`", {"const": "x", "minimum": 1, "maximum": 2}, 31),
        ("`const`, `minimum`", {"exclusiveMinimum": 1, "exclusiveMaximum": 2}, 21),
        ("`enum` of texts and null", {"enum": ["a", "b", None]}, 1),
        ("each value of another `enum`", {"enum": ["a", 1]}, 21),
        ("`multipleOf`, `uniqueItems`", {"multipleOf": 2, "uniqueItems": True}, 501),
        (
            "each name in `dependentRequired`",
            {"dependentRequired": {"a": ["b", "c"]}, "dependentSchemas": {"a": {}}},
            4,
        ),
        ("each 1,024 bytes", {"pattern": "^[a-z]$"}, 1),
        ("each 1,024 bytes", {"pattern": "^.{1,100}$", "patternProperties": {"^.{1,100}$": {}}}, 257),
    ],
)
def test_lists_what_counts_as_how_many_checks(row: str, schema: dict[str, Any], checks: int):
    assert f"\n| {row}" in TEXT
    assert _is_accepted(schema, MAX_CHECKS - checks)
    assert not _is_accepted(schema, MAX_CHECKS - checks + 1)


def _is_accepted(schema: dict[str, Any], others: int) -> bool:
    """Returns whether a plan is accepted in which a schema and so many others apply to one value."""
    whole = {"$defs": {"x": {}}, "properties": {"p": {"allOf": [schema] + [True] * (others - 1)}}}
    try:
        load_tracking_plan({"a.yaml": json.dumps({"event": "A", "on_violation": "flag", "schema": whole})})
    except TrackingPlanError as error:
        if f"more than {MAX_CHECKS} checks" not in str(error):
            raise
        return False
    return True


def test_shows_a_mistake_as_it_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for file in Path(FOLDER).iterdir():
        text = file.read_text()
        if file.name == "order_completed.yaml":
            text = text.replace("required", "requird")
        (tmp_path / file.name).write_text(text)
    assert main(["check", str(tmp_path)]) == 2
    shown = capsys.readouterr().err.replace(str(tmp_path), FOLDER).replace("check:", "run: --tracking_plan:")
    assert shown in TEXT


def test_the_check_passes(capsys: pytest.CaptureFixture[str]):
    assert main(["check", FOLDER]) == 0
    assert capsys.readouterr().out.startswith(f"{FOLDER}: a tracking plan of 28 events, 7 of them")
