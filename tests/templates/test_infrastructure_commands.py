"""`make infrastructure` and `make destroy`."""

import json
from pathlib import Path

import pytest

from templates.commands import main
from tests.templates.cloud import (
    ALL,
    INSTALLED,
    RUNNING,
    Cloud,
    Give,
    start,
)

Shown = pytest.CaptureFixture[str]


def test_what_terraform_made_is_kept_here_and_for_others(cloud: Cloud, give: Give) -> None:
    cloud.deployment.unlink()
    assert start("infrastructure", cloud, give) == 0
    assert [call[2] for call in cloud.called("terraform")] == ["init", "apply", "output"]
    assert {"-backend-config=bucket=my-state", "-backend-config=prefix=segments"} <= set(cloud.calls[0])
    assert json.loads(cloud.deployment.read_text()) == INSTALLED
    assert cloud.calls[-1][-1] == "gs://my-staging/templates/deployment.json"
    assert json.loads(cloud.copied.read_text()) == INSTALLED


def test_terraform_asks_unless_told_not_to(cloud: Cloud, give: Give) -> None:
    assert start("infrastructure", cloud, give) == 0
    assert "-auto-approve" not in cloud.called("terraform")[1]
    give(YES="1")
    assert main(["infrastructure"]) == 0
    assert "-auto-approve" in cloud.called("terraform")[4]


def test_outputs_of_another_version_are_refused(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(STATE_BUCKET="my-state")
    cloud.answer(("output", 0, json.dumps({"project": "my-project"})))
    before = cloud.deployment.read_text()
    assert main(["infrastructure"]) == 2
    assert "Terraform's output `deployment` lacks region, image_repository" in capfd.readouterr().err
    assert cloud.deployment.read_text() == before


@pytest.mark.parametrize("text", ['{"name": "my-shop", "dependencies": {}}', "{}", "[]", "not JSON"])
def test_a_file_of_others_is_not_replaced(
    text: str, cloud: Cloud, give: Give, capfd: Shown, tmp_path: Path
) -> None:
    other = tmp_path / "package.json"
    other.write_text(text)
    give(DEPLOYMENT=str(other))
    assert start("infrastructure", cloud, give) == 2
    assert capfd.readouterr().err.startswith("make infrastructure: package.json")
    assert cloud.calls == []
    assert other.read_text() == text


@pytest.mark.parametrize("name", ["infrastructure", "destroy"])
def test_values_of_ones_own_come_first(
    name: str, cloud: Cloud, give: Give, tmp_path: Path, capfd: Shown
) -> None:
    (tmp_path / "terraform" / "terraform.tfvars").unlink()
    assert start(name, cloud, give) == 2
    assert "copy terraform/example.tfvars and change it" in capfd.readouterr().err
    assert cloud.called("terraform") == []


def test_nothing_is_destroyed_under_a_running_job(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(**ALL["destroy"][0])
    cloud.answer(RUNNING)
    assert main(["destroy"]) == 1
    assert "segments-live is running: run `make drain`, and wait until it has ended" in capfd.readouterr().err
    assert cloud.called("terraform") == []
    cloud.answer()
    assert main(["destroy"]) == 0
    assert [call[2:] for call in cloud.called("terraform")][1:] == [
        ["apply", "-var=deletion_protection=false"],
        ["destroy", "-var=deletion_protection=false"],
    ]
