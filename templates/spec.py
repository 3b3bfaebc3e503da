"""The template's spec: what Dataflow reads to launch the job.

    python -m templates.spec IMAGE

prints it. `gcloud dataflow flex-template build` would leave out that the job is a streaming one, and which delivery
it supports.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
METADATA = _FOLDER / "metadata.json"
ENVIRONMENT = _FOLDER / "environment.json"
"""How production runs the job, whatever the installation; the one place where that stands."""
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
      image: by its digest, ...@sha256:..., so that a template means the same for ever.

    Raises:
      ValueError: it is named otherwise.
    """
    if _BY_DIGEST.fullmatch(image) is None:
        raise ValueError(f"name the image by its digest, ...@sha256:..., not {image}")
    return {
        "image": image,
        "sdkInfo": {"language": "PYTHON"},
        "metadata": json.loads(METADATA.read_text(encoding="utf-8")),
        "defaultEnvironment": environment() | {"sdkContainerImage": image},
    }


def environment() -> dict[str, Any]:
    """Returns how production runs the job, in the words of Dataflow's API."""
    values: dict[str, Any] = json.loads(ENVIRONMENT.read_text(encoding="utf-8"))
    return values


def beam_flags(values: dict[str, Any]) -> Iterator[str]:
    """Yields the flags of Beam that the launcher makes of an environment.

    Raises:
      KeyError: a value that has no flag here.
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


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the spec; returns the exit status: 2 where the image is not named by its digest."""
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
