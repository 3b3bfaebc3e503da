"""The template's spec: the file that Dataflow reads to launch the job.

    python -m templates.spec IMAGE

prints it. `gcloud dataflow flex-template build` would omit that the job is a streaming job, and its delivery guarantee.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stores.terminal import printable_output

_FOLDER = Path(__file__).parent
METADATA = _FOLDER / "metadata.json"
ENVIRONMENT = _FOLDER / "environment.json"
"""The runner options that all installations share; they are defined only here."""
_FLAGS = {
    "machineType": "machine_type",
    "maxWorkers": "max_num_workers",
    "numWorkers": "num_workers",
    "sdkContainerImage": "sdk_container_image",
}
_BY_DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


def spec(image: str) -> dict[str, Any]:
    """Returns the spec of a template whose launcher and workers run an image.

    Args:
      image: with its digest, ...@sha256:..., so that the template never changes.

    Raises:
      ValueError: the image has no digest.
    """
    if _BY_DIGEST.fullmatch(image) is None:
        raise ValueError(f"image: expected NAME@sha256:DIGEST, not {image}")
    return {
        "image": image,
        "sdkInfo": {"language": "PYTHON"},
        "metadata": json.loads(METADATA.read_text(encoding="utf-8")),
        "defaultEnvironment": environment() | {"sdkContainerImage": image},
    }


def environment() -> dict[str, Any]:
    """Returns the runner options that all installations share, with the names of Dataflow's API."""
    values: dict[str, Any] = json.loads(ENVIRONMENT.read_text(encoding="utf-8"))
    return values


def beam_flags(values: dict[str, Any]) -> Iterator[str]:
    """Yields the Beam flags that the launcher sets for an environment.

    Raises:
      KeyError: a value has no known flag.
    """
    for name, value in values.items():
        if name == "additionalPipelineOptions":
            yield from (f"--{option}" for option in value)
        elif name == "additionalExperiments":
            yield from (f"--experiments={experiment}" for experiment in value)
        elif name == "ipConfiguration":
            yield {"WORKER_IP_PRIVATE": "--no_use_public_ips", "WORKER_IP_PUBLIC": "--use_public_ips"}[value]
        else:
            yield f"--{_FLAGS[name]}={value}"


@printable_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Prints the spec; returns the exit status: 2 if the image has no digest."""
    parser = argparse.ArgumentParser(
        prog="python -m templates.spec", description="Prints the template's spec."
    )
    parser.add_argument("image", metavar="IMAGE", help="REGISTRY/NAME@sha256:DIGEST")
    try:
        print(json.dumps(spec(parser.parse_args(argv).image), indent=2))
    except ValueError as error:
        print(f"templates.spec: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
