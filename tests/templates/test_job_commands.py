"""`make deploy`, `validate`, `update`, `drain` and `replay`."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from templates.commands import main
from tests.command_lines import problems
from tests.templates.cloud import (
    BASE,
    CHECKED,
    DIGEST,
    HAS_IMAGE,
    HAS_TEMPLATE,
    INSTALLED,
    NO_IMAGE,
    READ_TEMPLATE,
    TEMPLATE,
    Cloud,
    Give,
    start,
)

ROOT = Path(__file__).parents[2]
Shown = pytest.CaptureFixture[str]


@pytest.fixture
def no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes down the replay's command too, in place of running it."""
    monkeypatch.setattr("templates.job.run", lambda *words: print("$", *words))


# The job


def launch_of(cloud: Cloud) -> list[str]:
    return cloud.called("gcloud", "dataflow", "flex-template", "run")[-1]


def test_a_launch_says_all_that_this_installation_is(cloud: Cloud, give: Give) -> None:
    assert start("deploy", cloud, give) == 0
    launch = launch_of(cloud)
    assert launch[4:] == [
        "segments-live",
        "--project=my-project",
        "--region=europe-west4",
        f"--template-file-gcs-location={TEMPLATE}",
        "--service-account-email=worker@my-project.iam.gserviceaccount.com",
        f"--subnetwork={INSTALLED['subnetwork']}",
        "--staging-location=gs://my-staging/staging",
        "--temp-location=gs://my-temp/temp",
        "--worker-machine-type=n2-standard-4",
        "--num-workers=2",
        "--max-workers=8",
        "--additional-pipeline-options=dataflow_service_options=min_num_workers=2",
        "--additional-user-labels=version=v1",
        "--parameters=^~^history_table=my-project:segments.segment_changes~redis_url=rediss://10.0.0.3:6378/0"
        f"~sdk_container_image={INSTALLED['image_repository']}/live-segments@{DIGEST}",
    ]
    (definitions,) = cloud.called("gcloud", "storage", "cp", "--no-clobber")
    assert definitions[-2:] == [
        str(ROOT / "definitions" / "segments.yaml"),
        "gs://my-definitions/segments.yaml",
    ]


def test_deploy_builds_first(cloud: Cloud, give: Give) -> None:
    give(VERSION="v1")
    cloud.answer(NO_IMAGE, BASE, HAS_TEMPLATE, READ_TEMPLATE)
    assert main(["deploy"]) == 0
    order = [call[1] for call in cloud.calls if call[:2] in (["docker", "push"], ["gcloud", "dataflow"])]
    assert order == ["push", "dataflow"]


def test_update_asks_first_and_replaces_then(cloud: Cloud, give: Give) -> None:
    give(TRANSFORM_NAME_MAPPINGS="Old=New")
    assert start("update", cloud, give) == 0
    check, replacement = cloud.called("gcloud", "dataflow", "flex-template", "run")
    only = "dataflow_service_options=graph_validate_only"
    assert f"--additional-pipeline-options={only}" in check
    assert only not in " ".join(replacement)
    for run in (check, replacement):
        assert "--update" in run
        assert "--transform-name-mappings=Old=New" in run
    assert "2026-11-24_job" in cloud.called("gcloud", "dataflow", "jobs", "describe")[0]


def test_what_dataflow_refuses_is_not_replaced(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(VERSION="v1")
    cloud.answer(HAS_IMAGE, HAS_TEMPLATE, READ_TEMPLATE, CHECKED, ("jobs describe", 0, "JOB_STATE_FAILED"))
    assert main(["update"]) == 1
    assert len(cloud.called("gcloud", "dataflow", "flex-template", "run")) == 1
    error = capfd.readouterr().err
    assert "version v1 cannot replace segments-live: see the log of job 2026-11-24_job" in error


def test_the_answer_is_waited_for(cloud: Cloud, give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            cloud.answer(("jobs describe", 0, "JOB_STATE_DONE"))

    # not `time.sleep` itself, which threads of other tests may call
    monkeypatch.setattr("templates.job.time", SimpleNamespace(sleep=pause))
    give(VERSION="v1")
    cloud.answer(READ_TEMPLATE, CHECKED, ("jobs describe", 0, "JOB_STATE_QUEUED"))
    assert main(["validate"]) == 0
    assert pauses == [0, 15, 15]


def test_drain_ends_the_job_that_runs_by_the_name(cloud: Cloud, give: Give, capfd: Shown) -> None:
    assert start("drain", cloud, give) == 0
    drain = [
        "gcloud",
        "dataflow",
        "jobs",
        "drain",
        "2026-11-20_job",
        "--project=my-project",
        "--region=europe-west4",
    ]
    assert cloud.calls[-1] == drain
    assert "--filter=name=segments-live" in cloud.calls[0]
    cloud.answer()
    assert main(["drain"]) == 1
    assert "no job segments-live is running in europe-west4" in capfd.readouterr().err


@pytest.mark.usefixtures("no_replay")
@pytest.mark.parametrize("reason, expected", [("", []), ("a,b", ["--reason=a", "--reason=b"])])
def test_replay_is_the_command_of_that_name(
    cloud: Cloud, give: Give, capfd: Shown, reason: str, expected: list[str]
) -> None:
    give(REASON=reason)
    assert main(["replay"]) == 0
    (line,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("$ "))
    words = line.split()[1:]
    assert words[3:] == [f"--events_topic={INSTALLED['events_topic']}", *expected]
    assert words[2] == f"--dead_letters_subscription={INSTALLED['dead_letters_subscription']}"
    assert list(problems(words)) == []
