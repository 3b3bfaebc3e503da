"""Hypothesis strategies for rules files and logs of one profile whose events meet at the edges of windows.

All durations come from one small set, and all timestamps from a base plus sums and differences of the same
set, give or take a millisecond. Rules are valid; the values of events are as odd as real ones.

To hand a drawn file to a loader, write it with `json.dumps`, which is YAML too: PyYAML would leave texts such
as "1e3" unquoted, and YAML 1.2 reads those as numbers.
"""

import copy
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Mapping = dict[str, Any]

DURATIONS_MS = {
    "1s": 1_000,
    "5s": 5_000,
    "10s": 10_000,
    "30s": 30_000,
    "1m": 60_000,
    "1m30s": 90_000,
    "5m": 300_000,
}
DURATIONS = list(DURATIONS_MS)
"""In order of length, the shortest first."""
BASE_MS = 1_700_000_000_000
FIRST_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z."""
LAST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z."""
_FIRST_SHIFT_MS, _LAST_SHIFT_MS = FIRST_MS - BASE_MS + 86_400_000, LAST_MS - BASE_MS - 86_400_000
"""What moves a log around `BASE_MS` into a year from 1 to 9999, whatever its offsets."""
PROFILE = "user-1"

TRACKED = ["Product Viewed", "Product Added", "Order Completed"]
RESERVED = ["$page", "$screen", "$identify", "$group", "$alias"]
MESSAGE_IDS = [*(f"m{number}" for number in range(8, 26)), "m", "mé", "m\uffff", "m\U00010000"]
"""Their order as text in UTF-8, in UTF-16 and by number differs."""

LONG_TEXT = "sh" + "x" * 255
LONG_IN_BYTES_ONLY = "é" * 129
JUST_NOT_LONG = "é" * 128
LONG_NUMBER = "0.5" + "0" * 300
BIG = 9_007_199_254_740_993
"""2 ** 53 + 1, which no double holds."""
SCALARS = ["A", "B", "C", "", 1, 1.0, "1", True, False, 0, 60, "60", BIG, float(BIG), LONG_TEXT]
PRODUCT_IDS = [
    "A",
    "A",
    "A",
    "B",
    "B",
    1,
    1.0,
    "1",
    True,
    BIG,
    float(BIG),
    LONG_TEXT,
    "",
    None,
    ["A"],
    {"id": "A"},
]
SKUS = ["A", "A", "B", "B", 1, "1", None]
NUMBERS = [
    0,
    0.1,
    0.7,
    0.8,
    1,
    5,
    10,
    50,
    60,
    -5,
    "49.99",
    "1e1",
    "60",
    "0.7",
    "-0",
    10**15,
    "1e15",
    LONG_NUMBER,
]
NO_NUMBERS = ["", "n/a", "05", "+5", "5 ", ".5", "0x10", "Infinity", True, None, [], [5], {}]
TOO_BIG = [10**15 + 1, "1e16", "1e999"]
CATEGORIES = ["shoes", "shirts", "hats", "shorts and shoes", "Shoes", "", LONG_TEXT, JUST_NOT_LONG, 7, None]
TAGS = [[], ["new"], ["sale", "new"], ["eco", 1, True, None, ["new"]], ["newest"], "new", None]
CITIES = ["Oslo", "Bergen", None, LONG_TEXT]

PATHS = [
    "properties.product_id",
    "properties.price",
    "properties.category",
    "properties.coupon",
    "properties.tags",
    "properties.tags[]",
    "properties.products[].sku",
    "properties.products[].price",
    "properties.products.sku",
    "properties.nothing.there",
    "context.device.type",
    'properties."utm.source"',
    "properties.utm.source",
    'properties."tags[]"',
    'properties."tags[]"[]',
    'properties."5"" disk"',
    'properties.""""[].sku',
]
SAME_PATHS = [
    "properties.product_id",
    "properties.products[].sku",
    "properties.tags[]",
    "properties.category",
    'properties."utm.source"',
]
SCALAR_PATHS = [
    "properties.product_id",
    "properties.price",
    "properties.category",
    "properties.coupon",
    '"properties"."category"',
    'properties."utm.source"',
]
VALUE_PATHS = [
    *SCALAR_PATHS,
    "properties.products[].price",
    "properties.products[].sku",
    "properties.tags[]",
    'properties."tags[]"[]',
]
NUMBER_PATHS = ["properties.price", "properties.products[].price", 'properties."5"" disk"']
TRAITS = [
    "plan",
    "age",
    "tags",
    "note",
    "address",
    "address.city",
    "address.geo.lat",
    '"address.city"',
    'address."city"',
    '"""".x',
]


def _weighted(*choices: tuple[int, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    """One of several strategies, each as often as its weight says (`one_of` would drop repeats)."""
    listed = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.integers(0, len(listed) - 1).flatmap(listed.__getitem__)


# Rules


@cache
def _scalars() -> SearchStrategy[Any]:
    return st.sampled_from(SCALARS)


@cache
def _number_tests(*operands: float) -> SearchStrategy[Mapping]:
    """Tests that take numbers: one, or a few that do not contradict each other."""
    number = st.sampled_from(operands)
    names = ["at_least", "at_most", "more_than", "less_than", "equals", "not_equals"]
    return st.one_of(
        st.builds(lambda name, operand: {name: operand}, st.sampled_from(names), number),
        st.builds(
            lambda name, listed: {name: listed},
            st.sampled_from(["in", "not_in"]),
            st.lists(number, min_size=1, max_size=3, unique=True),
        ),
        st.sampled_from([{"more_than": 5, "less_than": 60}, {"at_least": 0.8, "not_equals": 1}]),
    )


@cache
def _tests() -> SearchStrategy[Mapping]:
    """Tests of a value that an event, trait, first or last may have."""
    listed = st.lists(_scalars(), min_size=1, max_size=3)
    return st.one_of(
        _number_tests(0.5, 0.8, 1, 5, 10, 49.99, 60),
        st.builds(lambda operand: {"equals": operand}, _scalars()),
        st.builds(lambda operand: {"not_equals": operand}, _scalars()),
        st.builds(lambda operands: {"in": operands}, listed),
        st.builds(lambda operands: {"not_in": operands}, listed),
        st.builds(lambda expected: {"exists": expected}, st.booleans()),
        st.sampled_from(
            [
                {"contains": "new"},
                {"contains": "x"},
                {"contains": 1},
                {"starts_with": "sh"},
                {"ends_with": "s"},
                {"matches": "^sh(oe|irt)s$"},
                {"matches": "[é1]"},
                {"exists": True, "not_equals": "A"},
                {"starts_with": "sh", "not_in": ["shoes", "hats"]},
            ]
        ),
    )


@cache
def _where() -> SearchStrategy[Mapping]:
    """A `where:`; a bare scalar is an `equals`."""
    entries = st.one_of(_tests(), _scalars())
    telling = st.sampled_from(
        [
            {"properties.product_id": "A"},
            {"properties.price": {"at_least": 5}},
            {"properties.category": {"matches": "^sh"}},
            {"context.device.type": "ios"},
            {"properties.products[].price": {"more_than": 5, "less_than": 60}},
            {"properties.products[].sku": {"not_equals": "A"}, "properties.products[].price": 0.7},
            {"properties.tags[]": {"not_in": ["new"]}},
            {'properties."utm.source"': "A"},
        ]
    )
    return st.one_of(telling, st.dictionaries(st.sampled_from(PATHS), entries, min_size=1, max_size=2))


@cache
def _names() -> SearchStrategy[Any]:
    """What `event:` may say; mostly something that is likely to happen."""
    return _weighted(
        (2, st.sampled_from(TRACKED)),
        (3, st.sampled_from([TRACKED, TRACKED[:2], TRACKED[1:]])),
        (2, st.just("*")),
        (1, st.lists(st.sampled_from([*TRACKED, *RESERVED]), min_size=1, max_size=3, unique=True)),
        (1, st.sampled_from(RESERVED)),
    )


@cache
def _selectors() -> SearchStrategy[Mapping]:
    """`event:`, and now and then `where:`."""
    plain = st.builds(lambda names: {"event": names}, _names())
    choosy = st.builds(lambda names, where: {"event": names, "where": where}, _names(), _where())
    return _weighted((5, plain), (1, choosy))


@cache
def _measures() -> SearchStrategy[tuple[str, Mapping]]:
    """The kind of a measure and its mapping, without tests."""
    return st.one_of(
        st.just(("count", {})),
        st.tuples(
            st.sampled_from(["sum", "average", "min", "max"]),
            st.builds(lambda path: {"of": path}, st.sampled_from(NUMBER_PATHS)),
        ),
        st.tuples(st.just("distinct"), st.builds(lambda path: {"of": path}, st.sampled_from(VALUE_PATHS))),
        st.tuples(
            st.sampled_from(["first", "last"]),
            st.builds(lambda path: {"of": path}, st.sampled_from(SCALAR_PATHS)),
        ),
    )


@cache
def _tests_of_measure(kind: str) -> SearchStrategy[Mapping]:
    """Tests of the value of a measure of that kind."""
    if kind in ("count", "distinct"):
        return st.one_of(
            st.builds(lambda operand: {"at_least": operand}, st.integers(1, 4)),
            st.sampled_from(
                [
                    {"equals": 0},
                    {"equals": 1},
                    {"equals": 2},
                    {"not_equals": 1},
                    {"at_most": 1},
                    {"at_most": 0},
                    {"less_than": 3},
                    {"more_than": 1},
                    {"in": [1, 3]},
                    {"not_in": [0, 2]},
                    {"at_least": 1, "at_most": 2},
                ]
            ),
        )
    if kind in ("first", "last"):
        return _tests()
    exists = st.builds(lambda expected: {"exists": expected}, st.booleans())
    return st.one_of(_number_tests(0, 0.1, 0.8, 1, 5, 10, 60), exists)


@st.composite
def _rules_of_measures(draw: st.DrawFn, tested: bool) -> Mapping:
    """A measure over events: a condition if tested, else as it stands under `measures:`."""
    rule = draw(_selectors())
    if draw(st.integers(0, 3)) > 0:
        rule["within"] = draw(st.sampled_from(DURATIONS))
    if tested and draw(st.integers(0, 3)) == 0:
        return rule
    kind, measure = draw(_measures())
    return rule | {kind: measure | draw(_tests_of_measure(kind)) if tested else measure}


@st.composite
def _sequences(draw: st.DrawFn) -> Mapping:
    """A sequence of one to three steps, with or without `max_gap`, `same` and `then_not`."""
    window = draw(_weighted((1, st.integers(1, len(DURATIONS) - 1)), (1, st.integers(4, len(DURATIONS) - 1))))
    same = draw(_weighted((2, st.none()), (1, st.sampled_from(SAME_PATHS))))

    def selector() -> Mapping:
        drawn = draw(_selectors())
        if same is not None and draw(st.integers(0, 3)) == 0:
            drawn["same"] = draw(st.sampled_from(SAME_PATHS))
        return drawn

    def then_not() -> Mapping:
        wait = draw(st.sampled_from(DURATIONS[: draw(st.integers(1, window))]))
        return selector() | {draw(st.sampled_from(["for", "during"])): wait}

    steps = [selector() for _ in range(draw(st.integers(1, 3)))]
    for step in steps[1:]:
        if draw(st.integers(0, 2)) == 0:
            step["max_gap"] = draw(st.sampled_from(DURATIONS))
    sequence: Mapping = {"sequence": steps, "within": DURATIONS[window]}
    if same is not None:
        sequence["same"] = same
    match draw(st.sampled_from(["none", "none", "one", "list"])):
        case "one":
            sequence["then_not"] = then_not()
        case "list":
            sequence["then_not"] = [then_not() for _ in range(draw(st.integers(1, 2)))]
    return sequence


@cache
def _trait_conditions() -> SearchStrategy[Mapping]:
    telling = st.sampled_from(
        [
            {"trait": "plan", "equals": "pro"},
            {"trait": "plan", "not_equals": "pro"},
            {"trait": "plan", "in": ["free", "pro"]},
            {"trait": "plan", "exists": False},
            {"trait": "age", "at_least": 18},
            {"trait": "tags", "contains": "new"},
            {"trait": "note", "equals": LONG_TEXT},
            {"trait": "note", "starts_with": "sh"},
            {"trait": "address.city", "equals": "Oslo"},
            {"trait": "address.city", "exists": True},
            {"trait": '"address.city"', "equals": "Oslo"},
        ]
    )
    other = st.builds(lambda path, tests: {"trait": path} | tests, st.sampled_from(TRAITS), _tests())
    return _weighted((2, telling), (1, other))


@cache
def _measure_conditions(name: str, kind: str) -> SearchStrategy[Mapping]:
    return st.builds(lambda tests: {"measure": name} | tests, _tests_of_measure(kind))


@cache
def _score_conditions(name: str) -> SearchStrategy[Mapping]:
    return st.builds(lambda tests: {"score": name} | tests, _number_tests(0, 0.8, 1, 2.7, 5))


@cache
def _conditions(
    measures: tuple[tuple[str, str], ...], scores: tuple[str, ...], segments: tuple[str, ...]
) -> SearchStrategy[Mapping]:
    """Conditions of every form, nested; they refer to the given measures (name, kind), scores, segments."""
    choices = [(3, _rules_of_measures(tested=True)), (4, _sequences()), (2, _trait_conditions())]
    choices += [(1, _measure_conditions(name, kind)) for name, kind in measures]
    choices += [(1, _score_conditions(name)) for name in scores]
    if segments:
        choices.append((1, st.sampled_from([{"segment": name} for name in segments])))
    leaf = _weighted(*choices)

    def combined(inner: SearchStrategy[Mapping]) -> SearchStrategy[Mapping]:
        listed = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            st.builds(lambda conditions: {"all": conditions}, listed),
            st.builds(lambda conditions: {"any": conditions}, listed),
            st.builds(lambda condition: {"not": condition}, inner),
        )

    return _weighted(
        (2, leaf), (1, combined(leaf)), (1, combined(st.recursive(leaf, combined, max_leaves=3)))
    )


@cache
def _points() -> SearchStrategy[Any]:
    paths = st.sampled_from(NUMBER_PATHS)
    return st.one_of(
        st.sampled_from([1, 4, 0.5, 0.1, -2]),
        st.builds(lambda path: {"of": path}, paths),
        st.builds(lambda path, times: {"of": path, "times": times}, paths, st.sampled_from([0.1, 2])),
    )


@cache
def _earn() -> SearchStrategy[list[Mapping]]:
    entry = st.builds(lambda selector, points: selector | {"points": points}, _selectors(), _points())
    return st.lists(entry, min_size=1, max_size=3)


@st.composite
def _scores(draw: st.DrawFn) -> Mapping:
    score: Mapping = {"earn": draw(_earn())}
    if draw(st.integers(0, 3)) > 0:
        score["half_life"] = draw(st.sampled_from(DURATIONS))
    return score


@st.composite
def rule_files(draw: st.DrawFn, max_segments: int = 4) -> dict:
    """Valid rules files, as parsed: every form of the language, windows that add up, low thresholds."""
    measures = draw(st.dictionaries(st.sampled_from(["m0", "m1"]), _rules_of_measures(tested=False)))
    scores = draw(st.dictionaries(st.sampled_from(["engagement", "spend"]), _scores()))
    kinds = tuple((name, *(set(measures[name]) - {"event", "where", "within"})) for name in measures)
    names = draw(st.permutations([f"s{number}" for number in range(draw(st.integers(1, max_segments)))]))
    segments: dict[str, Mapping] = {}
    for number, name in enumerate(names):
        segments[name] = {"when": draw(_conditions(kinds, tuple(scores), tuple(names[:number])))}
        if draw(st.booleans()):
            segments[name]["description"] = f"case {number}"
    rules: Mapping = {"version": 1}
    if measures:
        rules["measures"] = measures
    if scores:
        rules["scores"] = scores
    rules["segments"] = {name: segments[name] for name in sorted(segments)}
    if exported := draw(st.lists(st.sampled_from(["plan", "age", "note"]), max_size=2, unique=True)):
        rules["export_traits"] = exported
    return rules


# Logs


@cache
def _prices() -> SearchStrategy[Any]:
    odd = st.sampled_from([*NO_NUMBERS, *TOO_BIG])
    return _weighted((2, st.sampled_from(NUMBERS[:10])), (1, st.sampled_from(NUMBERS)), (1, odd))


@cache
def _properties() -> SearchStrategy[Any]:
    product = st.one_of(
        st.fixed_dictionaries({}, optional={"sku": st.sampled_from(SKUS), "price": _prices()}),
        st.sampled_from([None, "A", 5]),
    )
    few = {"product_id": st.sampled_from(PRODUCT_IDS), "price": _prices()}
    usual = st.fixed_dictionaries(
        {},
        optional=few
        | {
            "category": st.sampled_from(CATEGORIES),
            "coupon": st.sampled_from(["X", "", None, 0]),
            "tags": st.sampled_from(TAGS),
            "products": st.one_of(st.lists(product, max_size=3), st.sampled_from([None, {"sku": "A"}])),
            "utm.source": st.sampled_from(PRODUCT_IDS),
            "utm": st.sampled_from([{"source": "A"}, {"source": "B"}, "A"]),
            "tags[]": st.sampled_from(TAGS),
            '5" disk': _prices(),
            '"': st.lists(product, max_size=2),
        },
    )
    return _weighted((4, st.fixed_dictionaries(few)), (4, usual), (1, st.sampled_from([{}, None])))


@cache
def _traits() -> SearchStrategy[Any]:
    plan = {"plan": st.sampled_from(["free", "pro", None])}
    usual = st.fixed_dictionaries(
        {},
        optional=plan
        | {
            "age": st.sampled_from([17, 18, "18", 18.0, True, None]),
            "tags": st.sampled_from(TAGS),
            "note": st.sampled_from(
                [LONG_TEXT, JUST_NOT_LONG, LONG_IN_BYTES_ONLY, LONG_NUMBER, "shoes", None]
            ),
            "address": st.one_of(
                st.builds(lambda city: {"city": city}, st.sampled_from(CITIES)),
                st.sampled_from([{}, None, "Oslo", [{"city": "Oslo"}], {"geo": {"lat": "59.9"}}]),
            ),
            "address.city": st.sampled_from(CITIES),
            '"': st.sampled_from([{"x": 18}, {"x": None}, "x"]),
        },
    )
    return _weighted((1, st.fixed_dictionaries(plan)), (3, usual), (1, st.sampled_from([None, []])))


@st.composite
def _bodies(draw: st.DrawFn) -> Mapping:
    """A message without its messageId, userId and timestamp."""
    kind = draw(st.sampled_from(["track"] * 8 + ["identify"] * 3 + ["page", "screen", "group", "alias"]))
    body: Mapping = {"type": kind}
    if kind == "track":
        body["event"] = draw(st.sampled_from([*TRACKED, "Checkout Started"]))
    if kind in ("track", "page", "screen"):
        body["properties"] = draw(_properties())
    if kind in ("identify", "group"):
        body["traits"] = draw(_traits())
    if kind == "group":
        body["groupId"] = "g1"
    if kind == "alias":
        body["previousId"] = "before"
    if draw(st.integers(0, 2)) == 0:
        body["context"] = draw(
            st.sampled_from(
                [
                    {"device": {"type": "ios"}},
                    {"device": {"type": "web"}},
                    {"traits": {"plan": "pro", "note": "shoes"}},
                    {"traits": "pro"},
                    {},
                    [],
                    None,
                ]
            )
        )
    if draw(st.integers(0, 5)) == 0:
        body["anonymousId"] = draw(st.sampled_from(["anon-1", None]))
    return body


@cache
def _instants() -> SearchStrategy[tuple[int, list[int], int]]:
    """Where a message lies: how many messages after its anchor, durations away from it, and a millisecond."""
    ways = [duration for number, duration in enumerate(DURATIONS_MS.values()) for _ in range(8 - number)]
    ways += [-duration for duration in DURATIONS_MS.values()]
    away = _weighted(
        (2, st.lists(st.sampled_from(ways), min_size=1, max_size=1)),
        (1, st.just([])),
        (1, st.lists(st.sampled_from(ways), min_size=2, max_size=2)),
    )
    return st.tuples(st.integers(1, 3), away, st.sampled_from([0, 0, 0, -1, 1]))


def rendered(ms: int, style: str) -> str:
    """Returns an instant as RFC 3339: `ms`, `us` (truncates to it), `east`, `west`, `lower` or `short`."""
    hours = {"east": 2, "west": -5.5}.get(style, 0)
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    local = local.astimezone(timezone(timedelta(hours=hours)))
    if style == "us":
        return local.isoformat(timespec="milliseconds").replace("+00:00", "842Z")
    text = local.isoformat(timespec="seconds" if style == "short" and ms % 1000 == 0 else "milliseconds")
    text = text.replace("+00:00", "Z")
    return text.lower() if style == "lower" else text


@cache
def _placed_bodies() -> SearchStrategy[tuple[Mapping, tuple[int, list[int], int], str]]:
    return st.tuples(
        _bodies(), _instants(), st.sampled_from(["ms", "ms", "ms", "us", "east", "west", "lower", "short"])
    )


@st.composite
def message_logs(draw: st.DrawFn, max_size: int = 20) -> list[dict]:
    """Accepted messages of one profile in order of time, each once; those of one instant in any order.

    A log lies in 2023, around 1970, at the first instant of the year 1, at the last one of 9999, or in any year.
    """
    size = draw(st.integers(0, max_size))
    drawn = draw(st.lists(_placed_bodies(), min_size=size, max_size=size))
    ids = draw(st.permutations(MESSAGE_IDS))
    instants: list[int] = []
    for _, (back, away, nudge), _ in drawn:
        anchor = instants[-min(back, len(instants))] if instants else BASE_MS
        instants.append(anchor + sum(away) + nudge)
    era = draw(st.sampled_from(["2023", "1970", "first", "last", "any"]))
    shift_ms = (
        draw(st.integers(_FIRST_SHIFT_MS, _LAST_SHIFT_MS)) if era == "any" else _shift_ms(era, instants)
    )
    placed: list[tuple[int, Mapping]] = []
    for message_id, (body, _, style), instant_ms in zip(ids, drawn, instants, strict=False):
        at = instant_ms + shift_ms
        written = rendered(
            at, "ms" if era in ("first", "last") else style
        )  # an offset may leave the years 1 to 9999
        placed.append((at, {"messageId": message_id, "userId": PROFILE, "timestamp": written} | body))
    return [message for _, message in sorted(placed, key=lambda pair: pair[0])]


def _shift_ms(era: str, instants: list[int]) -> int:
    """Returns what moves instants around `BASE_MS` into an era."""
    if not instants or era == "2023":
        return 0
    return {"1970": -BASE_MS, "first": FIRST_MS - min(instants), "last": LAST_MS - max(instants)}[era]


@st.composite
def arrivals(draw: st.DrawFn, log: list[dict]) -> list[dict]:
    """The messages of a log in any order, some of them more than once."""
    repeats = draw(st.lists(st.sampled_from(log), max_size=len(log))) if log else []
    return [copy.deepcopy(message) for message in draw(st.permutations([*log, *repeats]))]
