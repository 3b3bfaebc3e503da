"""Which ids of messages are usable.

Programs write a placeholder, such as `undefined`, if they have no id. A placeholder is ignored, because it would make
one profile of many people.
"""


class IgnoredIds(frozenset[str]):
    """Ids that stand for no id, in lower case. Ids of white space only are always ignored."""

    def ignores(self, identifier: str) -> bool:
        """Whether an id stands for no id, whatever its case."""
        return identifier.lower() in self or identifier.isspace()


def parse_ignored_ids(text: str) -> IgnoredIds:
    """Returns the ids in a text, one per line; blank lines and lines that begin with `#` are skipped."""
    lines = (line.strip() for line in text.splitlines())
    return IgnoredIds(line.lower() for line in lines if line and not line.startswith("#"))


DEFAULT_IGNORED_IDS = IgnoredIds(
    (
        "undefined",
        "null",
        "none",
        "nil",
        "nan",
        "true",
        "false",
        "0",
        "-1",
        "guest",
        "anonymous",
        "unknown",
        "n/a",
        "[object object]",
        "[]",
        "{}",
        "not_authenticated",
        "00000000-0000-0000-0000-000000000000",
    )
)
