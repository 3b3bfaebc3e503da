"""Parses paths such as `properties.products[].sku`, and compiles them to functions that get the values from a message.

A path is a list of keys, separated by dots; `[]` after a key walks every element of a list. A key in double quotes may
contain any character; two quotes in it stand for one: `properties."utm.source"`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

PathGetter = Callable[[dict[str, Any]], Any]
"""Returns the value at a path of a message; None if it is missing."""
PathGetterAll = Callable[[dict[str, Any]], list[Any]]
"""Returns the values at a path of a message, one per element of its lists."""

_PART = re.compile(r'(?:"((?:[^"]|"")*)"|([^."\[\]]+))(\[\])?(?:\.(?!\Z)|\Z)')
_NEEDS_QUOTES = re.compile(r'[."\[\]]|\A\Z')


class PathPart(NamedTuple):
    """A key, and whether the path walks the elements of the list under it."""

    key: str
    walks_list: bool = False


def parse_path(path: str) -> list[PathPart]:
    """Returns the parts of a path.

    Raises:
      ValueError: a key is missing, a quote has no partner, or a key without quotes contains a bracket.
    """
    parts: list[PathPart] = []
    end = 0
    while end < len(path) or not parts:
        match = _PART.match(path, end)
        if match is None:
            raise ValueError(f"no path: the key at character {end + 1} is malformed")
        quoted, plain, brackets = match.groups()
        parts.append(PathPart(plain if quoted is None else quoted.replace('""', '"'), brackets is not None))
        end = match.end()
    return parts


def join_path(parts: Iterable[PathPart]) -> str:
    """Returns the text of a path; only a key that is empty or contains `.`, `[`, `]` or `"` has quotes."""
    return ".".join(
        (quoted_key(key) if _NEEDS_QUOTES.search(key) else key) + ("[]" if walks_list else "")
        for key, walks_list in parts
    )


def canonical_path(path: str) -> str:
    """Returns the one text of all paths that mean the same: without quotes that a key does not need.

    Raises:
      ValueError: a path with quotes is malformed.
    """
    return join_path(parse_path(path)) if '"' in path else path


def quoted_key(key: str) -> str:
    """Returns a key in quotes, as a part of a path."""
    return '"' + key.replace('"', '""') + '"'


def walks_lists(path: str) -> bool:
    """Whether the path has a `name[]` part, so that it can lead to several values."""
    return "[]" in path and any(part.walks_list for part in parse_path(path))


def compile_getter(path: str) -> PathGetter:
    """Compiles a path without `[]`."""
    keys = [part.key for part in parse_path(path)]
    if len(keys) == 2:
        first, second = keys

        def get_two(message: dict[str, Any]) -> Any:
            inner = message.get(first)
            return inner.get(second) if inner.__class__ is dict else None

        return get_two

    def get(message: dict[str, Any]) -> Any:
        value: Any = message
        for key in keys:
            if value.__class__ is not dict:
                return None
            value = value.get(key)
        return value

    return get


def compile_getter_all(path: str) -> PathGetterAll:
    """Compiles a path with or without `[]`.

    An element without the rest of the path gives None. If a list is absent or empty, or its value is not a list,
    the value is None. A path without `[]` always gives one value.
    """
    if not walks_lists(path):
        get_one = compile_getter(path)
        return lambda message: [get_one(message)]
    parts = [(part.key, part.walks_list) for part in parse_path(path)]

    def get_all(message: dict[str, Any]) -> list[Any]:
        values: list[Any] = [message]
        for key, walks in parts:
            found = [value.get(key) if value.__class__ is dict else None for value in values]
            if walks:
                found = [
                    element
                    for value in found
                    for element in (value if value.__class__ is list and value else (None,))
                ]
            values = found
        return values

    return get_all
