"""The digests of the Dockerfile's base images: looked up once, and stored in bases.lock."""

import re
from collections.abc import Iterator
from pathlib import Path

from templates.programs import CommandError, run, run_and_read

_FOLDER = Path(__file__).parent
DOCKERFILE = _FOLDER / "Dockerfile"
LOCK = _FOLDER / "bases.lock"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def bases(dockerfile: str) -> dict[str, str]:
    """Returns the base images of a Dockerfile: the prefix of its build arguments to NAME:TAG."""
    tags = dict(re.findall(r"^ARG (\w+)_TAG=(\S+)$", dockerfile, re.MULTILINE))
    named = re.findall(r"^FROM (\S+):\$\{(\w+)_TAG\}@\$\{\2_DIGEST\}", dockerfile, re.MULTILINE)
    return {argument: f"{name}:{tags[argument]}" for name, argument in named}


def build_arguments(platform: str) -> Iterator[str]:
    """Yields docker's arguments that pin each base image; looks up digests that bases.lock lacks, and adds them.

    Raises:
      CommandError: docker failed.
    """
    wanted = bases(DOCKERFILE.read_text(encoding="utf-8"))
    digests = _read_lock()
    missing = [base for base in wanted.values() if base not in digests]
    for base in missing:
        digests[base] = _digest(base, platform)
    if missing:
        lines = [f"{base}@{digests[base]}" for base in sorted(wanted.values())]
        LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(
            f"Looked up {', '.join(missing)}: commit {LOCK.name}, so that later builds use the same images."
        )
    for argument, base in wanted.items():
        yield f"--build-arg={argument}_DIGEST={digests[base]}"


def _read_lock() -> dict[str, str]:
    if not LOCK.is_file():
        return {}
    return dict(line.split("@") for line in LOCK.read_text(encoding="utf-8").split())


def _digest(base: str, platform: str) -> str:
    run("docker pull", f"--platform={platform}", base)
    output = run_and_read("docker image inspect", "--format={{index .RepoDigests 0}}", base)
    digest = output.rpartition("@")[2]
    if _DIGEST.fullmatch(digest) is None:
        raise CommandError(f"docker image inspect {base}: expected NAME@sha256:…, not {output!r}")
    return digest
