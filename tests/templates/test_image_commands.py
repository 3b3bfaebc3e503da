"""`make image` and `make template`: what a version of the job is, once and for all."""

import json
import re
from pathlib import Path

import pytest

from templates.bases import DOCKERFILE, bases
from templates.commands import main
from templates.settings import VERSIONED
from tests.templates.cloud import (
    DIGEST,
    HAS_IMAGE,
    HAS_TEMPLATE,
    IMAGE,
    NO_IMAGE,
    NO_TEMPLATE,
    TEMPLATE,
    Cloud,
    Give,
    start,
)

ROOT = Path(__file__).parents[2]
Shown = pytest.CaptureFixture[str]


def test_the_image_is_built_from_pinned_bases_and_pushed(cloud: Cloud, give: Give) -> None:
    assert start("image", cloud, give) == 0
    (build,) = cloud.called("docker", "build")
    assert f"--tag={IMAGE}" in build
    assert f"--file={DOCKERFILE}" in build
    assert "--platform=linux/amd64" in build
    assert "--build-arg=VERSION=v1" in build
    assert build[-1] == str(ROOT)
    arguments = bases(DOCKERFILE.read_text())
    assert arguments
    for argument in arguments:
        assert f"--build-arg={argument}_DIGEST={DIGEST}" in build
    assert cloud.called("docker", "push") == [["docker", "push", IMAGE]]
    assert cloud.called("gcloud", "auth") == [
        ["gcloud", "auth", "configure-docker", "europe-west4-docker.pkg.dev", "--quiet"]
    ]


def test_digests_are_looked_up_once_and_again_for_another_tag(
    cloud: Cloud, give: Give, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start("image", cloud, give) == 0
    pulled = [call[-1] for call in cloud.called("docker", "pull")]
    assert pulled == list(bases(DOCKERFILE.read_text()).values())
    assert (tmp_path / "bases.lock").read_text() == "".join(f"{base}@{DIGEST}\n" for base in sorted(pulled))
    assert main(["image"]) == 0
    assert len(cloud.called("docker", "pull")) == len(pulled)
    other = tmp_path / "Dockerfile"
    other.write_text(re.sub(r"BEAM_TAG=.*", "BEAM_TAG=3.0.0", DOCKERFILE.read_text()))
    monkeypatch.setattr("templates.bases.DOCKERFILE", other)
    assert main(["image"]) == 0
    assert cloud.called("docker", "pull")[len(pulled) :][0][-1] == "apache/beam_python3.11_sdk:3.0.0"
    assert "3.0.0" in (tmp_path / "bases.lock").read_text()
    assert len((tmp_path / "bases.lock").read_text().split()) == len(pulled)


def test_a_base_without_a_digest_is_not_built_on(
    cloud: Cloud, give: Give, capfd: Shown, tmp_path: Path
) -> None:
    give(VERSION="v1")
    cloud.answer(NO_IMAGE, ("docker image inspect", 0, "<no value>"))
    assert main(["image"]) == 1
    assert "docker image inspect apache/beam_python" in capfd.readouterr().err
    assert cloud.called("docker", "build") == []
    assert not (tmp_path / "bases.lock").exists()


def test_what_was_pushed_is_not_built_again(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(VERSION="v1")
    cloud.answer(HAS_IMAGE, HAS_TEMPLATE)
    assert main(["image"]) == main(["template"]) == 0
    assert cloud.called("docker") == cloud.called("gcloud", "storage", "cp") == []
    assert f"{IMAGE} exists." in capfd.readouterr().out


def test_an_earlier_commit_is_not_built_from_what_is_checked_out(
    cloud: Cloud, give: Give, monkeypatch: pytest.MonkeyPatch, capfd: Shown
) -> None:
    commits = {"v1^{commit}": "1111", "HEAD": "2222"}
    monkeypatch.setattr("templates.image.git", lambda *arguments: commits[arguments[-1]])
    assert start("image", cloud, give) == 2
    assert (
        "the image of v1 does not exist, and cannot be built: another commit is checked out, 2222"
        in capfd.readouterr().err
    )
    commits["HEAD"] = "1111"
    assert main(["image"]) == 0


def test_the_version_is_the_commit_if_nothing_that_goes_in_is_changed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: Shown
) -> None:
    said: dict[str, str | None] = {"status": "", "rev-parse": "0123456789ab"}
    monkeypatch.setattr("templates.settings.git", lambda *arguments: said[arguments[0]])
    cloud.answer(HAS_IMAGE)
    assert main(["image"]) == 0
    assert "live-segments:0123456789ab exists." in capfd.readouterr().out
    for changed in (" M pipeline/graph.py", None):
        said["status"] = changed
        assert main(["image"]) == 2
        assert "VERSION: the tag of image and template" in capfd.readouterr().err


def test_all_that_is_copied_into_the_image_decides_the_version() -> None:
    sources = {
        source.split("/")[0]
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in line.split()
    }
    assert {"pipeline", "transforms", "segmentation"} <= sources <= set(VERSIONED)
    assert all((ROOT / path).exists() for path in VERSIONED)


def test_the_template_names_the_image_by_digest(cloud: Cloud, give: Give) -> None:
    assert start("template", cloud, give) == 0
    (copy,) = cloud.called("gcloud", "storage", "cp")
    assert copy[-1] == TEMPLATE
    written = json.loads(cloud.copied.read_text())
    assert written["image"] == f"europe-west4-docker.pkg.dev/my-project/segments/live-segments@{DIGEST}"
    assert written["metadata"]["streaming"] is True


def test_there_is_no_template_without_an_image(cloud: Cloud, give: Give, capfd: Shown) -> None:
    give(VERSION="v1")
    cloud.answer(NO_IMAGE, NO_TEMPLATE)
    assert main(["template"]) == 1
    assert (
        capfd.readouterr().err
        == f"make template: image {IMAGE} does not exist: `make image` builds and pushes it\n"
    )
