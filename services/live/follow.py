"""Follows a live system: shows its changes, dead letters and replay, and says when its job is behind."""

import http.client
import time
from collections.abc import Callable
from typing import Any, NoReturn

import orjson
import redis

from local.programs import ProgramError
from local.samples import displayed_path
from segmentation.printable import printable
from services.live.backlog import Backlog, BehindLines, Waiting
from services.live.news import Changes, DeadLetters, dead_letter_line
from services.live.output_folder import DEAD_LETTERS
from services.live.screen import Screen
from services.live.stale_writes import StaleWriteLines
from services.live.stop_signals import Stop
from services.live.system import DEAD_LETTERS_SUBSCRIPTION, LiveSystem
from stores.json_lines import append_lines

_POLL_MS = 250


class Follower:
    """Shows what a started system does.

    Args:
      system: the system.
      screen: where to show it.
    """

    def __init__(self, system: LiveSystem, screen: Screen) -> None:
        self._system = system
        self._screen = screen
        self._changes = Changes(system.redis_url)
        self._dead_letters = DeadLetters(system.emulator, DEAD_LETTERS_SUBSCRIPTION)
        self._dead_letters_file = system.folder.path / DEAD_LETTERS
        self._backlog = Backlog(system.url, system.status_file)
        self._behind = BehindLines()
        self._stale_writes = StaleWriteLines(system.status_file)
        self._replay_lines = 0
        self.waiting: Waiting | None = None
        """What the job had not decided when that was last read."""

    def follow(self, check_stop: Callable[[], None]) -> NoReturn:
        """Looks again and again.

        Args:
          check_stop: called after every look; an exception from it ends this.

        Raises:
          ProgramError: a program ended, or the file of dead letters cannot be written.
          Stop: the screen is closed.
        """
        while True:
            try:
                self._look()
            except (OSError, http.client.HTTPException, redis.RedisError) as error:
                check_stop()
                self._system.programs.explain(error)
            check_stop()
            if self._screen.is_closed:
                raise Stop
            self._system.programs.check()

    def look_again(self) -> None:
        """Shows what the job and the collector still wrote while they ended. Does nothing if the servers are gone."""
        try:
            while self._show_news(wait_ms=1):
                pass
        except (OSError, http.client.HTTPException, redis.RedisError):
            return

    def _look(self) -> None:
        if self._screen.is_full:
            time.sleep(_POLL_MS / 1000)
        else:
            self._show_news(_POLL_MS)
            self._show_replay()
        self.waiting = self._backlog.read()
        if self.waiting is not None:
            self._show(self._behind.lines(self.waiting))
        self._show(self._stale_writes.lines())

    def _show_news(self, wait_ms: int) -> bool:
        """Shows new changes and dead letters; returns whether there were any."""
        lines, letters = self._changes.lines(wait_ms), self._dead_letters.take()
        self._show([*lines, *map(dead_letter_line, letters)])
        if letters:
            self._store(letters)
        return bool(lines or letters)

    def _store(self, letters: list[dict[str, Any]]) -> None:
        """Appends dead letters to their file.

        Raises:
          ProgramError: the file cannot be written.
        """
        try:
            append_lines(self._dead_letters_file, (orjson.dumps(letter) for letter in letters))
        except OSError as error:
            shown = displayed_path(self._dead_letters_file)
            raise ProgramError(
                f"{shown} cannot be written ({error.strerror}); {len(letters)} dead letters are only on the screen"
            ) from None

    def _show_replay(self) -> None:
        """Shows the new lines of the replay's log."""
        log = self._system.programs.log("replay")
        if log.exists():
            *whole, _ = log.read_text(encoding="utf-8", errors="replace").split("\n")
            self._show([f"replay: {printable(line)}" for line in whole[self._replay_lines :]])
            self._replay_lines = len(whole)

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            self._screen.show(line)
