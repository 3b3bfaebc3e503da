"""The variables of the commands: they come from the environment, or from deployment.json."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

Values = dict[str, str]
ROOT = Path(__file__).parents[1]
INSTALLATION = {
    "PROJECT": "the Google Cloud project's ID",
    "REGION": "the job's region, such as europe-west4",
    "IMAGE_REPOSITORY": "the repository of images, REGION-docker.pkg.dev/PROJECT/REPOSITORY",
    "TEMPLATE_FOLDER": "the folder of templates, gs://BUCKET/FOLDER",
    "DEFINITIONS_FILE": "the file of definitions, gs://BUCKET/FILE.yaml",
    "JOB_NAME": "the job's name",
    "JOB_PARAMETERS": "the job's flags, a JSON object",
    "WORKERS": "the job's workers, a JSON object of machine_type, min and max",
    "WORKER_SERVICE_ACCOUNT": "the service account that the job runs as, an e-mail address",
    "SUBNETWORK": "the URL of the workers' subnetwork",
    "STAGING_LOCATION": "the folder for files that a launch uploads, gs://BUCKET/FOLDER",
    "TEMP_LOCATION": "the folder for a job's temporary files, gs://BUCKET/FOLDER",
    "EVENTS_TOPIC": "the topic of events, projects/P/topics/T",
    "DEAD_LETTERS_SUBSCRIPTION": "the subscription of dead letters, projects/P/subscriptions/S",
}
"""The variables in Terraform's output `deployment`, where their names are in lower case."""
GIVEN = {
    "VERSION": "the tag of image and template: lower-case letters, digits, - and _. Default: the commit that is"
    " checked out, if no file of the image is changed",
    "STATE_BUCKET": "the bucket for Terraform's state, without gs://",
    "CONFIRM": "the job's name, because this cannot be undone",
}
VERSIONED = (
    *(
        "LICENSE",
        "NOTICE",
        "README.md",
        "pyproject.toml",
        "requirements-setup.lock",
        "requirements.lock",
        "setup.py",
    ),
    *("commands", "pipeline", "segmentation", "stores", "templates", "transforms"),
)
"""The files and folders that image and template are built from."""
_VERSION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class VariablesError(ValueError):
    """A variable is missing or wrong; the message has its name and its description."""


def read_settings(names: tuple[str, ...], environment: Mapping[str, str]) -> Values:
    """Returns the values of variables: from the environment, else from the file $DEPLOYMENT.

    Raises:
      VariablesError: a variable is missing or wrong.
    """
    path = deployment_file(environment)
    defaults = _read_deployment(path)
    values = {name: environment.get(name) or defaults.get(name) or "" for name in names}
    if values.get("VERSION") == "":
        values["VERSION"] = _commit() or ""
    missing = [f"  {name}: {(INSTALLATION | GIVEN)[name]}" for name in names if not values[name]]
    if missing:
        hint = f"\nThere is no {path.name}; `make infrastructure` writes it." if not defaults else ""
        raise VariablesError("\n".join(["missing variables, give them as NAME=value:", *missing]) + hint)
    for problem in _problems(values):
        raise VariablesError(problem)
    return values


def deployment_file(environment: Mapping[str, str]) -> Path:
    """Returns the path of the file with the installation's values: $DEPLOYMENT, else deployment.json."""
    return ROOT / environment.get("DEPLOYMENT", "deployment.json")


def replaceable_deployment_file(environment: Mapping[str, str]) -> Path:
    """Returns the path of the file with the installation's values, which `make infrastructure` writes.

    Raises:
      VariablesError: there is another file.
    """
    path = deployment_file(environment)
    if path.exists() and not INSTALLATION.keys() & _read_deployment(path).keys():
        raise VariablesError(
            f"{path.name} is not what `make infrastructure` writes: move it away, or give another DEPLOYMENT"
        )
    return path


def installation_of(outputs: str) -> str:
    """Returns the text of deployment.json, from Terraform's output `deployment` as JSON.

    Raises:
      VariablesError: the output lacks a variable.
    """
    values = json.loads(outputs)
    lacking = [name.lower() for name in INSTALLATION if name.lower() not in values]
    if lacking:
        raise VariablesError(f"Terraform's output `deployment` lacks {', '.join(lacking)}")
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def git(*arguments: str) -> str | None:
    """Runs git in this checkout and returns its output; None if git fails or is missing."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _read_deployment(path: Path) -> Values:
    if not path.is_file():
        return {}
    try:
        items = json.loads(path.read_text(encoding="utf-8")).items()
    except (json.JSONDecodeError, AttributeError):
        raise VariablesError(
            f"{path.name}: expected a JSON object; move it away, and `make infrastructure` writes the file again"
        ) from None
    return {name.upper(): value if isinstance(value, str) else json.dumps(value) for name, value in items}


def _commit() -> str | None:
    changed = git("status", "--porcelain", "--", *VERSIONED, ":!templates/bases.lock")
    return git("rev-parse", "--short=12", "HEAD") if changed == "" else None


def _problems(values: Values) -> Iterator[str]:
    version = values.get("VERSION", "a")
    if _VERSION.fullmatch(version) is None:
        yield f"VERSION: expected lower-case letters, digits, - and _, not {version}"
    if "CONFIRM" in values and values["CONFIRM"] != values["JOB_NAME"]:
        yield f"CONFIRM: expected {values['JOB_NAME']}, not {values['CONFIRM']}"
    if "JOB_PARAMETERS" in values and "~" in values["JOB_PARAMETERS"]:
        yield "JOB_PARAMETERS: contains ~, which separates the parameters for gcloud"
