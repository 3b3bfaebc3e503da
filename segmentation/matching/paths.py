"""Compiles paths such as `properties.products[].sku` to functions that get the values from a message."""

from collections.abc import Callable
from typing import Any

PathGetter = Callable[[dict[str, Any]], Any]
"""Returns the value at a path of a message; None if it is missing."""
PathGetterAll = Callable[[dict[str, Any]], list[Any]]
"""Returns the values at a path of a message, one per element of its lists."""


def walks_lists(path: str) -> bool:
    """Whether the path has a `name[]` part, so that it can lead to several values."""
    return "[]" in path


def compile_getter(path: str) -> PathGetter:
    """Compiles a path without `[]`."""
    keys = path.split(".")
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
    parts = [(part.removesuffix("[]"), part.endswith("[]")) for part in path.split(".")]

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
