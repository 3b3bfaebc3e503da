"""Bounds the work of checking an event against a tracking plan, by what the plan's schemas can ask for.

The check of an event applies schemas to its values. Several schemas can apply to one value: those of `allOf`, `anyOf`
and `$ref`, and those that the schemas of its parent have for it. If schemas refer to themselves, their number can
double at each level of an event. A plan is therefore refused if more than `MAX_CHECKS` can apply to one value. The
bound is found by following the schemas into all events at once: from the schemas that apply to a value, with how often,
to those that apply to its parts.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from segmentation.documents.document import Path
from segmentation.documents.problems import Problem, format_path
from segmentation.tracking_plan.schemas import Schema, Schemas, subschemas

MAX_CHECKS = 1000
"""The most checks of one value: a schema counts as one, and as more if it compares the value with much."""
MAX_STEPS = 2_000_000
"""The most steps of finding the bound. A plan of that many needs some seconds to load."""
CHECKS_PER_COMPARISON = 10
"""What a comparison with a number, a list or a mapping counts as. One with a text is quick, however many there are."""
SLOW_CHECKS = 250
"""What `multipleOf` and `uniqueItems` count as, because they compute with a value or with all its parts."""
PATTERN_BYTES_PER_CHECK = 1024
_BYTES_PER_VALUE = 250
_IN_PLACE = (
    "allOf",
    "anyOf",
    "dependencies",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "propertyNames",
    "then",
)
"""Keywords whose schemas apply to the value itself, or to no more bytes of it."""

_LIMITS = ("const", "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum")


class AppliedSchemas:
    """The schemas that apply to one value of an event, as far as the length of a list of violations depends on them."""

    __slots__ = ("checks", "depth", "errors", "named", "other", "prefix", "rest", "value_bytes")

    def __init__(self, checks: int, errors: int, value_bytes: int, depth: int) -> None:
        self.checks = checks
        """The most checks of the value."""
        self.errors = errors
        """The most violations of the value."""
        self.value_bytes = value_bytes
        """The most bytes of the schema's own values that these violations contain."""
        self.depth = depth
        """The most schemas that lie inside each other, by `allOf`, `$ref` and so on, and apply to the value."""
        self.named: dict[str, AppliedSchemas] = {}
        self.other: AppliedSchemas | None = None
        self.prefix: tuple[AppliedSchemas | None, ...] = ()
        self.rest: AppliedSchemas | None = None

    def item(self, index: int) -> "AppliedSchemas | None":
        """Returns what applies to an item of a list."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


class _Rule(NamedTuple):
    """What one schema asks of a value and of the value's parts, by the numbers of schemas."""

    checks: int
    errors: int
    value_bytes: int
    in_place: tuple[int, ...]
    finds_unevaluated: bool
    """Whether it applies those in place again to find what they leave, at each level of them."""
    named: dict[str, tuple[int, ...]]
    other: tuple[int, ...]
    """For properties without a name in `properties`."""
    patterns: tuple[int, ...]
    """For any property, since a pattern can match each name."""
    prefix: tuple[int, ...]
    rest: tuple[int, ...]
    any_item: tuple[int, ...]


class _Closure(NamedTuple):
    """A schema with all that apply to the same value because of it."""

    schemas: Counter[int]
    depth: int


class WorkError(Exception):
    """A plan that can ask for too much work: the name of the file, and the mistake in it."""

    def __init__(self, file: str, problem: Problem) -> None:
        super().__init__(file, problem)
        self.file = file
        self.problem = problem


class WorkBound:
    """Finds the schemas that apply to the values of a plan's events.

    Args:
      schemas: the plan's schemas, whose references all have a target.
      pattern_bytes: returns the size of a compiled pattern.
    """

    def __init__(self, schemas: Schemas, pattern_bytes: Callable[[str], int]) -> None:
        self._schemas = schemas
        self._pattern_bytes = pattern_bytes
        self._rules: dict[int, _Rule] = {}
        self._closures: dict[int, _Closure] = {}
        self._known: dict[frozenset[tuple[int, int]], AppliedSchemas] = {}
        self._steps = 0

    def applied(self, root: int) -> AppliedSchemas:
        """Returns what applies to an event whose schema has a number.

        Raises:
          WorkError: the check of an event can take too much work.
        """
        waiting: list[tuple[AppliedSchemas, Counter[int], Path]] = []

        def found(counts: Counter[int], path: Path) -> AppliedSchemas | None:
            if not counts:
                return None
            key = frozenset(counts.items())
            if key not in self._known:
                self._known[key], schemas = self._measured(counts, path)
                waiting.append((self._known[key], schemas, path))
            return self._known[key]

        applied = found(Counter({root: 1}), ())
        assert applied is not None
        while waiting:
            parent, schemas, path = waiting.pop()
            rules = [(self._rule(number), count) for number, count in schemas.items()]
            for name in {name: None for rule, _ in rules for name in rule.named}:
                parts = ((*rule.named.get(name, rule.other), *rule.patterns) for rule, _ in rules)
                part = found(self._sum(parts, rules, root), (*path, name))
                if part is not None:
                    parent.named[name] = part
            parts = ((*rule.other, *rule.patterns) for rule, _ in rules)
            parent.other = found(self._sum(parts, rules, root), (*path, "…"))
            length = max((len(rule.prefix) for rule, _ in rules), default=0)
            items: list[AppliedSchemas | None] = []
            for index in range(length + 1):
                parts = (
                    (*(rule.prefix[index : index + 1] or rule.rest), *rule.any_item) for rule, _ in rules
                )
                items.append(found(self._sum(parts, rules, root), (*path, index)))
            parent.prefix, parent.rest = tuple(items[:-1]), items[-1]
        return applied

    def _sum(
        self, parts: Iterable[tuple[int, ...]], rules: list[tuple[_Rule, int]], root: int
    ) -> Counter[int]:
        """Returns how often each schema applies to a part of a value."""
        applied: Counter[int] = Counter()
        for numbers, (_, count) in zip(parts, rules, strict=True):
            for number in numbers:
                applied[number] += count
            self._step(1 + len(numbers), root)
        return applied

    def _measured(self, applied: Counter[int], path: Path) -> tuple[AppliedSchemas, Counter[int]]:
        """Returns what applies to a value in all, given the schemas that its parent has for it."""
        schemas: Counter[int] = Counter()
        depth = 0
        for number, count in applied.items():
            closure = self._closure(number)
            depth = max(depth, closure.depth)
            for inner, times in closure.schemas.items():
                schemas[inner] += times * count
            self._step(len(closure.schemas), number)
        checks = self._checks(schemas)
        if sum(checks.values()) > MAX_CHECKS:
            # The largest part; of equal ones, the first in the files
            largest = max(checks, key=lambda number: (checks[number], -number))
            raise self._too_many(largest, f"the value at {format_path(path) or 'the top of the event'}")
        rules = [(self._rule(number), count) for number, count in schemas.items()]
        errors = sum(rule.errors * count for rule, count in rules)
        value_bytes = sum(rule.value_bytes * count for rule, count in rules)
        return AppliedSchemas(sum(checks.values()), errors, value_bytes, depth), schemas

    def _checks(self, schemas: Counter[int]) -> dict[int, int]:
        return {number: self._rule(number).checks * count for number, count in schemas.items()}

    def _too_many(self, number: int, value: str) -> WorkError:
        found = f"by this, {value} can need more than {MAX_CHECKS} checks"
        fix = (
            "use fewer or simpler schemas for it: refer to a schema from one branch of allOf, anyOf or oneOf only,"
            " and use additionalProperties rather than unevaluatedProperties"
        )
        return self._error(self._schemas.all[number], found, fix)

    def _closure(self, number: int) -> _Closure:
        """Returns the closure of a schema. It asks for those inside first, without recursion."""
        way, entered = [number], {number}
        while way:
            current = way[-1]
            rule = self._rule(current)
            missing = next((inner for inner in rule.in_place if inner not in self._closures), None)
            if missing is not None:
                if missing in entered:
                    found = "applies to the same value again, by its references"
                    raise self._error(
                        self._schemas.all[missing], found, "refer to it from properties or items only"
                    )
                way.append(missing)
                entered.add(missing)
                continue
            schemas = Counter({current: 1})
            inner_closures = [self._closures[inner] for inner in rule.in_place]
            depth = 1 + max((closure.depth for closure in inner_closures), default=0)
            for closure in inner_closures:
                for inner, times in closure.schemas.items():
                    schemas[inner] += times * (depth if rule.finds_unevaluated else 1)
                self._step(len(closure.schemas), current)
                if sum(self._checks(schemas).values()) > MAX_CHECKS:
                    raise self._too_many(current, "a value")
            self._closures[current] = _Closure(schemas, depth)
            entered.discard(way.pop())
        return self._closures[number]

    def _rule(self, number: int) -> _Rule:
        if number not in self._rules:
            self._rules[number] = self._new_rule(number)
        return self._rules[number]

    def _new_rule(self, number: int) -> _Rule:
        schema = self._schemas.all[number].value
        if not isinstance(schema, dict):
            return _Rule(1, 1, 0, (), False, {}, (), (), (), (), ())

        def numbers(*keywords: str) -> tuple[int, ...]:
            parts = [place for keyword in keywords for place, _ in subschemas(schema, keyword)]
            return tuple(self._schemas.inside(number, *place) for place in parts)

        in_place = numbers(*_IN_PLACE)
        if "$ref" in schema:
            target = self._schemas.target(number)
            assert target is not None
            in_place += (target,)
        unevaluated = numbers("unevaluatedProperties")
        named = {
            str(place[-1]): (self._schemas.inside(number, *place), *unevaluated)
            for place, _ in subschemas(schema, "properties")
        }
        dependents = schema.get("dependentRequired", {})
        required = len(schema.get("required", ())) + sum(map(len, dependents.values()))
        return _Rule(
            self._checks_of(schema) + len(dependents),
            len(schema) + required,
            sum(_value_bytes(schema[keyword]) for keyword in ("const", "enum", "not") if keyword in schema),
            in_place,
            bool(unevaluated) or "unevaluatedItems" in schema,
            named,
            numbers("additionalProperties") + unevaluated,
            numbers("patternProperties"),
            numbers("prefixItems"),
            numbers("items"),
            numbers("contains", "unevaluatedItems"),
        )

    def _checks_of(self, schema: dict[str, Any]) -> int:
        checks = 1 + len(schema.get("dependentSchemas", ())) + len(schema.get("dependencies", ()))
        checks += SLOW_CHECKS * (("multipleOf" in schema) + (schema.get("uniqueItems") is True))
        compared = [schema[keyword] for keyword in _LIMITS if keyword in schema]
        if not all(value is None or isinstance(value, str) for value in schema.get("enum", ())):
            compared += schema["enum"]
        checks += CHECKS_PER_COMPARISON * len(compared)
        patterns = [*schema.get("patternProperties", ())]
        if "pattern" in schema:
            patterns.append(schema["pattern"])
        return checks + sum(self._pattern_bytes(pattern) // PATTERN_BYTES_PER_CHECK for pattern in patterns)

    def _step(self, steps: int, number: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            found = "too many combinations of the plan's schemas can apply to the values of an event"
            raise self._error(self._schemas.all[number], found, "let fewer schemas refer to each other")

    @staticmethod
    def _error(schema: Schema, found: str, fix: str) -> WorkError:
        return WorkError(schema.file.name, schema.file.problem(schema.path, found, fix))


def _value_bytes(value: Any) -> int:
    """Returns the memory that a copy of a schema's value takes in a violation, with its text in the message."""
    size, waiting = 0, [value]
    while waiting:
        part = waiting.pop()
        size += _BYTES_PER_VALUE + (len(part) if isinstance(part, str) else 0)
        if isinstance(part, dict | list):
            waiting += part.values() if isinstance(part, dict) else part
    return size
