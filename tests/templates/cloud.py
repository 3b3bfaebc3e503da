"""Programs that only write down how they were called, in place of gcloud, docker and terraform."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from templates.commands import main
from templates.settings import GIVEN, INSTALLATION
from tests.command_lines import JUDGED

DIGEST = f"sha256:{'a' * 64}"
INSTALLED = {
    "project": "my-project",
    "region": "europe-west4",
    "image_repository": "europe-west4-docker.pkg.dev/my-project/segments",
    "template_folder": "gs://my-staging/templates",
    "definitions_file": "gs://my-definitions/segments.yaml",
    "job_name": "segments-live",
    "job_parameters": {
        "redis_url": "rediss://10.0.0.3:6378/0",
        "history_table": "my-project:segments.segment_changes",
    },
    "workers": {"machine_type": "n2-standard-4", "min": 2, "max": 8},
    "worker_service_account": "worker@my-project.iam.gserviceaccount.com",
    "subnetwork": "https://www.googleapis.com/compute/v1/projects/my-project/regions/europe-west4/subnetworks/workers",
    "staging_location": "gs://my-staging/staging",
    "temp_location": "gs://my-temp/temp",
    "events_topic": "projects/my-project/topics/segments-events",
    "dead_letters_subscription": "projects/my-project/subscriptions/segments-dead-letters",
}
IMAGE = "europe-west4-docker.pkg.dev/my-project/segments/live-segments:v1"
TEMPLATE = "gs://my-staging/templates/live-v1.json"
FAKE = f"""#!{sys.executable} -IS
import json, os, re, shutil, sys
called = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(called) + "\\n")
if called[:3] == ["gcloud", "storage", "cp"] and os.path.isfile(called[-2]):
    shutil.copy(called[-2], os.environ["COPIED"])
for pattern, status, said in json.loads(os.environ["ANSWERS"]):
    if re.search(pattern, " ".join(called)):
        print(said, file=sys.stderr if status else sys.stdout)
        sys.exit(status)
"""


class Cloud:
    """Stands for gcloud, docker and terraform: answers as told, and keeps what they were called with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._calls, self.copied, self.deployment = (
            folder / "calls",
            folder / "copied",
            folder / "deployment.json",
        )
        self._monkeypatch = monkeypatch
        programs = folder / "programs"
        programs.mkdir()
        for name in JUDGED:
            (programs / name).write_text(FAKE)
            (programs / name).chmod(0o755)
        self.deployment.write_text(json.dumps(INSTALLED))
        for name in (*INSTALLATION, *GIVEN, "YES", "REASON", "TRANSFORM_NAME_MAPPINGS"):
            monkeypatch.delenv(name, raising=False)
        variables = {
            "PATH": programs,
            "CALLS": self._calls,
            "COPIED": self.copied,
            "DEPLOYMENT": self.deployment,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        self.answer()

    def answer(self, *answers: tuple[str, int, str]) -> None:
        """Sets what is said to calls that match a pattern: a status, and a text."""
        self._monkeypatch.setenv("ANSWERS", json.dumps(answers))

    @property
    def calls(self) -> list[list[str]]:
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [json.loads(line) for line in lines]

    def called(self, *words: str) -> list[list[str]]:
        """Returns the calls that begin with words."""
        return [call for call in self.calls if call[: len(words)] == list(words)]


NO_IMAGE = (
    "artifacts docker images describe",
    1,
    "ERROR: (gcloud.artifacts.docker.images.describe) Image not found.",
)
NO_TEMPLATE = (
    "storage objects describe",
    1,
    f"ERROR: (gcloud.storage.objects.describe) {TEMPLATE} not found: 404.",
)
HAS_IMAGE = ("artifacts docker images describe", 0, DIGEST)
HAS_TEMPLATE = ("storage objects describe", 0, "templates/live-v1.json")
READ_TEMPLATE = (
    "storage cat",
    0,
    json.dumps({"image": f"{INSTALLED['image_repository']}/live-segments@{DIGEST}"}),
)
CHECKED = ("graph_validate_only", 0, "2026-11-24_job")
RUNNING = ("dataflow jobs list", 0, "2026-11-20_job")
OUTPUTS = ("terraform .*output", 0, json.dumps(INSTALLED))
BASE = ("docker image inspect", 0, f"some/base@{DIGEST}")


Give = Callable[..., None]
ALL: dict[str, tuple[dict[str, str], tuple[Any, ...]]] = {
    "infrastructure": ({"STATE_BUCKET": "my-state"}, (OUTPUTS,)),
    "image": ({"VERSION": "v1"}, (NO_IMAGE, BASE)),
    "template": ({"VERSION": "v1"}, (NO_TEMPLATE, HAS_IMAGE)),
    "deploy": ({"VERSION": "v1"}, (HAS_IMAGE, NO_TEMPLATE, READ_TEMPLATE)),
    "validate": ({"VERSION": "v1"}, (READ_TEMPLATE, CHECKED, ("jobs describe", 0, "JOB_STATE_DONE"))),
    "replace": ({"VERSION": "v1"}, (READ_TEMPLATE,)),
    "update": (
        {"VERSION": "v1"},
        (HAS_IMAGE, HAS_TEMPLATE, READ_TEMPLATE, CHECKED, ("jobs describe", 0, "JOB_STATE_DONE")),
    ),
    "drain": ({"CONFIRM": "segments-live"}, (RUNNING,)),
    "replay": ({}, ()),
    "destroy": ({"CONFIRM": "segments-live", "STATE_BUCKET": "my-state"}, ()),
}
"""For each command, what is given and what the programs answer where all is well."""


def start(name: str, cloud: Cloud, give: Give) -> int:
    """Runs a command where all is well; returns its exit status."""
    variables, answers = ALL[name]
    give(**variables)
    cloud.answer(*answers)
    return main([name])
