"""What the image holds is what the collector imports: nothing is missing, and Beam is not there."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "services" / "collector" / "Dockerfile").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements-collector.lock").read_text(encoding="utf-8")
LOCKED = set(re.findall(r"^([a-z0-9._-]+)==", LOCK, re.MULTILINE))
OURS = {"segmentation", "services", "stores"}
IMPORT_WITHOUT_THE_REST = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)

BLOCKED = set(json.loads(sys.argv[1]))
for name in BLOCKED & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, Missing())
import services.collector.__main__
print(json.dumps({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}))
"""


def not_in_the_image() -> list[str]:
    """Returns the modules of installed packages that the lock does not list."""

    def is_locked(distribution: str) -> bool:
        return re.sub(r"[._]", "-", distribution.lower()) in LOCKED

    return [
        top
        for top, distributions in packages_distributions().items()
        if top not in OURS and not any(map(is_locked, distributions))
    ]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """Name to file of each module of a collector that has the image's files only."""
    folder = tmp_path_factory.mktemp("image")
    compiled = shutil.ignore_patterns("__pycache__")  # other tests' programs may be writing there
    for sources, target in re.findall(r"^COPY (.+) (\S+)$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / target, ignore=compiled)
            else:
                (folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, folder / target)
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_WITHOUT_THE_REST, json.dumps(not_in_the_image())],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules: dict[str, str | None] = json.loads(done.stdout)
    assert (modules["services.collector.__main__"] or "").startswith(str(folder))
    return modules


def test_the_image_has_all_that_is_imported_and_no_beam(imported: dict[str, str | None]) -> None:
    assert {name for name in imported if name in OURS} == OURS
    assert {"apache_beam", "redis"} <= set(not_in_the_image())
    assert not {"apache_beam", "redis"} & set(imported)
    assert {"httptools", "msgspec", "orjson", "starlette", "uvicorn"} <= set(imported)


def test_the_lock_agrees_with_the_jobs() -> None:
    jobs = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    mine = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE))
    assert {name: version for name, version in mine.items() if name in jobs} == {
        name: jobs[name] for name in mine if name in jobs
    }


def test_the_image_is_of_a_digest_and_no_root_runs_it() -> None:
    assert re.search(r"^FROM python:\$\{PYTHON_TAG\}@\$\{PYTHON_DIGEST\}$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^USER collector$", DOCKERFILE, re.MULTILINE)
