"""The steps that create and destroy the installation with Terraform."""

import json
import os

from templates.job import running_job
from templates.programs import CommandError, run, run_and_read
from templates.settings import ROOT, Values, VariablesError, installation_of, replaceable_deployment_file

_FOLDER = ROOT / "terraform"
_TERRAFORM = f"terraform -chdir={_FOLDER.relative_to(ROOT)}"


def apply(values: Values) -> None:
    """Creates or changes the installation, and writes deployment.json with the variables of the other commands.

    A copy of deployment.json goes to the template folder, for the delivery pipeline.
    """
    path = replaceable_deployment_file(os.environ)
    _initialise(values)
    run(f"{_TERRAFORM} apply", *_approval())
    text = installation_of(run_and_read(f"{_TERRAFORM} output", "-json", "deployment"))
    path.write_text(text, encoding="utf-8")
    run("gcloud storage cp", str(path), f"{json.loads(text)['template_folder']}/deployment.json")
    print(f"{path.name} has the variables of the other commands; it contains no secret.")


def destroy(values: Values) -> None:
    """Destroys the installation and all its data.

    Raises:
      CommandError: the job is running.
    """
    if running_job(values):
        raise CommandError(f"{values['JOB_NAME']} is running: run `make drain`, and wait until it has ended")
    _initialise(values)
    # Terraform can destroy a protected resource only after it has removed the protection.
    for action in ("apply", "destroy"):
        run(f"{_TERRAFORM} {action}", *_approval(), "-var=deletion_protection=false")


def _initialise(values: Values) -> None:
    if not (_FOLDER / "terraform.tfvars").is_file():
        raise VariablesError(
            "terraform/terraform.tfvars is missing: copy terraform/example.tfvars and change it"
        )
    backend = (f"-backend-config=bucket={values['STATE_BUCKET']}", "-backend-config=prefix=segments")
    run(f"{_TERRAFORM} init", "-input=false", *backend)


def _approval() -> list[str]:
    """Returns the argument that skips Terraform's question, if $YES is set."""
    return ["-auto-approve"] if os.environ.get("YES") else []
