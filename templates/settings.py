"""What the commands know of an installation: variables, from the environment or from deployment.json."""

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
    "IMAGE_REPOSITORY": "where images go, REGION-docker.pkg.dev/PROJECT/REPOSITORY",
    "TEMPLATE_FOLDER": "where templates go, gs://BUCKET/FOLDER",
    "DEFINITIONS_FILE": "where the definitions are, gs://BUCKET/FILE.yaml",
    "JOB_NAME": "the job's name",
    "JOB_PARAMETERS": "the job's flags, a JSON object",
    "WORKERS": "the job's workers, a JSON object of machine_type, min and max",
    "WORKER_SERVICE_ACCOUNT": "whom the job runs as, an e-mail address",
    "SUBNETWORK": "the workers' subnetwork, by its URL",
    "STAGING_LOCATION": "where a launch puts what it uploads, gs://BUCKET/FOLDER",
    "TEMP_LOCATION": "where a job puts what it needs for a while, gs://BUCKET/FOLDER",
    "EVENTS_TOPIC": "where events are published, projects/P/topics/T",
    "DEAD_LETTERS_SUBSCRIPTION": "where dead letters wait, projects/P/subscriptions/S",
}
"""Terraform's output `deployment` has them, in small letters."""
GIVEN = {
    "VERSION": "what names image and template, of small letters, digits, - and _; left out, it is the commit that is"
    " checked out, if no file that goes into them differs from it",
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
    *("pipeline", "segmentation", "templates", "transforms"),
)
"""What image and template are made of."""
_VERSION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class VariablesError(ValueError):
    """A variable is missing or wrong; the message says which, and what it is."""


def read_settings(names: tuple[str, ...], environment: Mapping[str, str]) -> Values:
    """Returns the values of variables: those of the environment, else of the file that $DEPLOYMENT names.

    Raises:
      VariablesError: some are missing, or wrong.
    """
    path = deployment_file(environment)
    kept = _kept(path)
    values = {name: environment.get(name) or kept.get(name) or "" for name in names}
    if values.get("VERSION") == "":
        values["VERSION"] = _commit() or ""
    missing = [f"  {name}: {(INSTALLATION | GIVEN)[name]}" for name in names if not values[name]]
    if missing:
        hint = (
            f"\n`make infrastructure` keeps what it made in {path.name}, and there is none."
            if not kept
            else ""
        )
        raise VariablesError("\n".join(["missing, give them as NAME=value:", *missing]) + hint)
    for problem in _problems(values):
        raise VariablesError(problem)
    return values


def deployment_file(environment: Mapping[str, str]) -> Path:
    """Returns where the installation's values are kept."""
    return ROOT / environment.get("DEPLOYMENT", "deployment.json")


def installation_of(outputs: str) -> str:
    """Returns the text of deployment.json, from Terraform's output `deployment` as JSON.

    Raises:
      VariablesError: it lacks something.
    """
    values = json.loads(outputs)
    lacking = [name.lower() for name in INSTALLATION if name.lower() not in values]
    if lacking:
        raise VariablesError(f"Terraform's output `deployment` lacks {', '.join(lacking)}")
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def git(*arguments: str) -> str | None:
    """Returns what git says of this checkout; None if it says no, or there is no git."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _kept(path: Path) -> Values:
    if not path.is_file():
        return {}
    try:
        items = json.loads(path.read_text(encoding="utf-8")).items()
    except (json.JSONDecodeError, AttributeError):
        raise VariablesError(
            f"{path.name} holds no JSON object: `make infrastructure` writes it anew"
        ) from None
    return {name.upper(): value if isinstance(value, str) else json.dumps(value) for name, value in items}


def _commit() -> str | None:
    changed = git("status", "--porcelain", "--", *VERSIONED, ":!templates/bases.lock")
    return git("rev-parse", "--short=12", "HEAD") if changed == "" else None


def _problems(values: Values) -> Iterator[str]:
    version = values.get("VERSION", "a")
    if _VERSION.fullmatch(version) is None:
        yield f"VERSION must be of small letters, digits, - and _, not {version}"
    if "CONFIRM" in values and values["CONFIRM"] != values["JOB_NAME"]:
        yield f"CONFIRM must be {values['JOB_NAME']}, not {values['CONFIRM']}"
    if "JOB_PARAMETERS" in values and "~" in values["JOB_PARAMETERS"]:
        yield "JOB_PARAMETERS must hold no ~, which separates them"
