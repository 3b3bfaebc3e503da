"""The steps that launch, replace and drain the job, and replay dead letters."""

import json
import os
import time

from templates.image import template_name
from templates.programs import CommandError, run, run_and_read
from templates.settings import ROOT, Values
from templates.spec import environment

_FLEX_RUN = "gcloud dataflow flex-template run"
_ENDED = (
    "JOB_STATE_DONE",
    "JOB_STATE_FAILED",
    "JOB_STATE_CANCELLED",
    "JOB_STATE_UPDATED",
    "JOB_STATE_DRAINED",
)
_SERVICE_OPTIONS = "dataflow_service_options="
_POLL_SECONDS = 15


def publish_definitions(values: Values) -> None:
    """Copies the definitions of this checkout to $DEFINITIONS_FILE, unless it exists."""
    file = str(ROOT / "definitions" / "segments.yaml")
    run("gcloud storage cp", "--no-clobber", file, values["DEFINITIONS_FILE"])


def launch(values: Values) -> None:
    """Launches the job; Dataflow fails if a job with its name is running."""
    run(_FLEX_RUN, *_launch_arguments(values))


def replace(values: Values) -> None:
    """Replaces the running job; the new job keeps its state."""
    run(_FLEX_RUN, *_launch_arguments(values), *_update_arguments())


def validate(values: Values) -> None:
    """Lets Dataflow check whether this version can replace the running job, and waits for the result.

    Raises:
      CommandError: it cannot.
    """
    check = _launch_arguments(values, "graph_validate_only")
    job = run_and_read(_FLEX_RUN, *check, *_update_arguments(), "--format=value(job.id)")
    state = ""
    while state not in _ENDED:
        time.sleep(_POLL_SECONDS if state else 0)
        state = run_and_read(
            "gcloud dataflow jobs describe", job, *_place(values), "--format=value(currentState)"
        )
    if state == "JOB_STATE_FAILED":
        raise CommandError(
            f"version {values['VERSION']} cannot replace {values['JOB_NAME']}: see the log of job {job}."
            " The running job is unchanged"
        )
    print(f"Dataflow's check ended with {state}.")


def drain(values: Values) -> None:
    """Drains the running job: it processes the messages that it has read, and ends.

    Raises:
      CommandError: the job is not running.
    """
    job = running_job(values)
    if not job:
        raise CommandError(f"no job {values['JOB_NAME']} is running in {values['REGION']}")
    run("gcloud dataflow jobs drain", job, *_place(values))


def running_job(values: Values) -> str:
    """Returns the id of the running job with $JOB_NAME; an empty text if there is none."""
    only = ("--status=active", f"--filter=name={values['JOB_NAME']}", "--format=value(id)")
    return run_and_read("gcloud dataflow jobs list", *_place(values), *only)


def replay(values: Values) -> None:
    """Publishes dead letters again; if $REASON is set, only those with one of its reasons, separated by commas."""
    reasons = [f"--reason={reason}" for reason in os.environ.get("REASON", "").split(",") if reason]
    places = (
        f"--dead_letters_subscription={values['DEAD_LETTERS_SUBSCRIPTION']}",
        f"--events_topic={values['EVENTS_TOPIC']}",
    )
    run(".venv/bin/segments replay", *places, *reasons)


def _launch_arguments(values: Values, service_option: str | None = None) -> list[str]:
    """Returns the arguments of a launch: this installation's values, and the workers' image.

    The template has the other values. It has the image too, but workers with another image would fail, so a launch
    always passes it.

    Args:
      values: the variables.
      service_option: an option of the Dataflow service; None: the minimum of workers.
    """
    workers = json.loads(values["WORKERS"])
    options = [
        option
        for option in environment()["additionalPipelineOptions"]
        if not option.startswith(_SERVICE_OPTIONS)
    ]
    service_option = service_option or f"min_num_workers={workers['min']}"
    options.append(f"{_SERVICE_OPTIONS}{service_option}")
    image = json.loads(run_and_read("gcloud storage cat", template_name(values)))["image"]
    parameters = {**json.loads(values["JOB_PARAMETERS"]), "sdk_container_image": image}
    pairs = "~".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    return [
        values["JOB_NAME"],
        *_place(values),
        f"--template-file-gcs-location={template_name(values)}",
        f"--service-account-email={values['WORKER_SERVICE_ACCOUNT']}",
        f"--subnetwork={values['SUBNETWORK']}",
        f"--staging-location={values['STAGING_LOCATION']}",
        f"--temp-location={values['TEMP_LOCATION']}",
        f"--worker-machine-type={workers['machine_type']}",
        f"--num-workers={workers['min']}",
        f"--max-workers={workers['max']}",
        f"--additional-pipeline-options={','.join(options)}",
        f"--additional-user-labels=version={values['VERSION']}",
        f"--parameters=^~^{pairs}",
    ]


def _update_arguments() -> list[str]:
    mappings = os.environ.get("TRANSFORM_NAME_MAPPINGS")
    return ["--update", *([f"--transform-name-mappings={mappings}"] if mappings else [])]


def _place(values: Values) -> tuple[str, str]:
    return f"--project={values['PROJECT']}", f"--region={values['REGION']}"
