"""The glossary and the code use the same names, and a name means one thing."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("commands", "local", "pipeline", "segmentation", "services", "stores", "templates", "transforms")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
CODE = "\n".join(path.read_text() for path in [*SOURCES, *sorted((ROOT / "benchmarks").rglob("*.py"))])


def rows() -> list[list[str]]:
    """Returns the cells of each term's row."""
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line[:1] == "|"
    ]
    return [row for row in cells if len(row) == 5 and row[0] != "term" and not set(row[0]) <= set("-: ")]


IDENTIFIERS = [(row[0], name) for row in rows() for name in re.findall(r"`([^`]+)`", row[3])]


def test_the_glossary_is_read() -> None:
    assert len(rows()) > 40
    assert len(IDENTIFIERS) > 40


@pytest.mark.parametrize("term, name", IDENTIFIERS, ids=[f"{term}-{name}" for term, name in IDENTIFIERS])
def test_a_name_in_the_glossary_is_one_in_the_code(term: str, name: str) -> None:
    assert re.search(rf"\b{re.escape(name)}\b", CODE), f"{term}: nothing in the code is called {name}"


def test_no_two_public_classes_have_the_same_name() -> None:
    """One name, one thing: in the whole product, whoever imports it."""
    places = defaultdict(set)
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(str(path.relative_to(ROOT)))
    twice = {name: sorted(files) for name, files in places.items() if len(files) > 1}
    assert len(places) > 100
    assert twice == {}
