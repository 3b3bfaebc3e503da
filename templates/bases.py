"""The digests of the images that the Dockerfile builds on: looked up once, and kept in bases.lock."""

import re
from collections.abc import Iterator
from pathlib import Path

from templates.programs import CommandError, ask, run

_FOLDER = Path(__file__).parent
DOCKERFILE = _FOLDER / "Dockerfile"
LOCK = _FOLDER / "bases.lock"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def bases(dockerfile: str) -> dict[str, str]:
    """Returns the bases that a Dockerfile names, NAME:TAG by what its arguments begin with."""
    tags = dict(re.findall(r"^ARG (\w+)_TAG=(\S+)$", dockerfile, re.MULTILINE))
    named = re.findall(r"^FROM (\S+):\$\{(\w+)_TAG\}@\$\{\2_DIGEST\}", dockerfile, re.MULTILINE)
    return {argument: f"{name}:{tags[argument]}" for name, argument in named}


def build_arguments(platform: str) -> Iterator[str]:
    """Yields docker's arguments that pin each base; looks up and keeps what is not kept yet.

    Raises:
      CommandError: docker failed.
    """
    wanted = bases(DOCKERFILE.read_text(encoding="utf-8"))
    kept = _read()
    missing = [base for base in wanted.values() if base not in kept]
    for base in missing:
        kept[base] = _digest(base, platform)
    if missing:
        lines = [f"{base}@{kept[base]}" for base in sorted(wanted.values())]
        LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"Looked up {', '.join(missing)}: commit {LOCK.name}, and every later build has the same.")
    for argument, base in wanted.items():
        yield f"--build-arg={argument}_DIGEST={kept[base]}"


def _read() -> dict[str, str]:
    if not LOCK.is_file():
        return {}
    return dict(line.split("@") for line in LOCK.read_text(encoding="utf-8").split())


def _digest(base: str, platform: str) -> str:
    run("docker pull", f"--platform={platform}", base)
    said = ask("docker image inspect", "--format={{index .RepoDigests 0}}", base)
    digest = said.rpartition("@")[2]
    if _DIGEST.fullmatch(digest) is None:
        raise CommandError(f"docker tells no digest of {base}: {said!r}")
    return digest
