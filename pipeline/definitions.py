"""Reads a file of definitions, on this machine or on gs://."""

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
        text = _read(path).decode()
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


def _read(path: str) -> bytes:
    if not path.startswith(CLOUD):
        return Path(path).read_bytes()
    # These take seconds to import, and a local file needs none of them.
    from apache_beam.io.filesystems import FileSystems
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        with FileSystems.open(path) as file:
            return file.read()
    except (GoogleAPIError, GoogleAuthError) as error:
        raise OSError(str(error)) from None
