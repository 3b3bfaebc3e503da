"""Programs that the fuzzer found worth keeping: each reaches something that the others do not, or once broke it."""

from pathlib import Path

import pytest

from tests.fuzz.harness import run

CORPUS = sorted(path for path in Path(__file__).with_name("corpus").iterdir())


@pytest.mark.parametrize("program", CORPUS, ids=[path.name[:12] for path in CORPUS])
def test_a_program_breaks_nothing(program: Path) -> None:
    run(program.read_bytes())


def test_the_corpus_reaches_the_fold() -> None:
    assert sum(run(path.read_bytes()).accepted for path in CORPUS) > len(CORPUS)
