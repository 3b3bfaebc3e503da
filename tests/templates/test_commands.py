"""The commands: what each says, needs, and runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import hcl2
import pytest

from templates.commands import COMMANDS, main
from templates.settings import GIVEN, INSTALLATION
from tests.command_lines import problems
from tests.templates.cloud import (
    ALL,
    BASE,
    INSTALLED,
    NO_IMAGE,
    RUNNING,
    Cloud,
    Give,
    start,
)

ROOT = Path(__file__).parents[2]
Shown = pytest.CaptureFixture[str]


def test_there_is_a_target_for_each() -> None:
    assert [problem for name in COMMANDS for problem in problems(["make", name])] == []
    assert ALL.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "replay"])
def test_describes_its_steps_before_it_runs_them(name: str, cloud: Cloud, give: Give, capfd: Shown) -> None:
    assert start(name, cloud, give) == 0
    heading, *lines = capfd.readouterr().out.splitlines()
    assert heading == f"make {name} will"
    descriptions = [line for line in lines if line.startswith("- ")]
    assert lines[: len(descriptions)] == descriptions
    assert len(descriptions) == len(COMMANDS[name])
    assert not re.search(r"\{\w+\}", "".join(descriptions))
    assert lines[len(descriptions)].startswith("$ ")
    assert cloud.calls


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "replay"])
def test_runs_nothing_that_its_programs_do_not_know(name: str, cloud: Cloud, give: Give, monkeypatch) -> None:
    assert start(name, cloud, give) == 0
    monkeypatch.undo()  # the real programs are asked for help
    assert [problem for call in cloud.calls for problem in problems(call)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_refuses_without_a_variable_that_it_needs(name: str, cloud: Cloud, capfd: Shown) -> None:
    cloud.deployment.unlink()
    assert main([name]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    needs = {need for step in COMMANDS[name] for need in step.needs}
    assert set(re.findall(r"^  (\w+): .{10,}", shown.err, re.MULTILINE)) == needs
    assert "There is no deployment.json; `make infrastructure` writes it." in shown.err
    assert cloud.calls == []


def test_make_hands_variables_on_and_refuses_with_status_2() -> None:
    others = {name: value for name, value in os.environ.items() if name not in {*INSTALLATION, *GIVEN}}
    done = subprocess.run(
        ["make", "drain", "PROJECT=my-project", "REGION=europe-west4", "DEPLOYMENT=/no/such.json"],
        cwd=ROOT,
        env=others,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert set(re.findall(r"^  (\w+):", done.stderr, re.MULTILINE)) == {"JOB_NAME", "CONFIRM"}


@pytest.mark.parametrize("name", COMMANDS)
def test_says_which_program_is_missing(
    name: str, cloud: Cloud, give: Give, monkeypatch, capfd: Shown
) -> None:
    give(**ALL[name][0], PATH="/nowhere")
    monkeypatch.setattr("templates.programs.ROOT", Path("/tmp"))
    assert main([name]) == 1
    assert re.search(r"the program (\S+) is missing: install it", capfd.readouterr().err)


def test_a_program_that_fails_ends_the_command(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(VERSION="v1")
    cloud.answer(NO_IMAGE, BASE, ("docker build", 3, "no space left"))
    assert main(["deploy"]) == 1
    shown = capfd.readouterr()
    assert "no space left" in shown.err
    assert shown.err.endswith("make deploy: docker ended with status 3\n")
    assert cloud.called("docker", "push") == cloud.called("gcloud", "dataflow") == []


def test_a_refusal_is_not_taken_for_a_thing_that_is_not_there(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(VERSION="v1")
    cloud.answer(("images describe", 1, "ERROR: PERMISSION_DENIED: log in"))
    assert main(["image"]) == 1
    assert capfd.readouterr().err == "make image: ERROR: PERMISSION_DENIED: log in\n"
    assert cloud.called("docker") == []


@pytest.mark.parametrize("version", ["v1.2", "V1", "-v1", "v" * 64, "a b"])
def test_a_version_must_fit_a_tag_and_a_label(version: str, cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(VERSION=version)
    assert main(["image"]) == 2
    assert "VERSION: expected lower-case letters, digits, - and _" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["drain", "destroy"])
def test_what_cannot_be_undone_is_confirmed_by_the_jobs_name(
    name: str, cloud: Cloud, give: Give, capfd: Shown
) -> None:
    give(**{**ALL[name][0], "CONFIRM": "yes"})
    assert main([name]) == 2
    assert capfd.readouterr().err == f"make {name}: CONFIRM: expected segments-live, not yes\n"
    assert cloud.calls == []


def test_a_damaged_deployment_file_is_an_error(cloud: Cloud, capfd: Shown) -> None:
    for damaged in ("{", "[]", "3"):
        cloud.deployment.write_text(damaged)
        assert main(["drain"]) == 2
        assert "deployment.json: expected a JSON object" in capfd.readouterr().err


def test_the_environment_goes_before_the_file(cloud: Cloud, give: Give) -> None:
    give(REGION="europe-north1", CONFIRM="segments-live")
    cloud.answer(RUNNING)
    assert main(["drain"]) == 0
    assert all("--region=europe-north1" in call for call in cloud.calls)


def test_terraform_outputs_all_variables_of_the_installation() -> None:
    document = hcl2.loads((ROOT / "terraform" / "outputs.tf").read_text(encoding="utf-8"))
    (output,) = (
        body for block in document["output"] for key, body in block.items() if key.strip('"') == "deployment"
    )
    outputs = {key.strip('"') for key in output["value"] if not key.startswith("__")}
    assert outputs == {name.lower() for name in INSTALLATION} == INSTALLED.keys()


def test_they_need_nothing_but_the_standard_library() -> None:
    """A delivery pipeline runs them in an image that has none of our dependencies."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from templates.commands import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
