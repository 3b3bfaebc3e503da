"""Waits for what another process or thread does."""

import time
from collections.abc import Callable
from typing import TypeVar

HANGS_AFTER_SECONDS = 240
"""Ends a test that waits for what never comes; nothing is measured by it."""
_POLL_SECONDS = 0.02
Found = TypeVar("Found")


def until(look: Callable[[], Found], what: str) -> Found:
    """Returns the first truthy thing that `look` finds.

    Args:
      look: looks for it; called every 20 ms.
      what: what is looked for, for the message of the failure.
    """
    deadline = time.monotonic() + HANGS_AFTER_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"still no {what}"
        time.sleep(_POLL_SECONDS)
    return found
