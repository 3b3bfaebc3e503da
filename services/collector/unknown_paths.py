"""Logs requests that no route takes: an SDK with another path is noticed, and a scanner does not fill the log."""

import logging
import re
from collections.abc import Callable

MAX_LINES = 10
WINDOW_SECONDS = 600.0
_LOGGER = logging.getLogger("collector")
_VERSION = re.compile(r"v[0-9]{1,2}", re.ASCII)
_WORD = re.compile(r"[A-Za-z]{1,20}", re.ASCII)
_HIDDEN = "*"
_MAX_PARTS = 4


class UnknownPaths:
    """Logs each unknown path once in `WINDOW_SECONDS`, and at most `MAX_LINES` of them; the rest is only counted.

    Args:
      is_write_key: returns whether a text is a source's write key, which is never logged.
      monotonic: returns monotonic seconds.
    """

    def __init__(self, is_write_key: Callable[[str], bool], monotonic: Callable[[], float]) -> None:
        self._is_write_key = is_write_key
        self._monotonic = monotonic
        self._logged: set[str] = set()
        self._unlogged = 0
        self._began = monotonic()

    def log(self, method: str, path: str, status: int) -> None:
        """Logs a request without a route: 404, no such path; 405, another method."""
        now = self._monotonic()
        if now - self._began >= WINDOW_SECONDS:
            if self._unlogged:
                _LOGGER.warning("no route: %d more requests were not logged", self._unlogged)
            self._logged.clear()
            self._unlogged, self._began = 0, now
        line = f"{method} {loggable_path(path, self._is_write_key)}: {status}"
        if line in self._logged or len(self._logged) >= MAX_LINES:
            self._unlogged += 1
            return
        self._logged.add(line)
        _LOGGER.warning("no route: %s", line)


def loggable_path(path: str, is_write_key: Callable[[str], bool]) -> str:
    """Returns the beginning of a path: versions, such as `v1`, and one word of letters.

    The rest is hidden, because it may contain a write key or a user's id, as /v1/projects/KEY/settings does.
    """
    shown: list[str] = []
    has_word = False
    for part in path.split("/")[1:]:
        is_word = not has_word and _WORD.fullmatch(part) is not None and not is_write_key(part)
        is_known = is_word or part == "" or _VERSION.fullmatch(part) is not None
        if not is_known or len(shown) == _MAX_PARTS:
            return "/" + "/".join([*shown, _HIDDEN])
        has_word = has_word or is_word
        shown.append(part)
    return "/" + "/".join(shown)
