"""A file of definitions to compiled rules."""

from segmentation.documents.document import read_document
from segmentation.documents.problems import Problems
from segmentation.rules.checks import check_references
from segmentation.rules.compile import compile_rules
from segmentation.rules.compiled import Rules
from segmentation.rules.structure import check_structure


def load_rules(text: str) -> Rules:
    """Returns the rules in a YAML text.

    Raises:
      Problems: every mistake in the text, each with its line, what was found and what would be right.
    """
    document = read_document(text)
    definitions, problems = check_structure(document)
    problems += check_references(document)
    if problems or definitions is None:
        raise Problems(problems)
    return compile_rules(definitions)
