"""Which changes of a source the mutation tester makes."""

from pathlib import Path

import pytest

from tests.mutations import mutants_of


@pytest.mark.parametrize(
    "source, changes",
    [
        ("def f(a):\n    return a < 5", ["return None", "a <= 5", "6", "50"]),
        ("def f(a, b):\n    return a == 0 and b", ["return None", "a == 0 or b", "a != 0", "1"]),
        ("def f(a):\n    if not a:\n        a.clear()", ["a", "pass"]),
        ("def f(a):\n    if a.full:\n        a.size += 1", ["not a.full", "pass", "2"]),
        ("def f(a):\n    a.size = min(a.sizes)", ["pass", "max(a.sizes)"]),
        ("LIMIT_MS = 5 * 60", ["5 // 60", "6", "50", "61", "600"]),
        ("def f(a):\n    raise ValueError(a + 1)", ["pass"]),
        ("def f(a):\n    return [b for b in a if b]", ["return None", "not b"]),
        ("def f(a):\n    while True:\n        continue", ["False", "break"]),
        (
            'def f(a: int | None, b=True) -> int | None:\n    """Text."""\n    a("text", f"{1}")',
            ["False", "pass"],
        ),
    ],
)
def test_each_change_stands_alone(source: str, changes: list[str]) -> None:
    assert [mutant.after for mutant in mutants_of(source, "a.py")] == changes


def test_a_change_leaves_the_rest_of_the_source_as_it_is() -> None:
    source = "# Größe\nSIZE = {\n    'ä': 3,  # bytes\n}\n"
    first, second = mutants_of(source, "a.py")
    assert first.source == source.replace("3", "(4)")
    assert str(second) == "a.py:3: 3 -> 30"


def test_what_runs_at_import_is_told_from_bodies() -> None:
    found = mutants_of("A = 1\nclass B:\n    c = 2 < 3\n    def d(self, e=4):\n        return 5", "a.py")
    assert {mutant.before for mutant in found if not mutant.at_import} == {"return 5", "5"}


@pytest.mark.parametrize("package", ["segmentation", "stores", "transforms", "services/collector"])
def test_every_mutant_of_the_project_compiles(package: str) -> None:
    for path in sorted(Path(package).rglob("*.py"))[:10]:
        source = path.read_text()
        for mutant in mutants_of(source, str(path)):
            assert mutant.source != source
            compile(mutant.source, mutant.path, "exec")
