"""Progress is one live line in a terminal, and plain lines elsewhere; logging is as before afterwards."""

import logging
import re

import pytest

from pipeline.local_run.progress import progress
from stores.terminal import printable_output


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out of the environment what makes rich believe in a terminal."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_progress_is_a_line_each_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    beams, steps = logging.getLogger("apache_beam.x"), logging.getLogger("transforms.x")
    with progress("Working"):
        steps.info("100,000 events decided")
        beams.info("of no interest")
        beams.warning("of interest")
    steps.info("later")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Working\n100,000 events decided\nWARNING of interest\n")


def test_progress_is_a_live_line_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress("Working"):
        logging.getLogger("transforms.x").info("100,000 events decided")
        logging.getLogger("apache_beam.x").warning("of interest")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\x1b[" in shown.err
    assert "Working: 100,000 events decided" in shown.err
    assert "WARNING of interest\n" in shown.err
    assert re.search(r"\d:\d\d:\d\d", shown.err), "the time so far"


def test_progress_leaves_logging_as_it_was() -> None:
    loggers = [logging.getLogger(), logging.getLogger("transforms")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    with pytest.raises(ZeroDivisionError), progress("Working"):
        raise ZeroDivisionError
    assert [(logger.level, list(logger.handlers)) for logger in loggers] == before


def test_progress_can_be_for_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress("Working", only_on_terminals=True):
        logging.getLogger("transforms.x").info("100,000 events decided")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress("Working", only_on_terminals=True):
        pass
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Working" in shown.err


def test_nothing_is_shown_twice_where_logging_is_configured(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handler = logging.StreamHandler()
    root.addHandler(handler)
    try:
        with progress("Working"):
            logging.getLogger("transforms.x").warning("of interest")
    finally:
        root.removeHandler(handler)
    assert capsys.readouterr().err.count("of interest") == 1


@pytest.mark.parametrize("is_terminal", [False, True])
def test_only_the_consoles_own_escapes_reach_a_terminal(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    with printable_output(), progress("W \x1b]0;\x07\x9b"):
        logging.getLogger("transforms.x").info("decided \x1b]0;\x07\nforged")
        logging.getLogger("apache_beam.x").warning("warned \x1b]0;\x07\nforged")
    shown = capsys.readouterr().err
    assert r"WARNING warned \x1b]0;\x07\nforged" in shown
    assert r"decided \x1b]0;\x07\nforged" in shown
    assert not any(hostile in shown for hostile in ("\x1b]", "\x07", "\x9b", "\nforged"))
    assert ("\x1b[" in shown) == is_terminal
