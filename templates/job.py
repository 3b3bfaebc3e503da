"""The steps that launch, replace and end the job, and send dead letters through it again."""

import json
import os
import time

from templates.image import template_name
from templates.programs import CommandError, ask, run
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
    """Copies the definitions of this checkout to where the job reads them, unless there are some."""
    file = str(ROOT / "definitions" / "segments.yaml")
    run("gcloud storage cp", "--no-clobber", file, values["DEFINITIONS_FILE"])


def launch(values: Values) -> None:
    """Launches the job; Dataflow refuses where one of its name is running."""
    run(_FLEX_RUN, *_launching(values))


def replace(values: Values) -> None:
    """Replaces the running job, which hands its state on."""
    run(_FLEX_RUN, *_launching(values), *_updating())


def validate(values: Values) -> None:
    """Asks Dataflow whether the running job could be replaced, and waits for the answer.

    Raises:
      CommandError: it could not.
    """
    check = _launching(values, "graph_validate_only")
    job = ask(_FLEX_RUN, *check, *_updating(), "--format=value(job.id)")
    state = ""
    while state not in _ENDED:
        time.sleep(_POLL_SECONDS if state else 0)
        state = ask("gcloud dataflow jobs describe", job, *_place(values), "--format=value(currentState)")
    if state == "JOB_STATE_FAILED":
        raise CommandError(
            f"{values['JOB_NAME']} cannot be replaced by version {values['VERSION']}: the log of job {job} says why."
            " The running job goes on as it was"
        )
    print(f"Dataflow ended the check as {state}.")


def drain(values: Values) -> None:
    """Lets the running job finish what it has taken in, and end.

    Raises:
      CommandError: none is running.
    """
    job = running_job(values)
    if not job:
        raise CommandError(f"no job {values['JOB_NAME']} is running in {values['REGION']}")
    run("gcloud dataflow jobs drain", job, *_place(values))


def running_job(values: Values) -> str:
    """Returns the id of the job that runs by the name; empty if none does."""
    only = ("--status=active", f"--filter=name={values['JOB_NAME']}", "--format=value(id)")
    return ask("gcloud dataflow jobs list", *_place(values), *only)


def replay(values: Values) -> None:
    """Publishes dead letters again, those for the reasons in $REASON where it is set."""
    reasons = [f"--reason={reason}" for reason in os.environ.get("REASON", "").split(",") if reason]
    where = (
        f"--dead_letters_subscription={values['DEAD_LETTERS_SUBSCRIPTION']}",
        f"--events_topic={values['EVENTS_TOPIC']}",
    )
    run(".venv/bin/segments replay", *where, *reasons)


def _launching(values: Values, service_option: str | None = None) -> list[str]:
    """Returns a launch's arguments: what is this installation's own, and the workers' image.

    The template says the rest. It names the image too, but workers with another one could run nothing at all, so a
    launch does not leave that to a default.

    Args:
      values: of the variables.
      service_option: for Dataflow; by default the fewest workers.
    """
    workers = json.loads(values["WORKERS"])
    options = [
        option
        for option in environment()["additionalPipelineOptions"]
        if not option.startswith(_SERVICE_OPTIONS)
    ]
    service_option = service_option or f"min_num_workers={workers['min']}"
    options.append(f"{_SERVICE_OPTIONS}{service_option}")
    image = json.loads(ask("gcloud storage cat", template_name(values)))["image"]
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


def _updating() -> list[str]:
    mappings = os.environ.get("TRANSFORM_NAME_MAPPINGS")
    return ["--update", *([f"--transform-name-mappings={mappings}"] if mappings else [])]


def _place(values: Values) -> tuple[str, str]:
    return f"--project={values['PROJECT']}", f"--region={values['REGION']}"
