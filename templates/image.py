"""The steps `image` and `template`: what a version of the job is, once and for all."""

import json
import tempfile
from pathlib import Path

from templates.bases import DOCKERFILE, build_arguments
from templates.programs import CommandError, look_up, run
from templates.settings import ROOT, VariablesError, Values, git
from templates.spec import spec

PLATFORM = "linux/amd64"
"""What Dataflow's workers are, whatever the machine is that builds for them."""


def push_image(values: Values) -> None:
    """Builds the image of a version and pushes it, unless it is there."""
    name = image_name(values)
    if _digest(values):
        print(f"{name} is there.")
        return
    _require_checkout(values["VERSION"])
    pins = list(build_arguments(PLATFORM))
    run("gcloud auth configure-docker", values["IMAGE_REPOSITORY"].partition("/")[0], "--quiet")
    what = (f"--file={DOCKERFILE}", f"--tag={name}", f"--build-arg=VERSION={values['VERSION']}", *pins)
    run("docker build", f"--platform={PLATFORM}", *what, str(ROOT))
    run("docker push", name)


def write_template(values: Values) -> None:
    """Writes the template of a version, which names its image by digest, unless it is there."""
    name = template_name(values)
    if look_up("gcloud storage objects describe", name, "--format=value(name)") is not None:
        print(f"{name} is there.")
        return
    digest = _digest(values)
    if not digest:
        raise CommandError(f"there is no image {image_name(values)}: `make image` pushes it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.json"
        path.write_text(json.dumps(spec(f"{values['IMAGE_REPOSITORY']}/live-segments@{digest}"), indent=2))
        run("gcloud storage cp", str(path), name)


def image_name(values: Values) -> str:
    """Returns the name of a version's image, by its tag."""
    return f"{values['IMAGE_REPOSITORY']}/live-segments:{values['VERSION']}"


def template_name(values: Values) -> str:
    """Returns where a version's template is."""
    return f"{values['TEMPLATE_FOLDER']}/live-{values['VERSION']}.json"


def _digest(values: Values) -> str | None:
    """Returns the digest of a version's image; None if it was never pushed."""
    found = look_up(
        "gcloud artifacts docker images describe", image_name(values), "--format=value(image_summary.digest)"
    )
    return found or None


def _require_checkout(version: str) -> None:
    """Raises VariablesError where a version is a commit, and another one is checked out."""
    named, head = git("rev-parse", "--verify", "--quiet", f"{version}^{{commit}}"), git("rev-parse", "HEAD")
    if named and named != head:
        raise VariablesError(f"the image of {version} is not there, and another commit is checked out: {head}")
