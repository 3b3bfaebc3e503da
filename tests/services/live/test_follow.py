"""What the live system shows is also in its files."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.programs import ProgramError
from services.live.follow import Follower
from services.live.news import Changes, DeadLetters
from services.live.output_folder import DEAD_LETTERS

LETTERS = [
    {"received_at": "2026-11-27T10:00:00.000Z", "reason": "not_json", "message": "not JSON", "payload": "ä"},
    {"received_at": "2026-11-27T10:00:01.000Z", "reason": "not_json", "message": "not JSON", "payload": "{"},
]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines on the screen. Pub/Sub has dead letters, Redis no changes."""
    monkeypatch.setattr(Changes, "lines", lambda self, wait_ms: [])
    monkeypatch.setattr(DeadLetters, "take", lambda self: LETTERS)
    return []


@pytest.fixture
def follower(tmp_path: Path, shown: list[str]) -> Follower:
    system: Any = SimpleNamespace(
        redis_url="redis://127.0.0.1:1",
        emulator="127.0.0.1:1",
        url="http://127.0.0.1:1",
        folder=SimpleNamespace(path=tmp_path),
        status_file=tmp_path / "status.json",
    )
    screen: Any = SimpleNamespace(show=shown.append)
    return Follower(system, screen)


def test_dead_letters_are_whole_lines_of_a_file_even_after_a_kill(
    tmp_path: Path, follower: Follower, shown: list[str]
) -> None:
    path = tmp_path / DEAD_LETTERS
    path.write_text('{"half of a li')
    assert follower._show_news(wait_ms=1)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == LETTERS
    assert len(shown) == 2


def test_a_full_disk_is_told_as_such_and_the_screen_has_the_dead_letters(
    tmp_path: Path, follower: Follower, shown: list[str]
) -> None:
    path = tmp_path / DEAD_LETTERS
    os.symlink("/dev/full", path)
    with pytest.raises(
        ProgramError, match=r"dead-letters\.jsonl cannot be written \(No space left on device\)"
    ):
        follower._show_news(wait_ms=1)
    assert len(shown) == 2
