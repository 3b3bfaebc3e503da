"""YAML 1.2 text to plain values, with the line on which each stands."""

import re
from typing import Any

import yaml

from segmentation.rules.problems import Problem, Problems

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 1_000_000

Path = tuple[str | int, ...]
"""Keys and indexes from the document's root, such as ("segments", "cart_abandoner", "when")."""

_PLAIN = "plain"
_TEXT = "tag:yaml.org,2002:str"
_MAX_NUMBER_CHARACTERS = 400
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Leaves plain scalars unresolved, for PyYAML would resolve them by YAML 1.1 (where `on` is true)."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)


class Document:
    """A YAML document's value, and the line of each part of it."""

    def __init__(self, value: Any, lines: dict[Path, int]) -> None:
        self.value = value
        self._lines = lines

    def line(self, path: Path) -> int:
        """Returns the line on which the value at a path, or else its nearest parent, stands."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def read_document(text: str) -> Document:
    """Returns the value of a YAML 1.2 text (`on` and `yes` are words).

    Raises:
      Problems: no YAML, duplicate keys, or larger than a limit.
    """
    if len(text.encode()) > MAX_BYTES:
        raise Problems([Problem(1, (), f"the file is larger than {MAX_BYTES} bytes", "split it")])
    try:
        _refuse_deep_nesting(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        found = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise Problems([Problem(1 if mark is None else mark.line + 1, (), f"not YAML: {found}")]) from None
    reader = _Reader()
    value = None if root is None else reader.read(root, ())
    if reader.problems:
        raise Problems(reader.problems)
    return Document(value, reader.lines)


def _refuse_deep_nesting(text: str) -> None:
    """Raises where the text nests too deeply, for PyYAML's composer would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1
                raise Problems([Problem(line, (), f"nested more than {MAX_DEPTH} levels deep", "flatten it")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > MAX_DEPTH or self._nodes > MAX_NODES:  # aliases multiply what they name
            self._refuse(node, (), f"more than {MAX_NODES} values or {MAX_DEPTH} levels", "use fewer aliases")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._read_scalar(node, path)

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a key that is no text", "use a plain word as the key")
                continue
            key = str(key_node.value)
            inner = (*path, key)
            if key in mapping:
                self._refuse(key_node, inner, f"the key {key!r} stands twice", "keep one of them")
                continue
            self.lines[inner] = key_node.start_mark.line + 1
            mapping[key] = self.read(value_node, inner)
        return mapping

    def _read_scalar(self, node: yaml.Node, path: Path) -> Any:
        if node.tag == _PLAIN:
            return _plain_scalar(node.value)
        if node.tag != _TEXT:
            self._refuse(node, path, f"the tag {node.tag}", "leave the tag out")
        return node.value

    def _refuse(self, node: yaml.Node, path: Path, found: str, mend: str) -> None:
        if len(self.problems) < 100:
            self.problems.append(Problem(node.start_mark.line + 1, path, found, mend))


def _plain_scalar(text: str) -> Any:
    """Resolves a plain scalar by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_NUMBER_CHARACTERS:
        return text
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
