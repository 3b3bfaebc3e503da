"""docs/bounded-run.md is true: its commands do what it says, in its order, and its table has every count."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local_run.counts import event_counts, profile_counts
from tests.integration.page_reader import Reader, steps
from transforms.update_profiles import SKIPPED_PREFIX

PAGE = "bounded-run.md"
TEXT = (Path(__file__).parents[2] / "docs" / PAGE).read_text()
SOURCES = [*Path("transforms").glob("*.py")]


def block(name: str) -> str:
    """Returns the block of output after a comment."""
    (found,) = re.findall(rf"^<!-- {name} -->\n```\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def without_measures(output: str) -> str:
    """Returns an output without what differs from run to run."""
    return re.sub(r"-\d{13}-", "-RUN-", re.sub(r"(seconds +)[\d.]+", r"\1N", output))


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    if shutil.which("jq") is None:
        assert not os.environ.get("CI"), "jq is not installed"
        pytest.skip("jq is not installed")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):  # rich would believe in a terminal
        monkeypatch.delenv(name, raising=False)
    reader = Reader(tmp_path)
    yield reader
    reader.end()


def test_the_page_can_be_followed_and_shows_what_comes_out(reader: Reader, tmp_path: Path) -> None:
    outputs = []
    for step in steps(PAGE):
        if step.action == "keeps running":
            reader.take(step)
            continue
        done = reader.type_in(reader._adapted(step.block))
        assert done.returncode == 0, done
        outputs.append((step.word, done.stdout.replace(f"{tmp_path}/", "out/"), done.stderr))
    (first,) = [stdout for word, stdout, _ in outputs if word == "profiles"]
    assert without_measures(first) == without_measures(block("summary"))
    (skipped,) = [stdout for word, stdout, _ in outputs if word == "skipped"]
    assert skipped == block("skipped")
    (refused,) = [stderr for *_, stderr in outputs if "became dead letters" in stderr]
    said = "".join(line for line in refused.splitlines(keepends=True) if line.startswith("segments run: "))
    assert said.replace(f"{tmp_path}/", "out/") == block("refusal")
    word, last, _ = outputs[-1]
    assert word.split() == ["events", "read", "1"]
    assert re.search(r"^  events read +1$", last, re.MULTILINE)
    assert re.search(r"^  dead letters +0 ", last, re.MULTILINE)


def test_the_table_has_every_count_and_the_counters_are_counted() -> None:
    everything = dict.fromkeys(
        [
            *("events_repeated_differing", "ids_ignored", "events_after_as_of", "events_far_before_as_of"),
            *("momentary_memberships", f"{SKIPPED_PREFIX}no_number:segments.a:properties.b"),
        ],
        1,
    )
    table = TEXT.partition("| name | counter |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| (`[\w:]+`.*?) \| ", table, re.MULTILINE))
    assert list(rows) == [count.name for count in (*event_counts(everything), *profile_counts(everything))]
    code = "\n".join(source.read_text() for source in SOURCES)
    for counter in re.findall(r"`(\w+)`", " ".join(rows.values())):
        assert f'"{counter.removesuffix("REASON")}' in code
