"""The judge of command lines, that other tests rely on."""

import pytest

from tests.command_lines import JUDGED, is_installed, problems


@pytest.mark.parametrize(
    "line, problem",
    [
        ("gcloud dataflow job drain", "gcloud dataflow: job is none of its commands"),
        ("gcloud dataflow jobs drain x --regoin=y", "gcloud dataflow jobs drain has no --regoin"),
        ("gcloud dataflow jobs drain x --region=y --quiet", None),
        ("docker build --plattform=x .", "docker build has no --plattform"),
        ("docker image inspect --format=x y", None),
        ("docker bild .", "docker has no bild"),
        ("terraform -chdir=terraform aply", "terraform has no aply"),
        ("terraform apply -auto-aprove", "terraform apply has no -auto-aprove"),
        ("terraform init -backend-config=bucket=x", None),
        ("make deply", "make has no target deply"),
        ("make update VERSON=x", "nothing reads VERSON"),
        ("make update VERSION=x", None),
        ("segments chek x", "segments has no command chek"),
        ("segments run --redis=x", "segments run has no --redis"),
        ("segments run --redis_url=x", None),
        ("rm -rf /", "nobody judges rm"),
    ],
)
def test_the_judge_of_command_lines_finds_mistakes(line: str, problem: str | None) -> None:
    words = line.split()
    if words[0] in JUDGED and not is_installed(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    assert list(problems(words)) == ([] if problem is None else [problem])
