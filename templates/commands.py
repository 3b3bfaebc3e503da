"""The commands that deploy and operate the job on Google Cloud: `make COMMAND`.

Each command prints its steps and every program that it runs. It fails if a variable is missing. The commands need only
Python's standard library, so that a delivery pipeline can run them in the image of the Google Cloud CLI.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stores.terminal import printable_output
from templates import image, infrastructure, job
from templates.programs import CommandError
from templates.settings import Values, VariablesError, read_settings


class CommandStep(NamedTuple):
    """A part of a command: its description, the variables that it needs, and its function."""

    description: str
    needs: tuple[str, ...]
    run: Callable[[Values], None]


_JOB = ("PROJECT", "REGION", "JOB_NAME")
_LAUNCH = (
    *_JOB,
    *("VERSION", "TEMPLATE_FOLDER", "JOB_PARAMETERS", "WORKERS"),
    *("WORKER_SERVICE_ACCOUNT", "SUBNETWORK", "STAGING_LOCATION", "TEMP_LOCATION"),
)
_INFRASTRUCTURE = CommandStep(
    "create or change the infrastructure with Terraform; its state is in gs://{STATE_BUCKET}",
    ("STATE_BUCKET",),
    infrastructure.apply,
)
_IMAGE = CommandStep(
    "build and push {IMAGE_REPOSITORY}/live-segments:{VERSION}, unless it exists",
    ("IMAGE_REPOSITORY", "VERSION"),
    image.push_image,
)
_TEMPLATE = CommandStep(
    "write the template {TEMPLATE_FOLDER}/live-{VERSION}.json, unless it exists",
    ("IMAGE_REPOSITORY", "TEMPLATE_FOLDER", "VERSION"),
    image.write_template,
)
_DEFINITIONS = CommandStep(
    "copy definitions/segments.yaml to {DEFINITIONS_FILE}, unless it exists",
    ("DEFINITIONS_FILE",),
    job.publish_definitions,
)
_LAUNCH_STEP = CommandStep(
    "launch {JOB_NAME}, version {VERSION}, in {REGION} of {PROJECT}", _LAUNCH, job.launch
)
_VALIDATE = CommandStep(
    "ask Dataflow whether version {VERSION} can replace {JOB_NAME}", _LAUNCH, job.validate
)
_REPLACE = CommandStep(
    "replace {JOB_NAME} in {REGION} of {PROJECT} by version {VERSION}; its state is kept",
    _LAUNCH,
    job.replace,
)
_DRAIN = CommandStep(
    "drain {JOB_NAME} in {REGION} of {PROJECT}: it processes the messages that it has read, and ends; the state of all"
    " profiles is lost",
    (*_JOB, "CONFIRM"),
    job.drain,
)
_REPLAY = CommandStep(
    "publish the dead letters of {DEAD_LETTERS_SUBSCRIPTION} to {EVENTS_TOPIC} again",
    ("DEAD_LETTERS_SUBSCRIPTION", "EVENTS_TOPIC"),
    job.replay,
)
_DESTROY = CommandStep(
    "destroy all that Terraform created in {PROJECT} for {JOB_NAME}: Redis, the history, raw events, definitions",
    (*_JOB, "STATE_BUCKET", "CONFIRM"),
    infrastructure.destroy,
)
COMMANDS: dict[str, tuple[CommandStep, ...]] = {
    "infrastructure": (_INFRASTRUCTURE,),
    "image": (_IMAGE,),
    "template": (_TEMPLATE,),
    "deploy": (_IMAGE, _TEMPLATE, _DEFINITIONS, _LAUNCH_STEP),
    "validate": (_VALIDATE,),
    "update": (_IMAGE, _TEMPLATE, _VALIDATE, _REPLACE),
    "replace": (_REPLACE,),
    "drain": (_DRAIN,),
    "replay": (_REPLAY,),
    "destroy": (_DESTROY,),
}


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 1 if a program failed, 2 if a variable is missing or wrong."""
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
            print(f"- {step.description.format_map(values)}", flush=True)
        for step in steps:
            step.run(values)
    except (VariablesError, CommandError) as error:
        print(f"make {command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, VariablesError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
