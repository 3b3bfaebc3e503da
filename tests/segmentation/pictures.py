"""Drawings of a profile's events and memberships, which are compared with the program's results.

A column is a second. A letter is a track call of that name at the first millisecond of the second. In the line below
the events, `=` is a second in which the profile is a member:

    A  B      an A, and three seconds later a B
    =====     a member from the A on, until five seconds later
"""

from itertools import groupby
from typing import Any

from segmentation.memberships import Change
from tests.events import START_MS, message
from tests.segmentation.folding import Fold, rules_of, spans_of

Span = tuple[int, int | None]


def at(ms: int, name: str = "A", message_id: str = "", **properties: Any) -> dict[str, Any]:
    """Returns a message so many milliseconds after the start; the properties of `$identify` are traits."""
    return message(ms / 1000, name, message_id=message_id or f"{name} {ms}", **properties)


def spans(
    when: Any, *messages: dict[str, Any], until: int, sections: dict[str, Any] | None = None
) -> list[Span]:
    """Returns the memberships up to an instant, in milliseconds after the start."""
    fold = folded(when, *messages, sections=sections)
    fold.advance(START_MS + until)
    return relative(fold.changes)


def folded(when: Any, *messages: dict[str, Any], sections: dict[str, Any] | None = None) -> Fold:
    """Returns a profile with one segment `s`, to which the messages were applied in order of arrival."""
    return Fold(rules_of({"version": 1, **(sections or {}), "segments": {"s": {"when": when}}})).apply_all(
        messages
    )


def relative(changes: list[Change]) -> list[Span]:
    return [
        (entered - START_MS, None if exited is None else exited - START_MS)
        for entered, exited in spans_of(changes, "s")
    ]


def assert_drawn(when: Any, *drawing: str, sections: dict[str, Any] | None = None, **properties: Any) -> None:
    """Asserts that the events of the first lines give the memberships of the last line.

    Args:
      when: the condition.
      drawing: lines of one width; trailing spaces can be left out.
      sections: the `measures` or `scores` that the condition refers to.
      properties: letter to the properties of its calls; `name` replaces the name of the call.
    """
    *lines, membership = drawing
    width = max(map(len, drawing))
    log = [
        at(
            column * 1000,
            **{"name": letter, **properties.get(letter, {})},
            message_id=f"{letter}{column}{line}",
        )
        for column in range(width)
        for line, letters in enumerate(lines)
        if (letter := letters.ljust(width)[column]) != " "
    ]
    got = spans(when, *log, until=width * 1000 - 1, sections=sections)
    drawn = "".join(
        "="
        if any(start <= column * 1000 and (end is None or column * 1000 < end) for start, end in got)
        else " "
        for column in range(width)
    )
    assert drawn.rstrip() == membership.rstrip(), "\n" + "\n".join([*lines, drawn, "instead of", membership])
    assert got == _runs(membership.ljust(width))  # exact to the millisecond


def _runs(membership: str) -> list[Span]:
    runs: list[Span] = []
    start = 0
    for letter, columns in groupby(membership):
        end = start + len(list(columns))
        if letter == "=":
            runs.append((start * 1000, end * 1000 if end < len(membership) else None))
        start = end
    return runs
