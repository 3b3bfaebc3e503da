"""The folder of the live system's results and logs, which one live system has for itself."""

import re
from collections.abc import Iterable
from pathlib import Path

from local.own_folder import OwnFolder
from local.samples import ROOT

DEFAULT_OUTPUT = ROOT / "build" / "live"
HISTORY = "history.jsonl"
DEAD_LETTERS = "dead-letters.jsonl"
STATUS = "status.json"
PROGRAMS = ("emulator", "redis", "job", "collector", "replay")
"""The programs of a live system; the last one is optional."""
_LOGS = tuple(f"{name}.log" for name in (*PROGRAMS, "supervisord"))
_RESULTS = re.compile("|".join(map(re.escape, (HISTORY, DEAD_LETTERS, STATUS, f"{STATUS}.new", *_LOGS))))


def output_folder(path: Path, inputs: Iterable[Path] = ()) -> OwnFolder:
    """Returns the output folder of a live system.

    Args:
      path: the folder.
      inputs: the files and folders that the system reads.
    """
    is_default = path.resolve() == DEFAULT_OUTPUT.resolve()
    return OwnFolder(path, "make live", _RESULTS, is_default=is_default, inputs=inputs)
