"""Draws what happens to a profile and when it is a member, and holds the core against the drawing.

A column is a second. A letter is a track call of that name at the second's first millisecond; below the events
stands `=` for each second in which the profile is a member:

    A  B      an A, and three seconds later a B
    =====     a member from the A on, and no more five seconds later
"""

from itertools import groupby
from typing import Any

from segmentation.memberships import Change
from tests.events import START_MS, message
from tests.segmentation.folding import Fold, rules_of, spans_of

Span = tuple[int, int | None]


def at(ms: int, name: str = "A", message_id: str = "", **properties: Any) -> dict[str, Any]:
    """A message so many milliseconds after the start; `$identify` takes traits."""
    return message(ms / 1000, name, message_id=message_id or f"{name} {ms}", **properties)


def spans(
    when: Any, *messages: dict[str, Any], until: int, sections: dict[str, Any] | None = None
) -> list[Span]:
    """The memberships, in milliseconds after the start, up to an instant."""
    fold = folded(when, *messages, sections=sections)
    fold.advance(START_MS + until)
    return relative(fold.changes)


def folded(when: Any, *messages: dict[str, Any], sections: dict[str, Any] | None = None) -> Fold:
    """A profile with one segment `s`, which has taken in messages in order of arrival."""
    return Fold(rules_of({"version": 1, **(sections or {}), "segments": {"s": {"when": when}}})).apply_all(
        messages
    )


def relative(changes: list[Change]) -> list[Span]:
    return [
        (entered - START_MS, None if exited is None else exited - START_MS)
        for entered, exited in spans_of(changes, "s")
    ]


def assert_drawn(when: Any, *drawing: str, sections: dict[str, Any] | None = None, **properties: Any) -> None:
    """Asserts that lines of events, and below them the one of memberships, show what a condition does.

    Args:
      when: the condition.
      drawing: lines of one width, spaces at the end left out.
      sections: `measures` or `scores` that the condition names.
      properties: by letter, what those calls carry; `name` gives a call another name.
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
    assert got == _runs(membership.ljust(width))  # on the very millisecond


def _runs(membership: str) -> list[Span]:
    runs: list[Span] = []
    start = 0
    for letter, columns in groupby(membership):
        end = start + len(list(columns))
        if letter == "=":
            runs.append((start * 1000, end * 1000 if end < len(membership) else None))
        start = end
    return runs
