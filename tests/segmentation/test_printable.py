"""What is shown has no character that a terminal obeys or hides."""

import sys
import unicodedata

import pytest

from segmentation.printable import printable, printable_lines

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    "text, shown",
    [
        ("ada", "ada"),
        ("Größe 名前 😀 a b", "Größe 名前 😀 a b"),
        ("\x1b[2Jada", r"\x1b[2Jada"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("\u202eada\u2069", r"\u202eada\u2069"),
        ("a\u200bb\ufeff\u2028", r"a\u200bb\ufeff\u2028"),
        ("\ud800 \udc9b", r"\ud800 \udc9b"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_obeys_or_hides_becomes_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_character_of_unicode_is_left_out() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    for shown, kept in ((printable(every), ""), (printable_lines(every), "\n")):
        assert {character for character in shown if unicodedata.category(character) in HIDDEN} == set(kept)


def test_lines_stay_lines() -> None:
    assert printable_lines("two mistakes:\n\tline 1: \x1b[0m\n") == "two mistakes:\n    line 1: \\x1b[0m\n"


def test_a_value_is_shown_as_its_text() -> None:
    assert printable(OSError("no\nfile")) == r"no\nfile"
