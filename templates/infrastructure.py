"""The steps that make the installation with Terraform, and take it down."""

import json
import os

from templates.job import running_job
from templates.programs import CommandError, ask, run
from templates.settings import ROOT, VariablesError, Values, deployment_file, installation_of

_FOLDER = ROOT / "terraform"
_TERRAFORM = f"terraform -chdir={_FOLDER.relative_to(ROOT)}"


def apply(values: Values) -> None:
    """Makes or changes the installation, and keeps what the other commands need of it in deployment.json,
    here and for the delivery pipeline."""
    _initialise(values)
    run(f"{_TERRAFORM} apply", *_unasked())
    path = deployment_file(os.environ)
    text = installation_of(ask(f"{_TERRAFORM} output", "-json", "deployment"))
    path.write_text(text, encoding="utf-8")
    run("gcloud storage cp", str(path), f"{json.loads(text)['template_folder']}/deployment.json")
    print(f"{path.name} holds what the other commands need, and no secret.")


def destroy(values: Values) -> None:
    """Takes the installation down, with all that it has stored.

    Raises:
      CommandError: the job is running.
    """
    if running_job(values):
        raise CommandError(f"{values['JOB_NAME']} is running: `make drain`, and wait until it has ended")
    _initialise(values)
    # What is protected can only be destroyed when its protection has been taken away.
    for action in ("apply", "destroy"):
        run(f"{_TERRAFORM} {action}", *_unasked(), "-var=deletion_protection=false")


def _initialise(values: Values) -> None:
    if not (_FOLDER / "terraform.tfvars").is_file():
        raise VariablesError(
            "terraform/terraform.tfvars is missing: copy terraform/example.tfvars, and change it"
        )
    backend = (f"-backend-config=bucket={values['STATE_BUCKET']}", "-backend-config=prefix=segments")
    run(f"{_TERRAFORM} init", "-input=false", *backend)


def _unasked() -> list[str]:
    return ["-auto-approve"] if os.environ.get("YES") else []
