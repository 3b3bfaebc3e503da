"""The screen holds nothing up, whatever becomes of the terminal."""

import os

import pytest

from services.live.screen import Screen
from tests.waiting import HANGS_AFTER_SECONDS, until


def test_texts_are_written_in_order_before_the_block_ends(monkeypatch) -> None:
    monkeypatch.setattr("services.live.screen._END_SECONDS", HANGS_AFTER_SECONDS)
    reader, writer = os.pipe()
    with Screen(writer) as screen:
        for number in range(3):
            screen.show(f"line {number} …")
    os.close(writer)
    with open(reader, encoding="utf-8") as read:
        assert read.read() == "line 0 …\nline 1 …\nline 2 …\n"


def test_a_terminal_that_takes_nothing_more_holds_nothing_up(monkeypatch) -> None:
    monkeypatch.setattr("services.live.screen._END_SECONDS", 0)
    reader, writer = os.pipe()
    with Screen(writer) as screen:
        for _ in range(1100):
            screen.show("x" * 1000)
        assert screen.is_full
        assert not screen.is_closed
    os.close(reader)


def test_a_reader_that_is_gone_is_noticed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with Screen(writer) as screen:
        screen.show("nobody reads this")
        until(lambda: screen.is_closed, "sign that the output is closed")
        screen.show("nor this")
    os.close(writer)


@pytest.mark.parametrize(
    "encoding, text", [("utf-8", "名 é"), ("latin-1", "\\u540d é"), ("ascii", "\\u540d \\xe9")]
)
def test_shows_only_lines_of_what_the_terminal_can_show(encoding: str, text: str, monkeypatch) -> None:
    monkeypatch.setattr("services.live.screen._END_SECONDS", HANGS_AFTER_SECONDS)
    reader, writer = os.pipe()
    with Screen(writer, encoding) as screen:
        screen.show("one\n\x1b[2J\r\x9b\ud800名 é")
    os.close(writer)
    with open(reader, encoding=encoding) as read:
        assert read.read() == f"one\n\\x1b[2J\\r\\x9b\\ud800{text}\n"
