"""terraform/ read by Terraform itself, without a network: a stand-in for the providers knows their schema."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import promql_parser
import pytest

from tests.terraform.schema_provider import SchemaProvider

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
SCHEMA = json.loads((Path(__file__).parent / "google_provider_schema.json").read_text(encoding="utf-8"))
Run = Callable[..., "subprocess.CompletedProcess[str]"]
READS = ROOT / "stores" / "history" / "sql"
"""What terraform/ reads outside its own folder."""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: its files were not read by Terraform itself")
    with SchemaProvider(SCHEMA["resources"]) as provider:
        own = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
        yield {**os.environ, **own, **provider.environment}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, where Terraform may write."""
    shutil.copytree(READS, tmp_path / READS.relative_to(ROOT))
    left_out = shutil.ignore_patterns(".terraform*", "*.tfstate*", "terraform.tfvars")
    shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=left_out)
    return tmp_path / "terraform"


@pytest.fixture
def terraform(folder: Path, environment: dict[str, str]) -> Run:
    """Runs Terraform in the copy, once it is initialized."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["terraform", *arguments, "-no-color"]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    def initialized(*arguments: str) -> "subprocess.CompletedProcess[str]":
        done = run("init", "-backend=false", "-input=false")
        assert done.returncode == 0, done.stderr
        return run(*arguments)

    return initialized


def test_terraform_accepts_it(terraform: Run) -> None:
    done = terraform("validate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_tests_pass(terraform: Run) -> None:
    done = terraform("test")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = sum(path.read_text().count('\nrun "') for path in (TERRAFORM / "tests").glob("*.hcl"))
    assert f"{runs} passed, 0 failed" in done.stdout


@pytest.mark.parametrize(
    "file, right, wrong, said",
    [
        ("redis.tf", "auth_enabled ", "auth_enable ", "Unsupported argument"),
        (
            "redis.tf",
            "google_compute_network.main.id",
            "google_compute_network.man.id",
            "undeclared resource",
        ),
        ("secrets.tf", ".main.auth_string", ".main.password", "Unsupported attribute"),
        ("storage.tf", "buckets = {", "bucket = {", "undeclared local"),
        ("canary.tf", 'replace(var.name, "-", "_")', 'replase(var.name, "-", "_")', "unknown function"),
    ],
)
def test_a_mistake_is_found(
    folder: Path, terraform: Run, file: str, right: str, wrong: str, said: str
) -> None:
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong))
    done = terraform("validate")
    assert done.returncode == 1
    assert said in re.sub(r"\s+", " ", done.stderr)


def test_a_wrong_plan_is_found(folder: Path, terraform: Run) -> None:
    (folder / "job.tf").write_text((folder / "job.tf").read_text().replace("rediss://", "redis://"))
    done = terraform("test", "-filter=tests/plan.tftest.hcl")
    assert done.returncode == 1
    assert "Redis is reached by TLS" in re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_every_query_of_alerts_and_dashboard_is_promql(terraform: Run) -> None:
    """As they stand in the end, with every name filled in."""
    done = terraform("test", "-json", "-verbose", "-filter=tests/plan.tftest.hcl")
    states = [
        said["test_state"] for said in map(json.loads, done.stdout.splitlines()) if "test_state" in said
    ]
    assert len(states) == 2
    found = []
    for state in states:
        for resource in state["root_module"]["resources"]:
            values = resource["values"]
            if resource["type"] == "google_monitoring_dashboard":
                tiles = json.loads(values["dashboard_json"])["mosaicLayout"]["tiles"]
                sets = [data for tile in tiles for data in tile["widget"]["xyChart"]["dataSets"]]
                found += [data["timeSeriesQuery"]["prometheusQuery"] for data in sets]
            elif resource["type"] == "google_monitoring_alert_policy":
                kinds = [
                    condition["condition_prometheus_query_language"] for condition in values["conditions"]
                ]
                found += [kind["query"] for condition in kinds for kind in condition]
    for query in found:
        promql_parser.parse(query)
    assert len(found) > 40


def test_the_example_is_accepted(folder: Path, terraform: Run) -> None:
    """Against the variables alone: a plan would ask the providers more than a schema."""
    for path in folder.glob("*.tf"):
        if path.name != "variables.tf":
            path.unlink()
    example = folder / "example.tfvars"
    done = terraform("plan", "-input=false", f"-var-file={example}")
    assert done.returncode == 0, done.stderr
    uncommented = re.sub(r"^# (?=\w+ +=|  |\})", "", example.read_text(), flags=re.MULTILINE)
    example.write_text(uncommented.replace("@sha256:...", f"@sha256:{'0' * 64}"))
    done = terraform("plan", "-input=false", f"-var-file={example}")
    assert done.returncode == 0, done.stderr
    assert "undeclared" not in done.stdout
