"""docs/tracking-plan.md is true: its file, its table, its messages and its command."""

import re
from pathlib import Path

import pytest

from commands.cli import main
from segmentation.tracking_plan.plan import TrackingPlan, format_violations
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
