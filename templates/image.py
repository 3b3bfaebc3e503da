"""The steps `image` and `template`: they build a version of the job, which never changes afterwards."""

import json
import tempfile
from pathlib import Path

from templates.bases import DOCKERFILE, build_arguments
from templates.programs import CommandError, look_up, run
from templates.settings import ROOT, Values, VariablesError, git
from templates.spec import spec

PLATFORM = "linux/amd64"
"""The platform of Dataflow's workers; the machine that builds may have another one."""


def push_image(values: Values) -> None:
    """Builds and pushes the image of a version, unless it exists."""
    name = image_name(values)
    if _digest(values):
        print(f"{name} exists.")
        return
    _require_checkout(values["VERSION"])
    pins = list(build_arguments(PLATFORM))
    run("gcloud auth configure-docker", values["IMAGE_REPOSITORY"].partition("/")[0], "--quiet")
    options = (f"--file={DOCKERFILE}", f"--tag={name}", f"--build-arg=VERSION={values['VERSION']}", *pins)
    run("docker build", f"--platform={PLATFORM}", *options, str(ROOT))
    run("docker push", name)


def write_template(values: Values) -> None:
    """Writes the template of a version, with its image by digest, unless it exists."""
    name = template_name(values)
    if look_up("gcloud storage objects describe", name, "--format=value(name)") is not None:
        print(f"{name} exists.")
        return
    digest = _digest(values)
    if not digest:
        raise CommandError(f"image {image_name(values)} does not exist: `make image` builds and pushes it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.json"
        path.write_text(json.dumps(spec(f"{values['IMAGE_REPOSITORY']}/live-segments@{digest}"), indent=2))
        run("gcloud storage cp", str(path), name)


def image_name(values: Values) -> str:
    """Returns the name of a version's image, with its tag."""
    return f"{values['IMAGE_REPOSITORY']}/live-segments:{values['VERSION']}"


def template_name(values: Values) -> str:
    """Returns the address of a version's template, gs://BUCKET/FILE."""
    return f"{values['TEMPLATE_FOLDER']}/live-{values['VERSION']}.json"


def _digest(values: Values) -> str | None:
    """Returns the digest of a version's image; None if the image does not exist."""
    found = look_up(
        "gcloud artifacts docker images describe", image_name(values), "--format=value(image_summary.digest)"
    )
    return found or None


def _require_checkout(version: str) -> None:
    """Raises VariablesError if a version is a commit and another commit is checked out."""
    named, head = git("rev-parse", "--verify", "--quiet", f"{version}^{{commit}}"), git("rev-parse", "HEAD")
    if named and named != head:
        raise VariablesError(
            f"the image of {version} does not exist, and cannot be built: another commit is checked out, {head}"
        )
