"""The tables of the documentation are whole: every row stands under a header and has as many cells."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = sorted([*Path().glob("*.md"), *Path("docs").glob("*.md"), *Path("data").glob("*.md")])


def tables(text: str) -> Iterator[list[str]]:
    """Yields the tables of a page, each as its lines; code blocks are left out."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^\|.*\n?)+", prose, re.MULTILINE):
        yield block.splitlines()


def cells(line: str) -> int:
    """Returns the number of cells of a row; a bar in code belongs to its cell."""
    return len(re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) - 2


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_row_is_under_a_header_and_has_its_cells(page: Path) -> None:
    for header, *rows in tables(page.read_text(encoding="utf-8")):
        assert rows, header
        assert re.fullmatch(r"[|:\- ]+", rows[0]), header
        assert {cells(row) for row in rows} == {cells(header)}, [
            row for row in rows if cells(row) != cells(header)
        ]
