"""Selects the events of a condition by name, by `where` tests and by window."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from segmentation.matching.paths import compile_getter, compile_getter_all, walks_lists
from segmentation.matching.predicates import compile_tests

Matches = Callable[[dict[str, Any]], bool]


class Selection:
    """The events of some names that pass some tests, in the window (t - window_ms, t]."""

    __slots__ = ("matches", "names", "window_ms")

    def __init__(self, names: Iterable[str], where: Mapping[str, Mapping[str, Any]], window_ms: int) -> None:
        self.names = frozenset(names)
        """Event names; `*` stands for every event."""
        self.matches = compile_where(where)
        """Whether an event of one of these names passes the tests."""
        self.window_ms = window_ms


def compile_where(where: Mapping[str, Mapping[str, Any]]) -> Matches:
    """Returns a function that tests whether a message passes the tests of every path.

    A path with `[]` passes if one element passes. If it leads to no element, its value is missing.
    """
    entries = [_compile_entry(path, tests) for path, tests in where.items()]
    if not entries:
        return lambda message: True
    if len(entries) == 1:
        return entries[0]
    return lambda message: all(entry(message) for entry in entries)


def _compile_entry(path: str, tests: Mapping[str, Any]) -> Matches:
    passes = compile_tests(tests)
    if not walks_lists(path):
        get = compile_getter(path)
        return lambda message: passes(get(message))
    get_all = compile_getter_all(path)
    return lambda message: any(passes(value) for value in get_all(message))
