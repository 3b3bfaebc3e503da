"""The examples in a Markdown file: blocks of YAML, and what each does with events or what is said of it.

A line of an `events` block is an instant, optionally an event with its properties (of $identify: its traits;
keys that begin with `context.` lead into the context, and a key with a dot is in double quotes), and after an arrow
what happens to memberships:

    12:00:00 Product Viewed product_id=A    → entered until 12:10:00
    12:10:00                                → exited

An instant without a date is on the day of the line before it, at first on 2026-03-02. `until` names the
instant at which the membership would end if nothing more happened; without it, it would never. `stays until`
says that this instant has moved. In a file of several segments, a segment's name stands before what happens.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from segmentation.events import Event, parse_event
from segmentation.matching.paths import parse_path
from segmentation.profile.replay import ProfileFold
from segmentation.rules.compiled import Rules
from segmentation.rules.load import load_rules
from segmentation.timestamps import format_timestamp, parse_timestamp

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"((?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(?:\.\d{3})?)(?: +([^→ ][^→]*?))? *(?:→ *(.+))?")
_KEY = re.compile(r' +((?:[\w.$]+|"[^"]*")+)=')
_FIRST_DAY = "2026-03-02"
_SEGMENT = "example"


class Example(NamedTuple):
    """A YAML block, and the blocks of events or messages that follow it."""

    line: int
    yaml: str
    events: list[str]
    report: str | None

    def rules_text(self) -> str:
        """Returns the file of definitions: the block itself, or one whose only condition the block is."""
        if re.search(r"^version:", self.yaml, re.MULTILINE) or self.report is not None:
            return self.yaml
        condition = "".join(f"      {line}\n" for line in self.yaml.splitlines())
        return f"version: 1\nsegments:\n  {_SEGMENT}:\n    when:\n{condition}"


def read_examples(markdown: str) -> list[Example]:
    """Returns the examples of a Markdown file."""
    examples: list[Example] = []
    for match in _BLOCK.finditer(markdown):
        kind, content = match.groups()
        if kind == "yaml":
            examples.append(Example(markdown.count("\n", 0, match.start()) + 1, content, [], None))
        elif kind == "events":
            examples[-1].events.append(content)
        elif kind == "report":
            examples[-1] = examples[-1]._replace(report=content)
    return examples


class Line(NamedTuple):
    """A line of an `events` block."""

    text: str
    t_ms: int
    event: Event | None
    outcomes: list[str]


def happened(example: Example, block: str) -> tuple[str, str]:
    """Returns an `events` block as it stands, and as it would stand if it said what happens."""
    rules = load_rules(example.rules_text())
    replay = ProfileFold("shopper", rules)
    lines = list(_lines(block))
    found = []
    profile_time_ms = 0
    for line in lines:
        profile_time_ms = max(profile_time_ms, line.t_ms)
        found.append(sorted(_outcomes(replay, rules, line, profile_time_ms)))
    written = [(line.text, sorted(line.outcomes)) for line in lines]
    return _shown(written), _shown(
        [(line.text, outcomes) for line, outcomes in zip(lines, found, strict=True)]
    )


def _shown(lines: list[tuple[str, list[str]]]) -> str:
    return "\n".join(f"{text} → {', '.join(outcomes)}" if outcomes else text for text, outcomes in lines)


def _lines(block: str) -> Iterator[Line]:
    day = _FIRST_DAY
    for number, text in enumerate(filter(None, block.splitlines())):
        match = _LINE.fullmatch(text)
        assert match is not None, f"not a line of events: {text}"
        instant, event, outcomes = match.groups()
        day = instant[:10] if " " in instant else day
        timestamp = _timestamp(instant, day)
        shown = f"{instant} {event or ''}".rstrip()
        yield Line(
            shown,
            parse_timestamp(timestamp),
            None if event is None else _event(event, f"m{number}", timestamp),
            [_with_day(outcome, day) for outcome in re.split(r", ", outcomes)] if outcomes else [],
        )


def _timestamp(instant: str, day: str) -> str:
    date, time = instant.split(" ") if " " in instant else (day, instant)
    return f"{date}T{time}Z"


def _with_day(outcome: str, day: str) -> str:
    """Returns an outcome with its instant, if any, as a timestamp."""
    before, until, instant = outcome.strip().partition(" until ")
    if not until:
        return before
    return f"{before} until {format_timestamp(parse_timestamp(_timestamp(instant, day)))}"


def _event(text: str, message_id: str, timestamp: str) -> Event:
    begins = [match.start() for match in _KEY.finditer(text)]
    name = text[: begins[0]] if begins else text
    message: dict[str, Any] = {"type": "track", "event": name}
    if name.startswith("$"):
        message = {"type": name[1:]}
    message |= {"messageId": message_id, "userId": "shopper", "timestamp": timestamp}
    for key, value in _values(text[len(name) :]):
        _put(message, _path(name, key), value)
    return parse_event(orjson.dumps(message))


def _values(text: str) -> Iterator[tuple[str, Any]]:
    while text.strip():
        match = _KEY.match(text)
        assert match is not None, f"expected key=value: {text}"
        rest = text[match.end() :]
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except json.JSONDecodeError:
            value = rest.split(" ")[0]
            end = len(value)
        yield match[1], value
        text = rest[end:]


def _path(name: str, key: str) -> list[str]:
    keys = [part.key for part in parse_path(key)]
    if keys[0] in ("messageId", "context"):
        return keys
    return ["traits" if name == "$identify" else "properties", *keys]


def _put(message: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        message = message.setdefault(part, {})
    message[path[-1]] = value


def _outcomes(replay: ProfileFold, rules: Rules, line: Line, profile_time_ms: int) -> Iterator[str]:
    known = len(replay.changes)
    before = _expiries(replay)
    replay.fold([] if line.event is None else [line.event], profile_time_ms)
    changed = set()
    for change in replay.changes[known:]:
        changed.add(change.segment)
        at = (
            "" if change.event_time_ms == profile_time_ms else f" at {format_timestamp(change.event_time_ms)}"
        )
        yield _named(rules, change.segment, f"{change.change}{at}{_until(change.expires_at_ms)}")
    for segment, expires_at_ms in _expiries(replay).items():
        if segment not in changed and before.get(segment) != expires_at_ms:
            yield _named(rules, segment, f"stays{_until(expires_at_ms)}")


def _expiries(replay: ProfileFold) -> dict[str, int | None]:
    segments = replay.snapshot.segments if replay.snapshot else {}
    return {name: membership.expires_at_ms for name, membership in segments.items()}


def _until(expires_at_ms: int | None) -> str:
    return "" if expires_at_ms is None else f" until {format_timestamp(expires_at_ms)}"


def _named(rules: Rules, segment: str, outcome: str) -> str:
    return outcome if len(rules.segments) == 1 else f"{segment} {outcome}"
