"""A brute-force evaluator of the segment language: the oracle for the package `segmentation`.

It implements the sentences of the language one by one, stores every event, and computes each answer from the start. It
shares no code with the package that it tests, so a mistake must be made twice to stay unnoticed. It assumes that the
rules are valid.

The language does not distinguish a missing value from a null, so both are None here.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import re2

Mapping = dict[str, Any]
Identity = tuple[str, object]

MEASURES = ("count", "sum", "average", "min", "max", "distinct", "first", "last")
FORMS = ("all", "any", "not", "segment", "event", "measure", "sequence", "trait", "score")
COMPUTED = ("sum", "average")
"""The measures with a computed value, which are compared with a tolerance, as scores are."""
TESTS_OF_A_HASH = ("exists", "equals", "not_equals", "in", "not_in")
TESTS_THAT_NULL_PASSES = ("not_equals", "not_in")
UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def parse_instant(text: str) -> int:
    """Returns the Unix milliseconds of an RFC 3339 timestamp, truncated."""
    return (datetime.fromisoformat(text.upper()) - EPOCH) // timedelta(milliseconds=1)


@cache
def parse_duration(text: str) -> int:
    """Returns a duration such as `1h30m` in milliseconds."""
    return sum(int(number) * UNIT_MS[unit] for number, unit in re.findall(r"([0-9]+)([smhd])", text))


@dataclass(frozen=True, eq=False)
class Event:
    """An accepted message, with its time in milliseconds and its messageId as UTF-8 bytes."""

    message: Mapping
    timestamp: int
    message_id: bytes

    @property
    def name(self) -> str:
        """The event of a track call; `$page`, `$identify` and so on for any other."""
        kind = self.message["type"]
        return self.message["event"] if kind == "track" else f"${kind}"

    @property
    def traits(self) -> Mapping:
        """The traits of an identify call; empty for other calls."""
        return (self.message.get("traits") or {}) if self.message["type"] == "identify" else {}


def with_context_traits(message: Mapping) -> Mapping:
    """Returns the message; an identify without traits takes those of its context."""
    context = message.get("context") or {}
    if message["type"] == "identify" and not message.get("traits") and message.get("traits") != {}:
        traits = context.get("traits") if isinstance(context, dict) else None
        return {**message, "traits": traits} if isinstance(traits, dict) else message
    return message


def event_of(message: Mapping) -> Event:
    """Returns a raw message as an event."""
    return Event(
        with_context_traits(message),
        parse_instant(message["timestamp"]),
        message["messageId"].encode("utf-8", "surrogatepass"),
    )


# Values


@cache
def keys_of(path: str) -> tuple[tuple[str, bool], ...]:
    """Returns the keys of a path, each with whether it walks a list by `[]`.

    A key in quotes ends at the first quote that is not doubled; any other key ends before `.`, `[` or the end.
    """
    keys = []
    position = 0
    while position <= len(path):
        key = ""
        if path[position : position + 1] == '"':
            position += 1
            while path[position] != '"' or path[position : position + 2] == '""':
                key += path[position]
                position += 2 if path[position] == '"' else 1
            position += 1
        else:
            while position < len(path) and path[position] not in ".[":
                key += path[position]
                position += 1
        walks = path[position : position + 2] == "[]"
        keys.append((key, walks))
        position += 3 if walks else 1
    return tuple(keys)


def values_at(value: object, path: str) -> list[object]:
    """Returns the values at a dotted path: one, or one for each element of the lists that it walks by `[]`."""
    return values_under(value, keys_of(path))


def values_under(value: object, keys: tuple[tuple[str, bool], ...]) -> list[object]:
    """Returns the values under some keys.

    A path that reaches no element gives one None; so does an element that lacks the rest of the path.
    """
    if not keys:
        return [value]
    key, walks = keys[0]
    found = value.get(key) if isinstance(value, dict) else None
    if not walks:
        return values_under(found, keys[1:])
    if not isinstance(found, list) or not found:
        return [None]
    return [deeper for one in found for deeper in values_under(one, keys[1:])]


def is_scalar(value: object) -> bool:
    """Whether a value is a text, a number or a boolean."""
    return isinstance(value, str | int | float)


def identity(scalar: object) -> Identity:
    """Returns a key that only equal scalars share: 1 and 1.0 do, but "1" and true do not."""
    if isinstance(scalar, bool):
        return ("boolean", scalar)
    return ("text", scalar) if isinstance(scalar, str) else ("number", scalar)


def equal(value: object, operand: object) -> bool:
    """Whether two values are equal scalars."""
    return is_scalar(value) and is_scalar(operand) and identity(value) == identity(operand)


def is_number(value: object) -> bool:
    """Whether a value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numeric(value: Any) -> float | int | None:
    """Returns a value of a message as a number; None if it is not one."""
    number = float(value) if isinstance(value, str) and JSON_NUMBER.fullmatch(value) else value
    return number if is_number(number) and abs(number) <= 1e15 else None


def numbers_in(values: Iterable[object]) -> list[float | int]:
    """Returns the values of a message that are numbers, as numbers."""
    return [number for number in map(numeric, values) if number is not None]


def side(computed: float, operand: float) -> int:
    """Returns -1, 0 or 1: a sum, average or score is less than an operand, counts as equal, or is more."""
    if abs(computed - operand) <= 1e-9 * max(1, abs(operand)):
        return 0
    return -1 if computed < operand else 1


def is_long(value: object) -> bool:
    """Whether a profile stores the hash in place of the value."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass")) > 256


# Tests


def passes_on_message(tests: Mapping, value: object) -> bool:
    """Whether a value of an event, or a stored value that is not long, passes every test."""
    return all(_passes(test, operand, value, numeric(value)) for test, operand in tests.items())


def passes_on_trait(tests: Mapping, value: object) -> bool:
    """Whether the value of a trait passes every test."""
    return passes_on_message(tests, value) and (
        not is_long(value) or all(test in TESTS_OF_A_HASH for test in tests)
    )


def passes_on_measure(tests: Mapping, kind: str, value: object) -> bool:
    """Whether the value of a measure of that kind passes every test; a score is tested like a sum."""
    if value is None:
        return all(test == "exists" and operand is False for test, operand in tests.items())
    if kind in ("first", "last"):
        return passes_on_trait(tests, value)
    if kind in COMPUTED:
        return all(_passes_computed(test, operand, value) for test, operand in tests.items())
    return all(_passes(test, operand, value, value) for test, operand in tests.items())


def operands_of(operand: Any) -> list[float | int]:
    """Returns the numbers that a test compares with."""
    return [one for one in (operand if isinstance(operand, list) else [operand]) if is_number(one)]


def _passes_computed(test: str, operand: Any, value: Any) -> bool:
    """Whether a sum, average or score passes one test, taken for an operand that it counts as equal to."""
    for one in operands_of(operand):
        if side(value, one) == 0:
            return _passes(test, operand, one, one)
    return _passes(test, operand, value, value)


def _passes(test: str, operand: Any, value: object, number: Any) -> bool:
    """Whether a value, taken for that number in numeric tests, passes one test."""
    if test == "exists":
        return (value is not None) == operand
    if value is None:
        return test in TESTS_THAT_NULL_PASSES
    match test:
        case "equals":
            return equal(value, operand)
        case "not_equals":
            return not equal(value, operand)
        case "in":
            return any(equal(value, one) for one in operand)
        case "not_in":
            return not any(equal(value, one) for one in operand)
        case "at_least":
            return number is not None and number >= operand
        case "at_most":
            return number is not None and number <= operand
        case "more_than":
            return number is not None and number > operand
        case "less_than":
            return number is not None and number < operand
        case "contains":
            if isinstance(value, list):
                return any(equal(element, operand) for element in value)
            return isinstance(value, str) and isinstance(operand, str) and operand in value
        case "starts_with":
            return isinstance(value, str) and value.startswith(operand)
        case "ends_with":
            return isinstance(value, str) and value.endswith(operand)
        case "matches":
            return isinstance(value, str) and re2.search(operand, value) is not None
    raise ValueError(f"there is no test {test!r}")


# Rules


def form_of(condition: Mapping) -> str:
    """Returns the one form that a condition has."""
    (form,) = (form for form in FORMS if form in condition)
    return form


def tests_of(condition: Mapping) -> Mapping:
    """Returns the tests that stand beside `measure:`, `trait:`, `score:` or `of:`."""
    return {
        key: operand for key, operand in condition.items() if key not in ("measure", "trait", "score", "of")
    }


def measure_of(rule: Mapping) -> tuple[str, Mapping]:
    """Returns the kind and the mapping of the one measure; none means `count: {at_least: 1}`."""
    for kind in MEASURES:
        if kind in rule:
            return kind, rule[kind]
    return "count", {"at_least": 1}


def then_nots_of(sequence: Mapping) -> list[Mapping]:
    """Returns the entries of `then_not`, however they are written."""
    entries = sequence.get("then_not", [])
    return entries if isinstance(entries, list) else [entries]


def selects(rule: Mapping, event: Event) -> bool:
    """Whether `event:` and `where:` of a measure, step, then_not or earn entry select an event at all."""
    names = rule["event"]
    if names != "*" and event.name not in ([names] if isinstance(names, str) else names):
        return False
    for path, tests in rule.get("where", {}).items():
        tests = tests if isinstance(tests, dict) else {"equals": tests}
        if not any(passes_on_message(tests, value) for value in values_at(event.message, path)):
            return False
    return True


def flips(function: Callable[[int], int], start: int, end: int) -> Iterator[int]:
    """Yields the instants in (start, end] at which a monotone function of time has just changed."""
    while function(start) != function(end):
        before, after = start, end
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if function(middle) == function(start) else (before, middle)
        yield after
        start = after


class Reference:
    """The evaluation of one profile under some rules; each answer is computed from all of its events.

    Args:
      rules: the content of the rules file.
      messages: the profile's accepted messages in order of arrival; of one messageId the first counts.
    """

    def __init__(self, rules: dict, messages: list[dict]) -> None:
        self._rules = rules
        first: dict[str, Mapping] = {}
        for message in messages:
            first.setdefault(message["messageId"], message)
        self._events = sorted(
            map(event_of, first.values()), key=lambda event: (event.timestamp, event.message_id)
        )
        # What depends on no time is worked out once. Rules and events are distinguished by identity: they live
        # in self._rules and self._events.
        self._selected_by: dict[int, list[Event]] = {}
        self._carried_by: dict[tuple[int, str], set[Identity]] = {}
        self._points_of: dict[str, list[tuple[int, float]]] = {}

    def member(self, segment: str, t: int) -> bool:
        """M(segment, t), from S(t) alone: false before the first event."""
        return any(event.timestamp <= t for event in self._events) and self._holds(
            self._condition(segment), t, t
        )

    def score(self, name: str, t: int) -> float:
        """The score at t."""
        return self._score(name, t, t)

    def measure(self, name: str, t: int) -> object:
        """The value of a named measure at t, None if there is none (a long value is given whole)."""
        return self._measure(self._rules["measures"][name], t, t)

    def trait(self, path: str, t: int) -> object:
        """The value of a trait at t, None if there is none (a long value is given whole)."""
        (key, _), *rest = keys_of(path)
        carriers = [event for event in self._events if event.timestamp <= t and key in event.traits]
        if not carriers:
            return None
        value = max(carriers, key=lambda event: (event.timestamp, event.message_id)).traits[key]
        return values_under(value, tuple(rest))[0]

    def intervals(self, segment: str, as_of: int) -> list[tuple[int, int | None]]:
        """The memberships up to as_of, each as [entered, exited); exited is None if M(segment, as_of)."""
        firsts = {event.timestamp for event in self._events[:1]}
        found: list[tuple[int, int | None]] = []
        inside = False
        for t in sorted(firsts | self._instants(self._condition(segment), as_of)):
            if t > as_of or self.member(segment, t) == inside:
                continue
            if inside:
                found[-1] = (found[-1][0], t)
            else:
                found.append((t, None))
            inside = not inside
        return found

    def expires_at(self, segment: str, t: int) -> int | None:
        """The first instant after t at which a membership has ended if no event comes after t; None if never.

        Time ends with the year 9999, the last that a timestamp can have.
        """
        if not self.member(segment, t):
            return None
        condition = self._condition(segment)
        later = sorted(instant for instant in self._instants(condition, t) if t < instant <= LAST_INSTANT)
        return next((instant for instant in later if not self._holds(condition, t, instant)), None)

    # In all of the following, events have happened up to `known`, and the time is `now`, which is no earlier.

    def _condition(self, segment: str) -> Mapping:
        return self._rules["segments"][segment]["when"]

    def _holds(self, condition: Mapping, known: int, now: int) -> bool:
        match form_of(condition):
            case "all":
                return all(self._holds(inner, known, now) for inner in condition["all"])
            case "any":
                return any(self._holds(inner, known, now) for inner in condition["any"])
            case "not":
                return not self._holds(condition["not"], known, now)
            case "segment":
                return self._holds(self._condition(condition["segment"]), known, now)
            case "event":
                kind, measure = measure_of(condition)
                return passes_on_measure(tests_of(measure), kind, self._measure(condition, known, now))
            case "measure":
                rule = self._rules["measures"][condition["measure"]]
                return passes_on_measure(
                    tests_of(condition), measure_of(rule)[0], self._measure(rule, known, now)
                )
            case "sequence":
                return self._sequence_holds(condition, known, now)
            case "trait":
                return passes_on_trait(tests_of(condition), self.trait(condition["trait"], known))
            case "score":
                return passes_on_measure(
                    tests_of(condition), "sum", self._score(condition["score"], known, now)
                )
        raise AssertionError

    def _selected(self, rule: Mapping, known: int) -> list[Event]:
        """The known events that a rule selects, in order."""
        if id(rule) not in self._selected_by:
            self._selected_by[id(rule)] = [event for event in self._events if selects(rule, event)]
        return [event for event in self._selected_by[id(rule)] if event.timestamp <= known]

    def _within(self, rule: Mapping, within: str | None, known: int, now: int) -> list[Event]:
        """The known events that a rule selects with now - within < timestamp <= now."""
        events = self._selected(rule, known)
        return events if within is None else [e for e in events if now - parse_duration(within) < e.timestamp]

    def _measure(self, rule: Mapping, known: int, now: int) -> object:
        events = self._within(rule, rule.get("within"), known, now)
        kind, measure = measure_of(rule)
        if kind == "count":
            return len(events)
        found = [value for event in events for value in values_at(event.message, measure["of"])]
        numbers = numbers_in(found)
        scalars = [value for value in found if is_scalar(value)]
        match kind:
            case "sum":
                return math.fsum(numbers)
            case "average":
                return math.fsum(numbers) / len(numbers) if numbers else None
            case "min":
                return min(numbers, default=None)
            case "max":
                return max(numbers, default=None)
            case "distinct":
                return len(set(map(identity, scalars)))
            case "first":
                return scalars[0] if scalars else None
            case "last":
                return scalars[-1] if scalars else None
        raise AssertionError

    def _points(self, name: str) -> list[tuple[int, float]]:
        """The timestamp and points of each event that earns some, once for each entry that it matches."""
        if name not in self._points_of:
            earned: list[tuple[int, float]] = []
            for entry in self._rules["scores"][name]["earn"]:
                points = entry["points"]
                for event in self._events:
                    if not selects(entry, event):
                        continue
                    if isinstance(points, dict):
                        numbers = numbers_in(values_at(event.message, points["of"]))
                        earned.append((event.timestamp, math.fsum(numbers) * points.get("times", 1)))
                    else:
                        earned.append((event.timestamp, points))
            self._points_of[name] = earned
        return self._points_of[name]

    def _score(self, name: str, known: int, now: int) -> float:
        half_life = self._rules["scores"][name].get("half_life")
        points = [(timestamp, points) for timestamp, points in self._points(name) if timestamp <= known]
        if half_life is None:
            return math.fsum(points for _, points in points)
        half_life_ms = parse_duration(half_life)
        return math.fsum(points * 2.0 ** (-(now - timestamp) / half_life_ms) for timestamp, points in points)

    def _sequence_holds(self, sequence: Mapping, known: int, now: int) -> bool:
        same = sequence.get("same")
        steps = sequence["sequence"]
        values: Iterable[Identity | None] = [None]
        if same is not None:
            path = steps[0].get("same", same)
            values = set().union(*(self._carried(event, path) for event in self._selected(steps[0], known)))
        for value in values:
            last_steps: list[Event] = []
            for number, step in enumerate(steps):
                candidates = self._within(step, sequence["within"], known, now)
                if value is not None:
                    path = step.get("same", same)
                    candidates = [event for event in candidates if value in self._carried(event, path)]
                if number > 0:
                    gap = parse_duration(step["max_gap"]) if "max_gap" in step else math.inf
                    candidates = [
                        event
                        for event in candidates
                        if any(0 < event.timestamp - before.timestamp <= gap for before in last_steps)
                    ]
                last_steps = candidates
            for last in last_steps:
                if all(
                    self._did_not(entry, entry.get("same", same), value, last.timestamp, known, now)
                    for entry in then_nots_of(sequence)
                ):
                    return True
        return False

    def _did_not(
        self, entry: Mapping, path: str | None, value: Identity | None, last: int, known: int, now: int
    ) -> bool:
        """Whether an entry of then_not holds for an instance with that value and its last step at `last`."""
        until = last + parse_duration(entry["for"] if "for" in entry else entry["during"])
        if now < until:
            return False
        end = now if "for" in entry else until
        matches = [event for event in self._selected(entry, known) if last < event.timestamp <= end]
        return not any(path is None or value in self._carried(event, path) for event in matches)

    def _carried(self, event: Event, path: str) -> set[Identity]:
        """The scalar values of an event at a path."""
        key = (id(event), path)
        if key not in self._carried_by:
            self._carried_by[key] = {identity(v) for v in values_at(event.message, path) if is_scalar(v)}
        return self._carried_by[key]

    def _instants(self, condition: Mapping, known: int) -> set[int]:
        """Every instant at which a condition can change.

        Time enters the language in three comparisons only, all with the timestamp of an event: that it has
        happened (timestamp <= t), that it is in a window (t < timestamp + within), and that a wait is over
        (t >= timestamp + D). Each changes at that very millisecond; max_gap compares events with each
        other and moves nothing. What is left is the decay of scores.
        """
        match form_of(condition):
            case "all" | "any" as form:
                return set().union(*(self._instants(inner, known) for inner in condition[form]))
            case "not":
                return self._instants(condition["not"], known)
            case "segment":
                return self._instants(self._condition(condition["segment"]), known)
            case "event":
                return self._edges(condition, condition.get("within"), known)
            case "measure":
                rule = self._rules["measures"][condition["measure"]]
                return self._edges(rule, rule.get("within"), known)
            case "sequence":
                instants: set[int] = set()
                for step in condition["sequence"]:
                    instants |= self._edges(step, condition["within"], known)
                for entry in then_nots_of(condition):
                    instants |= self._edges(entry, None, known)
                    instants |= self._edges(
                        condition["sequence"][-1], entry.get("for", entry.get("during")), known
                    )
                return instants
            case "trait":
                return {
                    event.timestamp for event in self._events if event.timestamp <= known and event.traits
                }
            case "score":
                return self._crossings(condition, known)
        raise AssertionError

    def _edges(self, rule: Mapping, duration: str | None, known: int) -> set[int]:
        """The timestamps of the events that a rule selects, and these plus a duration."""
        starts = {event.timestamp for event in self._selected(rule, known)}
        return starts if duration is None else starts | {start + parse_duration(duration) for start in starts}

    def _crossings(self, condition: Mapping, known: int) -> set[int]:
        """The timestamps of the events that earn points, and the instants at which decay changes a test.

        All points of a score decay by one factor, so between events it moves towards 0 and never turns back.
        """
        name = condition["score"]
        starts = sorted({timestamp for timestamp, _ in self._points(name) if timestamp <= known})
        instants = set(starts)
        half_life = self._rules["scores"][name].get("half_life")
        if half_life is None:
            return instants
        operands = {one for operand in tests_of(condition).values() for one in operands_of(operand)}
        for number, start in enumerate(starts):
            worn_off = start + 2_000 * parse_duration(half_life)  # 2 ** -2000 is 0 in doubles
            end = starts[number + 1] - 1 if number + 1 < len(starts) else worn_off
            for operand in operands:

                def side_at(t: int, start: int = start, operand: float = operand) -> int:
                    return side(self._score(name, start, t), operand)

                instants.update(flips(side_at, start, end))
        return instants
