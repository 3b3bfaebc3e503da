"""The delivery pipeline's file: its steps, what they run, and its substitutions."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from templates.commands import COMMANDS
from templates.settings import INSTALLATION
from tests.command_lines import is_installed, problems

FILE = Path(__file__).parents[2] / "templates" / "cloudbuild.yaml"
TEXT = FILE.read_text(encoding="utf-8")
BUILD: dict[str, Any] = yaml.safe_load(TEXT)
STEPS: list[dict[str, Any]] = BUILD["steps"]
BUILT_IN = {"SHORT_SHA"}


def command_of(step: dict[str, Any]) -> str | None:
    """Returns which of our commands a step runs."""
    runs_ours = step.get("entrypoint") == "python3" and step["args"][:2] == ["-m", "templates.commands"]
    return step["args"][2] if runs_ours else None


def test_steps_come_one_after_the_other_in_the_order_of_a_delivery() -> None:
    assert [step["id"] for step in STEPS] == [
        "test",
        "deployment",
        "image",
        "template",
        "validate",
        "replace",
    ]
    assert all("waitFor" not in step for step in STEPS), "without it each waits for the one before"
    ours = [command_of(step) for step in STEPS[2:]]
    assert ours == ["image", "template", "validate", "replace"]
    assert [step for name in ours if name for step in COMMANDS[name]] == list(COMMANDS["update"])


def test_the_other_steps_run_what_there_is() -> None:
    test, deployment = STEPS[:2]
    assert test["entrypoint"] == "make"
    assert list(problems(["make", *test["args"]])) == []
    assert deployment["args"][-1] == "deployment.json"
    if not is_installed("gcloud"):
        pytest.skip("gcloud is not installed")
    assert list(problems(deployment["args"])) == []


def test_every_image_has_a_tag_that_says_which() -> None:
    for step in STEPS:
        tag = step["name"].rpartition(":")[2]
        assert re.search(r"\d", tag), step["name"]


def test_substitutions_are_declared_and_used() -> None:
    used = set(re.findall(r"\$\{?([A-Z_]+)\}?", re.sub(r"#.*", "", TEXT)))
    assert used == {*BUILD["substitutions"], *BUILT_IN}
    assert all(name.startswith("_") for name in BUILD["substitutions"])


def test_steps_get_what_the_commands_need_and_no_more() -> None:
    given = {entry.partition("=")[0] for entry in BUILD["options"]["env"]}
    ours = [step for step in STEPS if command_of(step)]
    needs = {need for step in ours for part in COMMANDS[str(command_of(step))] for need in part.needs}
    assert needs - INSTALLATION.keys() == given - {"CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"}
    assert "secretEnv" not in TEXT
