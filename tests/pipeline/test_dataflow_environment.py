"""How Dataflow would run the main job in production, translated without a network, and compared."""

import json
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from templates.spec import beam_flags, environment
from tests.pipeline.dataflow_environment import GOLDEN, REGENERATE, describe, environment_flags, submitted
from tests.pipeline.dataflow_steps import GOLDEN as GOLDEN_STEPS
from tests.pipeline.dataflow_steps import describe as describe_steps
from transforms.coders import PLUGIN


@pytest.fixture(scope="module")
def job() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        return submitted()


def test_the_job_is_run_as_the_golden_file_says(job: Any) -> None:
    golden, found = json.loads(GOLDEN.read_text()), describe(job)
    differing = [
        f"{part}: was {golden.get(part)}, is {found.get(part)}"
        for part in sorted(golden.keys() | found.keys())
        if golden.get(part) != found.get(part)
    ]
    if differing:
        lines = ["The job would run otherwise than in golden/dataflow_environment.json:", *differing]
        mend = f"If that is meant, run `{REGENERATE}`, and say in the changelog what an update makes of it."
        pytest.fail("\n- ".join([*lines, mend]), pytrace=False)


def test_workers_import_the_coders_before_they_decode_anything(job: Any) -> None:
    assert PLUGIN in job.options.get_all_options()["beam_plugins"]


def test_production_options_leave_the_steps_as_they_are(job: Any) -> None:
    assert describe_steps(job.proto_pipeline.components) == json.loads(GOLDEN_STEPS.read_text())


def test_the_job_streams_with_the_streaming_engine_and_hands_each_message_on_once(job: Any) -> None:
    found = describe(job)
    assert found["job_type"] == "FNAPI_STREAMING"
    assert "enable_streaming_engine" in found["experiments"]
    assert "streaming_mode_at_least_once" not in found["service_options"]


def test_the_watermark_follows_publish_time_and_messages_keep_pubsubs_own_ids(job: Any) -> None:
    reads = [
        beam_runner_api_pb2.PubSubReadPayload.FromString(transform.spec.payload)
        for transform in job.proto_pipeline.components.transforms.values()
        if transform.spec.urn == "beam:transform:pubsub_read:v1"
    ]
    assert [(read.timestamp_attribute, read.id_attribute, read.with_attributes) for read in reads] == [
        ("", "", True)
    ]


def test_the_specs_environment_becomes_beams_flags() -> None:
    assert list(beam_flags({"additionalExperiments": ["a", "b"], "ipConfiguration": "WORKER_IP_PUBLIC"})) == [
        "--experiments=a",
        "--experiments=b",
        "--use_public_ips",
    ]
    assert len(environment_flags()) == sum(
        len(value) if isinstance(value, list) else 1 for value in environment().values()
    ) + len(["sdkContainerImage"])
    with pytest.raises(KeyError, match="streamingMode"):
        list(beam_flags({"streamingMode": "STREAMING_MODE_AT_LEAST_ONCE"}))
