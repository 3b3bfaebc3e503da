"""The template: its metadata against the job's flags and Terraform's, its spec, and what its entry point refuses."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hcl2
import pytest
from google.cloud.dataflow_v1beta3.types import ContainerSpec
from google.protobuf.json_format import ParseError

from pipeline.main import main as run_job
from pipeline.main import run
from pipeline.options import SegmentationOptions
from templates.spec import METADATA, environment, main, spec
from tests.pipeline.dataflow_steps import DRY_RUN

ROOT = Path(__file__).parents[2]
IMAGE = f"europe-west4-docker.pkg.dev/my-project/segments/live-segments@sha256:{'0' * 64}"
Parameter = dict[str, Any]
PARAMETERS: dict[str, Parameter] = {
    parameter["name"]: parameter
    for parameter in json.loads(METADATA.read_text(encoding="utf-8"))["parameters"]
}
BOUNDED_ONLY = {"events", "as_of", "history_path", "dead_letter_path"}
"""What a live job must not be given: Terraform leaves them out."""
READ_AT_LAUNCH = {
    "segments": f"{ROOT}/definitions/segments.yaml",
    "tracking_plan": f"{ROOT}/definitions/tracking_plan",
    "ignored_ids": f"{ROOT}/NOTICE",
}
"""What the dry run, without Cloud Storage, takes from here."""
WRONG = {
    "input_subscription": [
        "segments-job",
        "projects/my-project/topics/segments-job",
        "projects/p/subscriptions/jobs",
    ],
    "events": ["events.jsonl", "gs://my-logs"],
    "as_of": ["2026-01-31", "2026-01-31T12:00:00", "yesterday"],
    "segments": ["definitions/segments.yaml", "gs://my-definitions/segments.json"],
    "tracking_plan": ["definitions/tracking_plan", "gs://my-definitions"],
    "ignored_ids": ["ignored_ids.txt", "gs://my-definitions"],
    "profile_ttl": ["400", "1y", "forever", ""],
    "idle_ttl": ["7", "1w", "never", ""],
    "redis_url": [
        "10.0.0.3:6378",
        "rediss://:sesame@10.0.0.3",
        "rediss://u:sesame@h:1/0",
        "redis://h?password=sesame",
    ],
    "redis_auth_secret": [
        "sesame",
        "projects/my-project/secrets/redis-auth",
        "projects/p/secrets/s/versions/",
    ],
    "redis_ca_secret": ["-----BEGIN CERTIFICATE-----", "projects/my-project/secrets/redis-ca"],
    "redis_key_prefix": ["", "my segments:"],
    "history_table": ["my-project.segments.segment_changes", "segment_changes", "my-project:segments"],
    "history_method": ["FILE_LOADS", "streaming_inserts"],
    "history_path": ["out/history", "gs://my-runs"],
    "dead_letter_topic": ["dead-letters", "projects/my-project/subscriptions/dead-letters"],
    "dead_letter_path": ["out/dead", "gs://my-runs"],
    "changes_topic": ["changes", "projects/my-project/subscriptions/changes"],
}
TYPES = {
    "input_subscription": "PUBSUB_SUBSCRIPTION",
    "dead_letter_topic": "PUBSUB_TOPIC",
    "changes_topic": "PUBSUB_TOPIC",
    "history_table": "BIGQUERY_TABLE",
    "history_method": "ENUM",
    "segments": "GCS_READ_FILE",
    "events": "GCS_READ_FILE",
    "tracking_plan": "GCS_READ_FOLDER",
    "ignored_ids": "GCS_READ_FILE",
    "history_path": "GCS_WRITE_FILE",
    "dead_letter_path": "GCS_WRITE_FILE",
}


def flags() -> dict[str, argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    SegmentationOptions._add_argparse_args(parser)
    return {action.dest: action for action in parser._actions}


def example(parameter: Parameter) -> str:
    """Returns the example at the end of a parameter's help."""
    return str(parameter["helpText"]).rpartition("Example: ")[2]


def accepts(parameter: Parameter, value: str) -> bool:
    return all(re.fullmatch(regex, value) for regex in parameter["regexes"])


# Three lists that are one


def test_parameters_are_the_jobs_flags() -> None:
    assert PARAMETERS.keys() == flags().keys()


def test_terraform_gives_a_live_job_every_parameter_that_it_may_have() -> None:
    document = hcl2.loads((ROOT / "terraform" / "job.tf").read_text(encoding="utf-8"))
    (given,) = (
        value for block in document["locals"] for key, value in block.items() if key.strip('"') == "job_flags"
    )
    names = {key.strip('"') for key in given if not key.startswith("__")}
    assert PARAMETERS.keys() - BOUNDED_ONLY <= names <= PARAMETERS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_says_what_its_flag_does(name: str) -> None:
    parameter, flag = PARAMETERS[name], flags()[name]
    assert parameter.get("defaultValue") == flag.default
    options = [option["value"] for option in parameter.get("enumOptions", [])]
    assert options == list(flag.choices or [])
    assert parameter["paramType"] == TYPES.get(name, "TEXT")
    assert parameter["isOptional"] is (name not in ("segments", "redis_url"))
    assert 5 < len(parameter["label"]) <= 60
    assert len(parameter["helpText"]) > 30


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_regular_expression_accepts_its_example_and_refuses_what_is_wrong(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["regexes"]
    for regex in parameter["regexes"]:
        assert (regex[0], regex[-1]) == ("^", "$")
    assert accepts(parameter, example(parameter)), example(parameter)
    if "defaultValue" in parameter:
        assert accepts(parameter, parameter["defaultValue"])
    assert WRONG.keys() == PARAMETERS.keys()
    for wrong in WRONG[name]:
        assert not accepts(parameter, wrong), wrong


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.0.0.3",
        "rediss://writer@redis.internal:6378",
        "rediss://[fd00::1]:6378/2",
        "rediss://10.0.0.3:6378/0?ssl_check_hostname=False&socket_timeout=5",
    ],
)
def test_a_url_without_a_password_passes(url: str) -> None:
    assert accepts(PARAMETERS["redis_url"], url)


def test_the_examples_make_a_job() -> None:
    given = [
        f"--{name}={example(parameter)}"
        for name, parameter in PARAMETERS.items()
        if name not in {*BOUNDED_ONLY, *READ_AT_LAUNCH}
    ]
    result: Any = run([*DRY_RUN, *(f"--{name}={path}" for name, path in READ_AT_LAUNCH.items()), *given])
    assert result.job is not None


# The spec


def test_the_spec_has_all_that_the_metadata_says() -> None:
    made = spec(IMAGE)
    assert made["metadata"] == json.loads(METADATA.read_text(encoding="utf-8"))
    assert made["metadata"]["streaming"] is True
    assert made["metadata"]["supportsExactlyOnce"] is True
    assert made["metadata"]["supportsAtLeastOnce"] is False
    # "Only valid if both", says the API: it would only choose between them.
    assert "defaultStreamingMode" not in made["metadata"]


def test_dataflows_own_type_holds_every_field_of_it() -> None:
    made = spec(IMAGE)
    told = json.loads(
        ContainerSpec.to_json(ContainerSpec.from_json(json.dumps(made)), use_integers_for_enums=False)
    )
    assert told["image"] == made["image"]
    assert told["sdkInfo"]["language"] == made["sdkInfo"]["language"]
    assert told["defaultEnvironment"].items() >= made["defaultEnvironment"].items()
    for name, value in made["metadata"].items():
        if name != "parameters":
            assert told["metadata"][name] == value
    for kept, parameter in zip(told["metadata"]["parameters"], made["metadata"]["parameters"], strict=True):
        options = parameter.pop("enumOptions", [])
        assert kept.items() >= parameter.items()
        assert [option["value"] for option in kept["enumOptions"]] == [option["value"] for option in options]
    with pytest.raises(ParseError, match="numberOfWorkers"):
        ContainerSpec.from_json(json.dumps({"defaultEnvironment": {"numberOfWorkers": 1}}))


def test_launcher_and_workers_run_one_image() -> None:
    made = spec(IMAGE)
    assert made["image"] == made["defaultEnvironment"]["sdkContainerImage"] == IMAGE
    assert made["sdkInfo"] == {"language": "PYTHON"}
    assert made["defaultEnvironment"].items() >= environment().items()


def test_terraform_would_run_the_job_as_the_spec_does() -> None:
    text = (ROOT / "terraform" / "variables.tf").read_text(encoding="utf-8")
    workers = text.partition('variable "workers" {')[2].partition("default")[0]
    given = environment()
    assert dict(re.findall(r'(\w+) += optional\(\w+, "?([^")]+)"?\)', workers)) == {
        "machine_type": given["machineType"],
        "min": str(given["numWorkers"]),
        "max": str(given["maxWorkers"]),
    }
    assert given["additionalPipelineOptions"] == [
        f"dataflow_service_options=min_num_workers={given['numWorkers']}"
    ]


@pytest.mark.parametrize(
    "image", ["live-segments", "a/live-segments:1", "a/b@sha256:0", f"a b@sha256:{'0' * 64}"]
)
def test_an_image_that_may_change_is_refused(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([image]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("templates.spec: image: expected NAME@sha256:DIGEST")


def test_the_command_prints_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([IMAGE]) == 0
    assert json.loads(capsys.readouterr().out) == spec(IMAGE)


def test_gcloud_takes_the_metadata_and_would_drop_what_we_keep() -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not installed")
    command = [gcloud, "dataflow", "flex-template", "build", "gs://my-bucket/live.json", f"--image={IMAGE}"]
    done = subprocess.run(
        [*command, "--sdk-language=PYTHON", f"--metadata-file={METADATA}", "--print-only", "--format=json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_PROJECT": "my-project"},
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(json.loads(done.stdout))
    ours = spec(IMAGE)
    assert printed["image"] == ours["image"]
    assert printed["sdkInfo"] == ours["sdkInfo"]
    for name in ("name", "description"):
        assert printed["metadata"][name] == ours["metadata"][name]
    for theirs, parameter in zip(
        printed["metadata"]["parameters"], ours["metadata"]["parameters"], strict=True
    ):
        assert theirs.items() <= parameter.items()
        assert theirs["name"] == parameter["name"]
    assert "streaming" not in printed["metadata"], (
        "gcloud keeps it now: templates/spec.py may be of no use any more"
    )


# The entry point

LAUNCHERS_OWN = (
    "--job_name=segments-live",
    '--labels={"version": "1a2b3c4d5e6f"}',
    "--machine_type=n2-standard-2",
    "--max_num_workers=10",
    "--num_workers=1",
    "--no_use_public_ips",
    "--project=my-project",
    "--region=europe-west4",
    "--runner=DataflowRunner",
    f"--sdk_container_image={IMAGE}",
    "--service_account_email=worker@my-project.iam.gserviceaccount.com",
    "--staging_location=gs://my-bucket/staging",
    "--subnetwork=regions/europe-west4/subnetworks/workers",
    "--temp_location=gs://my-bucket/temp",
    "--template_location=gs://my-bucket/staging/template_launches/1/job_object",
    "--dataflow_service_options=min_num_workers=1",
)
"""Flags of Beam with which the launcher calls the entry point, besides the parameters."""


def launch(*parameters: str) -> subprocess.CompletedProcess[str]:
    """Runs the entry point as the launcher does, by its file."""
    return subprocess.run(
        [sys.executable, str(ROOT / "templates" / "main.py"), *LAUNCHERS_OWN, *parameters],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


LIVE = (
    f"--segments={ROOT}/definitions/segments.yaml",
    "--input_subscription=projects/my-project/subscriptions/segments-job",
    "--history_table=my-project:segments.segment_changes",
    "--dead_letter_topic=projects/my-project/topics/segments-dead-letters",
)


def test_launched_as_a_template_the_job_refuses_a_password() -> None:
    done = launch(*LIVE, "--redis_url=rediss://:sesame@10.0.0.3:6378/0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "segments run: --redis_url holds a password, and a job's flags are no secret: take it out and give"
        " --redis_auth_secret\n"
    )


def test_launched_as_a_template_the_job_takes_the_launchers_flags_and_secrets_by_name() -> None:
    secrets = (
        "--redis_auth_secret=projects/p/secrets/a/versions/latest",
        "--redis_ca_secret=projects/p/secrets/c/versions/1",
    )
    done = launch(*LIVE, "--redis_url=rediss://10.0.0.3:6378/0", *secrets, "--dry_run=True")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_secret_in_place_of_its_name_is_refused_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    secret = ("--redis_url=rediss://10.0.0.3:6378/0", "--redis_auth_secret=sesame", "--dry_run=True")
    assert run_job([*LAUNCHERS_OWN, *LIVE, *secret]) == 2
    error = capsys.readouterr().err
    assert "--redis_auth_secret must look like projects/P/secrets/S/versions/V" in error
    assert "sesame" not in error
