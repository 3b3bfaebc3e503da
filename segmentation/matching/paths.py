"""Dotted paths into a message, such as `properties.products[].sku`."""

from collections.abc import Callable
from typing import Any

Reach = Callable[[dict[str, Any]], Any]
ReachAll = Callable[[dict[str, Any]], list[Any]]


def walks_lists(path: str) -> bool:
    """Whether the path has a `name[]` part, and so may reach several elements."""
    return "[]" in path


def compile_reach(path: str) -> Reach:
    """Returns a function from a message to the value at a path without `[]`, None where it is missing."""
    keys = path.split(".")
    if len(keys) == 2:
        first, second = keys

        def reach_two(message: dict[str, Any]) -> Any:
            inner = message.get(first)
            return inner.get(second) if inner.__class__ is dict else None

        return reach_two

    def reach(message: dict[str, Any]) -> Any:
        value: Any = message
        for key in keys:
            if value.__class__ is not dict:
                return None
            value = value.get(key)
        return value

    return reach


def compile_reach_all(path: str) -> ReachAll:
    """Returns a function from a message to the values at a path, one for each element it walks.

    An element that lacks the rest of the path gives None, and so does a path that reaches no element (absent,
    empty or no list); a path without `[]` always gives one value.
    """
    if not walks_lists(path):
        reach_one = compile_reach(path)
        return lambda message: [reach_one(message)]
    parts = [(part.removesuffix("[]"), part.endswith("[]")) for part in path.split(".")]

    def reach_all(message: dict[str, Any]) -> list[Any]:
        values: list[Any] = [message]
        for key, walks in parts:
            reached = [value.get(key) if value.__class__ is dict else None for value in values]
            if walks:
                reached = [
                    element
                    for found in reached
                    for element in (found if found.__class__ is list and found else (None,))
                ]
            values = reached
        return values

    return reach_all
