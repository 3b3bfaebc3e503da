"""The cache of Beam's inspection returns what Beam finds."""

import functools
from typing import Any

import pytest
from apache_beam.transforms import core


class Step:
    def process(self, element: int, window: str = "w", *, only: int = 1) -> int:
        return element


def plain(element: int, times: int = 2) -> int:
    return element


def test_is_used_in_tests_with_beam() -> None:
    assert core.get_function_args_defaults.__module__ == "tests.beam_inspection"


@pytest.mark.parametrize(
    "function, args, defaults",
    [
        (Step().process, ["element", "window"], ["w"]),
        (Step.process, ["self", "element", "window"], ["w"]),
        (plain, ["element", "times"], [2]),
        (functools.partial(plain, times=3), ["element"], []),
    ],
    ids=["bound", "unbound", "function", "partial"],
)
def test_a_caller_cannot_change_it(function: Any, args: list[str], defaults: list[Any]) -> None:
    for _ in range(2):
        found = core.get_function_args_defaults(function)
        assert found == (args, defaults)
        found[0].clear()
        found[1].clear()
