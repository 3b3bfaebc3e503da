"""Reads a file of definitions."""

from typing import NamedTuple

from segmentation.documents.problems import Problems
from segmentation.printable import printable
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from stores.files import LOCAL_ONLY, RemoteFiles, read_file


class DefinitionsError(ValueError):
    """The file cannot be read, or its definitions are invalid. The message lists every mistake, one per line."""


class LoadedDefinitions(NamedTuple):
    """The text of a file of definitions, and the rules compiled from it."""

    text: str
    rules: Rules


def read_definitions(path: str, remote: RemoteFiles = LOCAL_ONLY) -> LoadedDefinitions:
    """Reads and compiles a file of definitions.

    Raises:
      DefinitionsError: the file cannot be read, or its definitions are invalid.
    """
    try:
        text = read_file(path, remote).decode()
    except OSError as error:
        raise DefinitionsError(
            f"{printable(path)} cannot be read: {printable(error.strerror or error)}"
        ) from None
    except UnicodeDecodeError:
        raise DefinitionsError(f"{printable(path)} is not UTF-8") from None
    try:
        return LoadedDefinitions(text, load_rules(text))
    except Problems as problems:
        number = len(problems.problems)
        heading = f"{printable(path)} has {number} mistake{'s' if number > 1 else ''}:"
        lines = [heading, *(f"  {problem}" for problem in problems.problems)]
        raise DefinitionsError("\n".join(lines)) from None
