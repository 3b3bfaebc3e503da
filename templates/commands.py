"""The commands that take the job onto Google Cloud and look after it there: `make COMMAND`.

Each says what it will do, refuses without the variables that it needs, and shows every program that it runs. They
need Python's standard library only, so that a delivery pipeline can run them in the image of Google's own tools.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from templates import image, infrastructure, job
from templates.programs import CommandError
from templates.settings import VariablesError, Values, read_settings


class Step(NamedTuple):
    """A part of a command: what it says it will do, and the variables that it needs."""

    says: str
    needs: tuple[str, ...]
    do: Callable[[Values], None]


_JOB = ("PROJECT", "REGION", "JOB_NAME")
_LAUNCH = (
    *_JOB,
    *("VERSION", "TEMPLATE_FOLDER", "JOB_PARAMETERS", "WORKERS"),
    *("WORKER_SERVICE_ACCOUNT", "SUBNETWORK", "STAGING_LOCATION", "TEMP_LOCATION"),
)
_INFRASTRUCTURE = Step(
    "make with Terraform all that the job needs; the state is kept in gs://{STATE_BUCKET}",
    ("STATE_BUCKET",),
    infrastructure.apply,
)
_IMAGE = Step(
    "build {IMAGE_REPOSITORY}/live-segments:{VERSION} and push it, unless it is there",
    ("IMAGE_REPOSITORY", "VERSION"),
    image.push_image,
)
_TEMPLATE = Step(
    "write the template {TEMPLATE_FOLDER}/live-{VERSION}.json, unless it is there",
    ("IMAGE_REPOSITORY", "TEMPLATE_FOLDER", "VERSION"),
    image.write_template,
)
_DEFINITIONS = Step(
    "copy definitions/segments.yaml to {DEFINITIONS_FILE}, unless there are some",
    ("DEFINITIONS_FILE",),
    job.publish_definitions,
)
_LAUNCHING = Step("launch {JOB_NAME}, version {VERSION}, in {REGION} of {PROJECT}", _LAUNCH, job.launch)
_VALIDATE = Step("ask Dataflow whether version {VERSION} can replace {JOB_NAME}", _LAUNCH, job.validate)
_REPLACE = Step(
    "replace {JOB_NAME} in {REGION} of {PROJECT} by version {VERSION}; its state is kept",
    _LAUNCH,
    job.replace,
)
_DRAIN = Step(
    "let {JOB_NAME} in {REGION} of {PROJECT} finish what it has taken in, and end; its state, which is what it"
    " remembers of every profile, is lost",
    (*_JOB, "CONFIRM"),
    job.drain,
)
_REPLAY = Step(
    "publish dead letters of {DEAD_LETTERS_SUBSCRIPTION} to {EVENTS_TOPIC} again",
    ("DEAD_LETTERS_SUBSCRIPTION", "EVENTS_TOPIC"),
    job.replay,
)
_DESTROY = Step(
    "destroy what Terraform has made in {PROJECT} for {JOB_NAME}: Redis, the history, raw events, definitions",
    (*_JOB, "STATE_BUCKET", "CONFIRM"),
    infrastructure.destroy,
)
COMMANDS: dict[str, tuple[Step, ...]] = {
    "infrastructure": (_INFRASTRUCTURE,),
    "image": (_IMAGE,),
    "template": (_TEMPLATE,),
    "deploy": (_IMAGE, _TEMPLATE, _DEFINITIONS, _LAUNCHING),
    "validate": (_VALIDATE,),
    "update": (_IMAGE, _TEMPLATE, _VALIDATE, _REPLACE),
    "replace": (_REPLACE,),
    "drain": (_DRAIN,),
    "replay": (_REPLAY,),
    "destroy": (_DESTROY,),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 2 where a variable is missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m templates.commands", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    command = parser.parse_args(argv).command
    steps = COMMANDS[command]
    try:
        values = read_settings(
            tuple(dict.fromkeys(name for step in steps for name in step.needs)), os.environ
        )
        print(f"make {command} will")
        for step in steps:
            print(f"- {step.says.format_map(values)}", flush=True)
        for step in steps:
            step.do(values)
    except (VariablesError, CommandError) as error:
        print(f"make {command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, VariablesError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
