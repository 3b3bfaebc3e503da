"""Parses YAML 1.2, and gives the line of each value."""

import re
from math import inf, nan
from typing import Any

import yaml

from segmentation.documents.problems import MAX_PROBLEMS, Problem, Problems, format_value

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 600_000
"""More than a file of that size contains, unless aliases repeat values."""

Path = tuple[str | int, ...]
"""Keys and indexes from the document's root, such as ("segments", "cart_abandoner", "when")."""

_PLAIN = "plain"
_TAG_PREFIX = "tag:yaml.org,2002:"
_HARMLESS_TAGS = frozenset(_TAG_PREFIX + kind for kind in ("str", "map", "seq"))
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_NUMBER_CHARACTERS = 4000
"""`int` rejects longer texts."""
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), nan),
}


class TooManyValues(Problems):
    """A document has more than `MAX_VALUES` values, with those that aliases repeat."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Leaves plain scalars unresolved, because PyYAML would resolve them by YAML 1.1, where `on` is true."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)


class Document:
    """A YAML document's value, the line of each part, and the mistakes that were found while reading it."""

    def __init__(self, root: yaml.Node | None) -> None:
        self._root = root
        self._parts: dict[yaml.Node, dict[str | int, tuple[int, yaml.Node]]] = {}
        reader = _Reader()
        self.value = None if root is None else reader.read(root, ())
        self.problems = reader.problems
        self.values = reader.values
        """The number of values, with those that aliases repeat."""

    def line(self, path: Path) -> int:
        """Returns the line of the value at a path, or of its nearest parent if there is no such value."""
        way = self._way(path)
        return way[-1][0] if way else 1

    def value_at(self, path: Path) -> Any:
        """Returns the value at a path."""
        value: Any = self.value
        for part in path:
            value = value[part]
        return value

    def read_as(self, path: Path, key: str) -> None:
        """Replaces the last key of a path, which is misspelt, by another one, so that it hides no other mistake."""
        mapping = self.value_at(path[:-1])
        mapping[key] = mapping.pop(path[-1])
        parts = self._parts_of(self._way(path[:-1])[-1][1])
        parts[key] = parts[path[-1]]

    def _way(self, path: Path) -> list[tuple[int, yaml.Node]]:
        """Returns the line and the node of the root and of each part of a path that exists."""
        if self._root is None:
            return []
        way = [(_line(self._root), self._root)]
        for part in path:
            parts = self._parts_of(way[-1][1])
            if part not in parts:
                break
            way.append(parts[part])
        return way

    def _parts_of(self, node: yaml.Node) -> dict[str | int, tuple[int, yaml.Node]]:
        """Returns the line and the node of each key or index."""
        if node not in self._parts:
            parts: dict[str | int, tuple[int, yaml.Node]] = {}
            if isinstance(node, yaml.MappingNode):
                for key_node, value_node in node.value:
                    parts.setdefault(str(key_node.value), (_line(key_node), value_node))
            elif isinstance(node, yaml.SequenceNode):
                parts.update((index, (_line(item), item)) for index, item in enumerate(node.value))
            self._parts[node] = parts
        return self._parts[node]


def read_document(text: str) -> Document:
    """Returns the document of a YAML 1.2 text, in which `on` and `yes` are strings.

    Raises:
      Problems: the text is not YAML, or larger than a limit.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise Problems([Problem(1, (), f"the file is larger than {MAX_BYTES} bytes", "make it smaller")])
    _refuse_characters(text)
    try:
        _refuse_deep_nesting(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise Problems([_not_yaml(error)]) from None
    return Document(root)


def _refuse_characters(text: str) -> None:
    match = _NOT_YAML.search(text)
    if match is not None:
        found = f"the character U+{ord(match[0]):04X}, which YAML does not allow"
        fix = "leave it out, or write it as an escape in double quotes"
        raise Problems([Problem(text.count("\n", 0, match.start()) + 1, (), found, fix)])


def _refuse_deep_nesting(text: str) -> None:
    """Raises if the text nests too deeply, because PyYAML's composer would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise Problems([_too_deep(event)])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep(part: Any) -> Problem:
    return Problem(_line(part), (), f"nested more than {MAX_DEPTH} levels deep", "flatten it")


def _not_yaml(error: yaml.YAMLError) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(1, (), f"not YAML: {error}")
    found = f"not YAML: {error.problem}"
    if error.context and error.context_mark:
        found += f" ({error.context}, from line {error.context_mark.line + 1})"
    fix = 'indent by spaces, close what is open, and quote special characters, such as "*"'
    return Problem(error.problem_mark.line + 1, (), found, fix)


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.values = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            found = f"more than {MAX_VALUES} values, with those that aliases repeat"
            raise TooManyValues([*self.problems, Problem(_line(node), (), found, "use fewer aliases")])
        if len(path) > MAX_DEPTH:  # an alias can refer to a value that contains it
            raise Problems([*self.problems, _too_deep(node)])
        if node.tag != _PLAIN and node.tag not in _HARMLESS_TAGS:
            tag = node.tag.replace(_TAG_PREFIX, "!!")
            self._add(Problem(_line(node), path, f"the tag {tag}", "leave the tag out"))
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return _plain_scalar(node.value) if node.tag == _PLAIN else node.value

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(Problem(line, path, "a key that is not a text", "use a plain word as the key"))
                continue
            key = str(key_node.value)
            if key in mapping:
                found = f"the key {format_value(key)} occurs twice, first on line {lines[key]}"
                self._add(Problem(line, (*path, key), found, "keep one of them"))
                continue
            lines[key] = line
            mapping[key] = self.read(value_node, (*path, key))
        return mapping

    def _add(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) > MAX_PROBLEMS:
            raise Problems(self.problems)


def _line(part: Any) -> int:
    """Returns the line on which a node or an event begins."""
    return int(part.start_mark.line) + 1


def _plain_scalar(text: str) -> Any:
    """Resolves a plain scalar by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_NUMBER_CHARACTERS:
        return text
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
