"""Reads a folder with a tracking plan."""

from pathlib import Path
from typing import NamedTuple

from segmentation.printable import printable
from segmentation.tracking_plan.load import TrackingPlanError, load_tracking_plan
from segmentation.tracking_plan.plan import TrackingPlan
from stores.files import CLOUD, LOCAL_ONLY, RemoteFiles, list_folder, read_file

SUFFIX = ".yaml"
_MISNAMED = (".yml", ".json")
_MAX_FILES = 1000
_MAX_BYTES = 1024 * 1024
"""The limit for all files together. The plan is part of the job's description, whose size is limited."""

TrackingPlanTexts = tuple[tuple[str, str], ...]
"""The name and the text of each file of a plan. Steps receive the plan in this form."""


class TrackingPlanFolder(NamedTuple):
    """The texts in a folder, and the tracking plan loaded from them."""

    texts: TrackingPlanTexts
    plan: TrackingPlan


def read_tracking_plan(folder: str, remote: RemoteFiles = LOCAL_ONLY) -> TrackingPlanFolder:
    """Reads and checks the tracking plan in a folder's *.yaml files.

    Raises:
      TrackingPlanError: the folder or a file cannot be read, or a file is invalid. The message starts with the folder.
    """
    try:
        names = sorted(list_folder(folder, remote))
    except OSError as error:
        raise TrackingPlanError(
            f"{printable(folder)} cannot be read: {printable(error.strerror or error)}"
        ) from None
    misnamed = [name for name in names if name.endswith(_MISNAMED)]
    if misnamed:
        raise TrackingPlanError(
            f"{printable(_join(folder, misnamed[0]))}: a plan's files end in {SUFFIX}: rename it"
        )
    names = [name for name in names if name.endswith(SUFFIX)]
    if not names:
        raise TrackingPlanError(
            f"{printable(folder)} has no *{SUFFIX}: give the folder with one file per event"
        )
    if len(names) > _MAX_FILES:
        raise TrackingPlanError(f"{printable(folder)} has {len(names)} files; the limit is {_MAX_FILES}")
    texts = {name: _read_text(_join(folder, name), remote) for name in names}
    if sum(len(text.encode()) for text in texts.values()) > _MAX_BYTES:
        raise TrackingPlanError(
            f"{printable(folder)} has more than {_MAX_BYTES} bytes; make its files smaller"
        )
    try:
        return TrackingPlanFolder(tuple(texts.items()), load_tracking_plan(texts))
    except TrackingPlanError as error:
        mistakes = str(error).splitlines()
        number = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise TrackingPlanError("\n  ".join([f"{printable(folder)} has {number}:", *mistakes])) from None


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder.startswith(CLOUD) else str(Path(folder) / name)


def _read_text(path: str, remote: RemoteFiles) -> str:
    try:
        return read_file(path, remote).decode()
    except OSError as error:
        raise TrackingPlanError(
            f"{printable(path)} cannot be read: {printable(error.strerror or error)}"
        ) from None
    except UnicodeDecodeError:
        raise TrackingPlanError(f"{printable(path)} is not UTF-8") from None
