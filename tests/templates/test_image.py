"""The image's Dockerfile, as far as it can be judged without building it."""

import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "templates" / "Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n\s*", "", TEXT).splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def told(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def copied() -> list[str]:
    """Returns what is copied from the build's context."""
    return [
        source.rstrip("/")
        for rest in told("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]


def in_context(path: str) -> bool:
    """Tells whether .dockerignore leaves a path, or what is in it, in the build's context."""
    left = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.lstrip("!")
        if line.startswith("#") or not line:
            continue
        if fnmatch(path, pattern) or path.startswith(f"{pattern}/"):
            left = line.startswith("!")
    return left


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint comes with the locks on Linux on x86-64 only")
    found = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_each_base_is_named_by_tag_and_digest_and_no_digest_is_made_up() -> None:
    assert len(told("FROM")) == 3
    defaults = [argument.partition("=") for argument in told("ARG")]
    for base in told("FROM"):
        named = re.fullmatch(r"\S+/?\S+:\$\{(\w+)_TAG\}@\$\{\1_DIGEST\}( AS \w+)?", base)
        assert named is not None, base
        assert (f"{named[1]}_DIGEST", "", "") in defaults
        (tag,) = [value for name, _, value in defaults if name == f"{named[1]}_TAG"]
        assert tag not in ("", "latest")


def test_bases_have_the_beam_and_the_python_that_are_locked() -> None:
    (beam,) = [need for need in PROJECT["project"]["dependencies"] if need.startswith("apache-beam")]
    python = PROJECT["project"]["requires-python"].removeprefix("==").removesuffix(".*")
    assert f"ARG BEAM_TAG={beam.partition('==')[2]}" in TEXT
    assert f"ARG PYTHON_TAG={python}-" in TEXT
    assert f"FROM apache/beam_python{python}_sdk:" in TEXT
    assert f"/python{python.replace('.', '')}-template-launcher-base:" in TEXT


def test_everything_is_installed_from_the_locks_by_hash_and_checked() -> None:
    installs = re.findall(r"pip install ([^&]+)", "\n".join(told("RUN")))
    assert [install.split()[-1] for install in installs] == [
        "requirements-setup.lock",
        "requirements.lock",
        ".",
    ]
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or install.split()[-1] == "."
    for install in installs[1:]:
        assert "--no-build-isolation" in install, "pip would fetch a build tool that no lock knows"
    assert "pip check" in told("RUN")[-1]


def test_the_image_holds_what_a_worker_runs() -> None:
    packages = {
        pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert packages - {"local"} < set(copied())
    for path in copied():
        assert (ROOT / path).exists(), path
        assert in_context(path), f".dockerignore leaves out {path}"
    for path in (
        "local",
        "tests",
        ".git",
        ".venv",
        "terraform",
        "data",
        "docs",
        "templates/metadata.json",
        "deployment.json",
    ):
        assert not in_context(path), path


def test_the_launcher_finds_the_entry_point_and_installs_nothing() -> None:
    (environment,) = told("ENV")
    assert "FLEX_TEMPLATE_PYTHON_PY_FILE=/template/main.py" in environment
    assert not re.search(r"REQUIREMENTS_FILE|SETUP_FILE|EXTRA_PACKAGES", "".join(told("ENV")))
    assert "WORKDIR /template" in TEXT
    assert "COPY templates/main.py ./" in TEXT
    assert "/opt/google/dataflow/python_template_launcher" in TEXT
    assert told("ENTRYPOINT") == ['["/opt/apache/beam/boot"]']
