"""Reads a file of definitions."""

from typing import NamedTuple

from segmentation.documents.problems import Problems
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from stores.files import LOCAL_ONLY, RemoteFiles, read_file


class DefinitionsError(ValueError):
    """The file cannot be read, or its rules are wrong; the message has every mistake on a line of its own."""


class Definitions(NamedTuple):
    """A file's text, and what it means."""

    text: str
    rules: Rules


def read_definitions(path: str, remote: RemoteFiles = LOCAL_ONLY) -> Definitions:
    """Returns the definitions in a file.

    Raises:
      DefinitionsError: the file cannot be read, or its rules are wrong.
    """
    try:
        text = read_file(path, remote).decode()
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
