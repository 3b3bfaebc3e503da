"""Loads compiled rules from a file of definitions."""

from segmentation.documents.document import read_document
from segmentation.documents.problems import Problems
from segmentation.rules.checks import check_references
from segmentation.rules.compile import compile_rules
from segmentation.rules.compiled import Rules
from segmentation.rules.structure import check_structure


def load_rules(text: str) -> Rules:
    """Returns the compiled rules of a YAML text.

    Raises:
      Problems: the text has mistakes. Lists all of them, each with its line, what was found and the fix.
    """
    document = read_document(text)
    definitions, problems = check_structure(document)
    problems += check_references(document)
    if problems or definitions is None:
        raise Problems(problems)
    return compile_rules(definitions)
