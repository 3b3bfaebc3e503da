"""Makes texts from outside safe to show: in a terminal, in a log line, in a table.

An id, a name or a file's name can contain characters that a terminal obeys or hides, such as escape sequences, line
ends and marks that reverse the order of writing. They are written as escapes, as Python's `repr` writes them.
"""


def printable(value: object) -> str:
    """Returns a value as one line of visible characters; each other character as an escape, such as `\\x1b`."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_printable_character, text))


def printable_lines(text: str) -> str:
    """Returns a text as `printable` does, but with its line ends; a tab becomes four spaces."""
    return "\n".join(map(printable, text.replace("\t", "    ").split("\n")))


def _printable_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
