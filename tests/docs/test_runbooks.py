"""Every command in the pages on running the job in the cloud exists, with its flags; so does every link."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from templates.commands import COMMANDS
from templates.settings import GIVEN
from tests.command_lines import JUDGED, is_installed, problems

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("deployment.md", "runbooks.md", "terraform.md", "../README.md", "../CONTRIBUTING.md")
_PLAIN = {"cp"}
"""Programs of every system, which nobody needs to judge."""


def commands(page: str) -> Iterator[list[str]]:
    """Yields the commands in a page's blocks of shell, word by word, those within others too."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for block in re.findall(r"^ *(?:\d\. )?```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            inner = re.findall(r"\$\(([^()]+)\)", line)
            for command in [re.sub(r"\$\([^()]+\)", "VALUE", line), *inner]:
                yield from _split(command)


def _split(line: str) -> Iterator[list[str]]:
    words = shlex.split(line, comments=True)
    while "&&" in words:
        at = words.index("&&")
        yield words[:at]
        words = words[at + 1 :]
    if words:
        yield words


def links(page: str) -> list[tuple[str, str]]:
    """Returns the file and the anchor of each link of a page that stays in the repository."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text)


def headings(page: str) -> set[str]:
    """Returns the anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize(
    "page, words",
    [(page, words) for page in PAGES for words in commands(page) if words[0] not in _PLAIN],
    ids=lambda value: " ".join(value[:5]) if isinstance(value, list) else value,
)
def test_a_command_exists_with_its_flags(page: str, words: list[str]) -> None:
    program = Path(words[0]).name
    if program in JUDGED and not is_installed(program):
        pytest.skip(f"{program} is not installed")
    assert list(problems(words)) == []


def test_commands_are_found_in_every_page() -> None:
    found = {page: [words[0] for words in commands(page)] for page in PAGES}
    assert found["deployment.md"].count("make") == 2, "an empty project takes two commands"
    assert {"make", "gcloud", ".venv/bin/segments"} == set(found["runbooks.md"])
    assert "terraform" in found["terraform.md"]


def test_there_is_a_runbook_for_each_occasion() -> None:
    occasions = {
        "update",
        "rollback",
        "drain",
        "replay-dead-letters",
        "seek-and-reprocess",
        "redis-lost",
        "run-two-versions-side-by-side",
    }
    assert occasions <= headings("runbooks.md")
    assert "the-first-deployment" in headings("deployment.md")


@pytest.mark.parametrize("page, file, anchor", [(page, *link) for page in PAGES for link in links(page)])
def test_a_link_leads_somewhere(page: str, file: str, anchor: str) -> None:
    target = (DOCS / page).parent / file if file else DOCS / page
    assert target.exists()
    assert not anchor or anchor in headings(str(target))


def test_links_are_found_with_their_anchors() -> None:
    assert {"deployment.md", "runbooks.md", "terraform.md", "../README.md"} <= {p for p in PAGES if links(p)}
    assert [anchor for page in PAGES for _, anchor in links(page) if anchor]


def test_every_command_and_variable_is_in_the_table() -> None:
    text = (DOCS / "deployment.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| (.*?) ?\|$", text, re.MULTILINE))
    assert COMMANDS.keys() | {"check"} == rows.keys()
    for name, steps in COMMANDS.items():
        needs = {need for step in steps for need in step.needs} & GIVEN.keys()
        assert needs <= set(re.findall(r"`(\w+)`", rows[name])), name
