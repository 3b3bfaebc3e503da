"""Reads files of definitions, on this machine or on gs://."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.rules.problems import Problems

CLOUD = "gs://"


class DefinitionsError(ValueError):
    """The file cannot be read, or its rules are wrong; the message has every mistake on a line of its own."""


class Definitions(NamedTuple):
    """A file's text, and what it means."""

    text: str
    rules: Rules


def read_definitions(path: str) -> Definitions:
    """Returns the definitions in a file.

    Raises:
      DefinitionsError: the file cannot be read, or its rules are wrong.
    """
    try:
        text = read_file(path).decode()
    except OSError as error:
        raise DefinitionsError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DefinitionsError(f"{path} is not UTF-8") from None
    try:
        return Definitions(text, load_rules(text))
    except Problems as problems:
        number = len(problems.problems)
        heading = f"{path} has {number} mistake{'s' if number > 1 else ''}:"
        lines = [heading, *(f"  {problem}" for problem in problems.problems)]
        raise DefinitionsError("\n".join(lines)) from None


def read_file(path: str) -> bytes:
    """Returns what a file holds.

    Raises:
      OSError: it cannot be read.
    """
    if not path.startswith(CLOUD):
        return Path(path).read_bytes()
    with _cloud_errors_as_os_errors():
        from apache_beam.io.filesystems import FileSystems

        with FileSystems.open(path) as file:
            return file.read()


def list_folder(folder: str) -> list[str]:
    """Returns the names of the files that stand in a folder itself, in no order.

    Raises:
      OSError: there is no such folder, or it cannot be read.
    """
    if not folder.startswith(CLOUD):
        return [entry.name for entry in Path(folder).iterdir() if entry.is_file()]
    prefix = folder.rstrip("/") + "/"
    with _cloud_errors_as_os_errors():
        from apache_beam.io.filesystems import FileSystems

        found = [file.path for match in FileSystems.match([prefix + "*"]) for file in match.metadata_list]
    return [name for path in found if "/" not in (name := path.removeprefix(prefix)) and name]


@contextlib.contextmanager
def _cloud_errors_as_os_errors() -> Iterator[None]:
    # These take seconds to import, and a local file needs none of them.
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise OSError(str(error)) from None
