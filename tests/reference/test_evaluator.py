"""The reference evaluator against the conformance cases, against its own sentences, and against time."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference.evaluator import Reference, form_of, parse_duration, parse_instant, then_nots_of
from tests.reference.strategies import DURATIONS_MS, arrivals, message_logs, rule_files

CASES = sorted((Path(__file__).parents[1] / "conformance").glob("*/expected.json"))


# The conformance cases


def near(a: int | None, b: int | None) -> bool:
    return a is b or (a is not None and b is not None and abs(a - b) <= 1)


def merged(spans: list) -> list[list[int | None]]:
    """Spans without those of length zero, and with those that touch as one."""
    out: list[list[int | None]] = []
    for entered, exited in spans:
        if exited is not None and exited <= entered:
            continue
        if out and out[-1][1] == entered:
            out[-1][1] = exited
        else:
            out.append([entered, exited])
    return out


def differences(reference: Reference, segments: list[str], as_of: int, want: dict) -> Iterator[str]:
    """Yields the differences between a profile's evaluation and the expectation of a case."""
    members = {name: reference.expires_at(name, as_of) for name in segments if reference.member(name, as_of)}
    if set(members) != set(want["members"]):
        yield f"members {sorted(members)}, want {sorted(want['members'])}"
    for name, leaves in want["members"].items():
        if name in members and not near(members[name], leaves):
            yield f"{name} expires at {members[name]}, want {leaves}"
    for name, due in want["scores"].items():
        if reference.score(name, as_of) != pytest.approx(due, rel=1e-9, abs=1e-9):
            yield f"score {name} is {reference.score(name, as_of)}, want {due}"
    for name in segments if "intervals" in want else ():
        got, due = merged(reference.intervals(name, as_of)), want["intervals"].get(name, [])
        if len(got) != len(due) or not all(
            near(a, c) and near(b, d) for (a, b), (c, d) in zip(got, due, strict=True)
        ):
            yield f"{name} intervals {got}, want {due}"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_agrees_with_the_conformance_case(case):
    expected = json.loads(case.read_text())
    rules = yaml.safe_load((case.parent / "segments.yaml").read_text())
    as_of = parse_instant(expected["as_of"])
    profiles: dict[str, list[dict]] = {}
    with gzip.open(case.parent / "events.jsonl.gz", "rt", encoding="utf-8") as lines:
        for message in map(json.loads, lines):
            if parse_instant(message["timestamp"]) <= as_of:
                profiles.setdefault(message.get("userId") or message["anonymousId"], []).append(message)

    assert sorted(profiles) == sorted(expected["profiles"])
    assert sorted(rules["segments"]) == sorted(expected["segments"])
    assert [
        f"{profile}: {difference}"
        for profile, want in expected["profiles"].items()
        for difference in differences(Reference(rules, profiles[profile]), expected["segments"], as_of, want)
    ] == []


def test_there_are_ten_conformance_cases():
    assert len(CASES) == 10


# Sentence by sentence

T = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def at(ms: int) -> str:
    return f"2023-11-14T22:{13 + (20_000 + ms) // 60_000:02d}:{(20_000 + ms) % 60_000 / 1000:06.3f}Z"


def track(ms: int, event: str = "A", message_id: str | None = None, **properties: object) -> dict:
    """A track call `ms` after T."""
    return {
        "type": "track",
        "event": event,
        "messageId": message_id or f"{event} {ms}",
        "userId": "u",
        "timestamp": at(ms),
        "properties": properties,
    }


def identify(ms: int, message_id: str = "", **traits: object) -> dict:
    """An identify call `ms` after T."""
    return {
        "type": "identify",
        "messageId": message_id or f"identify {ms}",
        "userId": "u",
        "timestamp": at(ms),
        "traits": traits,
    }


def reference(when: dict, *messages: dict, **sections: dict) -> Reference:
    return Reference({"version": 1, "segments": {"s": {"when": when}}, **sections}, list(messages))


def holds(when: dict, *messages: dict, ms: int = 3_000, **sections: dict) -> bool:
    """Whether a condition is true `ms` after T."""
    return reference(when, *messages, **sections).member("s", T + ms)


def spans(
    when: dict, *messages: dict, until: int = 500_000, **sections: dict
) -> list[tuple[int, int | None]]:
    """The intervals of a condition in milliseconds after T."""
    found = reference(when, *messages, **sections).intervals("s", T + until)
    return [(entered - T, None if exited is None else exited - T) for entered, exited in found]


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14t22:13:20.0z",
        "2023-11-14T22:13:20.0009999999Z",
        "2023-11-15T00:13:20.000+02:00",
        "2023-11-14T16:43:20.000999-05:30",
    ],
)
def test_timestamps_are_truncated_to_milliseconds(text):
    assert parse_instant(text) == T


def test_timestamps_before_the_epoch_are_truncated_too():
    assert parse_instant("1969-12-31T23:59:59.9989Z") == -2


def test_durations_are_sums():
    assert [parse_duration(text) for text in ("30s", "1h30m", "400d")] == [30_000, 5_400_000, 34_560_000_000]


def test_an_event_counts_from_its_own_instant_until_exactly_its_window_later():
    assert spans({"event": "A", "within": "5s"}, track(100)) == [(100, 5_100)]


def test_nothing_is_true_before_the_first_event():
    assert spans({"not": {"event": "B"}}, track(100)) == [(100, None)]
    assert spans({"not": {"event": "B"}}) == []


def test_of_copies_that_differ_the_first_accepted_counts():
    first, second = track(0, message_id="m"), track(0, "B", message_id="m")
    assert holds({"event": "A"}, first, second)
    assert not holds({"event": "B"}, first, second)


@pytest.mark.parametrize(
    ("entry", "products", "passes"),
    [
        ({"properties.p[].sku": {"not_equals": "A"}}, [{"sku": "A"}, {"sku": "B"}], True),
        ({"properties.p[].sku": {"not_equals": "A"}}, [{"sku": "A"}], False),
        ({"properties.p[].sku": {"exists": False}}, [{"sku": "A"}, {}], True),
        ({"properties.p[].sku": {"exists": False}}, [{"sku": "A"}], False),
        ({"properties.p[].sku": {"exists": False}}, [], True),
        ({"properties.p[].sku": {"exists": False}}, {"sku": "A"}, True),
        (
            {"properties.p[].sku": "A", "properties.p[].n": 2},
            [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}],
            True,
        ),
        ({"properties.p[].n": {"more_than": 1, "less_than": 3}}, [{"n": 1}, {"n": 3}], False),
        ({"properties.p.sku": {"exists": True}}, [{"sku": "A"}], False),
        ({"properties.p[]": "A"}, ["B", "A"], True),
        ({"properties.p": {"contains": "A"}}, ["AA", "A"], True),
        ({"properties.p": {"contains": "A"}}, ["AA"], False),
        ({"properties.p": {"contains": "A"}}, "BAB", True),
        ({"properties.p": {"not_equals": "A"}}, None, True),
        ({"properties.p": {"not_in": ["A"]}}, None, True),
        ({"properties.p": {"at_most": 1}}, None, False),
        ({"properties.p": {"exists": True}}, None, False),
        ({"properties.p": {"exists": True}}, False, True),
    ],
)
def test_paths_and_lists_in_where(entry, products, passes):
    assert holds({"event": "A", "where": entry}, track(0, p=products)) == passes


@pytest.mark.parametrize(
    ("value", "operand", "same"),
    [
        (1, 1.0, True),
        (1, "1", False),
        (1, True, False),
        (0, False, False),
        (2**53 + 1, 2**53 + 1, True),
        (2**53 + 1, float(2**53), False),
        ([1], 1, False),
    ],
)
def test_equality(value, operand, same):
    for test in ({"equals": operand}, {"in": [operand]}):
        assert holds({"event": "A", "where": {"properties.x": test}}, track(0, x=value)) == same
    for test in ({"not_equals": operand}, {"not_in": [operand]}):
        assert holds({"event": "A", "where": {"properties.x": test}}, track(0, x=value)) != same


@pytest.mark.parametrize("value", [5, 5.0, "5", "5.0", "0.5e1", "50E-1", "5e+0"])
def test_numbers(value):
    assert holds({"event": "A", "sum": {"of": "properties.x", "equals": 5}}, track(0, x=value))
    assert holds({"event": "A", "where": {"properties.x": {"at_least": 5}}}, track(0, x=value))


@pytest.mark.parametrize(
    "value", [True, None, "", " 5", "+5", "05", "5.", ".5", "0x5", "٥", "Infinity", 1e16, "1e16", [5]]
)
def test_no_numbers(value):
    assert holds({"event": "A", "max": {"of": "properties.x", "exists": False}}, track(0, x=value))
    assert not holds({"event": "A", "where": {"properties.x": {"less_than": 10**20}}}, track(0, x=value))


def test_none_passes_only_exists_false():
    nothing = {"event": "B", "max": {"of": "properties.x"}}
    for tests, passes in [({"not_equals": 1}, False), ({"not_in": [1]}, False), ({"exists": False}, True)]:
        assert holds({"measure": "m"} | tests, track(0), measures={"m": nothing}) == passes
    assert reference({"event": "A"}, track(0), measures={"m": nothing}).measure("m", T) is None
    assert not holds({"event": "B", "sum": {"of": "properties.x", "exists": False}}, track(0))


def test_a_sum_within_the_tolerance_is_equal_in_every_test():
    messages = [track(0, x=0.7), track(1, x=0.1)]
    passed = {
        test: holds({"event": "A", "sum": {"of": "properties.x", test: operand}}, *messages)
        for test, operand in [
            ("at_least", 0.8),
            ("more_than", 0.8 - 5e-10),
            ("equals", 0.8),
            ("not_equals", 0.8),
            ("in", [5, 0.8]),
            ("not_in", [0.8, 5]),
            ("at_most", 0.8 - 5e-10),
            ("less_than", 0.8 + 5e-10),
        ]
    }
    assert [test for test, passes in passed.items() if passes] == ["at_least", "equals", "in", "at_most"]


def test_each_element_gives_a_value():
    messages = [track(0, p=[{"x": 1}, {"x": "2"}, {}, {"x": 1.0}, {"x": True}])]
    measures = {
        kind: {"event": "A", kind: {"of": "properties.p[].x"}}
        for kind in ("sum", "average", "min", "max", "distinct")
    }
    asked = reference({"event": "A"}, *messages, measures=measures)
    assert {kind: asked.measure(kind, T) for kind in measures} == {
        "sum": 4, "average": 4 / 3, "min": 1, "max": 2, "distinct": 3,
    }  # fmt: skip


def test_first_and_last_break_ties_by_the_bytes_of_the_message_id():
    messages = [track(0, message_id=i, x=i) for i in ("m\U00010000", "m\uffff", "m9", "m10")]
    messages += [track(0, message_id="a", x=None), track(0, message_id="z", x=["z"])]
    measures = {kind: {"event": "A", kind: {"of": "properties.x"}} for kind in ("first", "last")}
    asked = reference({"event": "A"}, *messages, measures=measures)
    assert (asked.measure("first", T), asked.measure("last", T)) == ("m10", "m\U00010000")


@pytest.mark.parametrize("note", ["x" * 257, "é" * 129])
def test_a_long_value_is_remembered_as_its_hash(note):
    short = note[: 256 // len(note[0].encode())]
    last = {"event": "A", "last": {"of": "properties.x"}}
    for tests, passes in [
        ({"exists": True}, True),
        ({"equals": note}, True),
        ({"in": [note]}, True),
        ({"not_equals": "x"}, True),
        ({"starts_with": note[0]}, False),
        ({"contains": note[0]}, False),
        ({"matches": ".", "exists": True}, False),
    ]:
        assert holds({"trait": "note"} | tests, identify(0, note=note)) == passes
        assert holds(last | {"last": {"of": "properties.x"} | tests}, track(0, x=note)) == passes
        assert holds({"event": "A", "where": {"properties.x": tests}}, track(0, x=note))
    assert holds({"trait": "note", "starts_with": note[0]}, identify(0, note=short))


def test_traits_come_from_the_latest_identify_call_that_carries_the_key():
    calls = [
        identify(0, plan="pro", address={"city": "Oslo"}),
        identify(1, address={}),
        identify(2, plan=None),
    ]
    group = track(3) | {"type": "group", "traits": {"plan": "group"}}
    asked = reference({"trait": "plan", "exists": False}, *calls, group)
    assert [asked.trait("plan", T + ms) for ms in (-1, 0, 1, 2, 3)] == [None, "pro", "pro", None, None]
    assert [asked.trait("address.city", T + ms) for ms in (0, 1)] == ["Oslo", None]
    assert asked.intervals("s", T + 3) == [(T + 2, None)]
    tied = [identify(0, message_id="m9", plan="nine"), identify(0, message_id="m10", plan="ten")]
    assert reference({"trait": "plan", "exists": True}, *tied).trait("plan", T) == "nine"


AB = {"sequence": [{"event": "A"}, {"event": "B"}], "within": "10s"}


def test_steps_lie_in_the_window_at_strictly_increasing_timestamps():
    assert spans(AB, track(0), track(0, "B")) == []
    assert spans(AB, track(0), track(1, "B")) == [(1, 10_000)]
    assert spans(AB, track(0), track(9_999, "B")) == [(9_999, 10_000)]
    assert spans(AB, track(0), track(10_000, "B")) == []


def test_max_gap_is_from_the_step_before_and_inclusive():
    gap = AB | {"sequence": [{"event": "A"}, {"event": "B", "max_gap": "1s"}]}
    assert spans(gap, track(0), track(1_000, "B")) == [(1_000, 10_000)]
    assert spans(gap, track(0), track(1_001, "B")) == []


def test_each_shared_value_makes_an_instance():
    same = AB | {
        "sequence": [{"event": "A"}, {"event": "B", "same": "properties.p[].sku"}],
        "same": "properties.sku",
        "then_not": {"event": "C", "during": "1s"},
    }
    messages = [
        track(0, sku=1),
        track(1, sku="2"),
        track(2, "B", p=[{"sku": 2}, {}, {"sku": 1.0}, {"sku": "2"}]),
    ]
    assert spans(same, messages[0], messages[2]) == [(1_002, 10_000)]
    assert spans(same, *messages, track(3, "C", sku=1)) == [(1_002, 10_001)]
    assert spans(same, *messages, track(3, "C", sku=1), track(4, "C", sku="2")) == []
    assert spans(same, track(0, sku=None), track(2, "B", p=[{"sku": None}])) == []
    one_step = {"sequence": [{"event": "A"}], "within": "1s", "same": "properties.sku"}
    assert spans(one_step, track(0), track(1, sku=["x"]), track(2, sku="x")) == [(2, 1_002)]


def test_for_keeps_being_required_and_during_does_not():
    for_ = {"sequence": [{"event": "A"}], "within": "10s", "then_not": {"event": "B", "for": "1s"}}
    during = for_ | {"then_not": [{"event": "B", "during": "1s"}]}
    for then, late_end in ((for_, 1_001), (during, 10_000)):
        assert spans(then, track(0)) == [(1_000, 10_000)]
        assert spans(then, track(0), track(0, "B")) == [(1_000, 10_000)]
        assert spans(then, track(0), track(1_000, "B")) == []
        assert spans(then, track(0), track(1_001, "B")) == [(1_000, late_end)]


def test_every_call_matches_the_star():
    anything = {"sequence": [{"event": "A"}], "within": "10s", "then_not": {"event": "*", "for": "1s"}}
    assert spans(anything, track(0), identify(500)) == []
    assert holds({"event": ["$identify", "B"]}, identify(0))


def test_a_score_that_wears_off_stops_being_more_than_0_at_the_tolerance():
    scores = {
        "x": {"half_life": "1s", "earn": [{"event": "A", "points": {"of": "properties.x", "times": 2}}]}
    }
    # 2 * 2 ** -n = 1e-9 where n = 30.897..., and 1.25 where n = 0.678...
    assert spans({"score": "x", "more_than": 0}, track(0, x="1"), scores=scores) == [(0, 30_898)]
    assert spans({"score": "x", "less_than": 1.25}, track(0, x=1), track(5, "B"), scores=scores) == [
        (679, None)
    ]


def test_an_event_earns_by_every_entry_that_it_matches():
    earn = [
        {"event": "A", "points": 1},
        {"event": "*", "points": 2},
        {"event": "A", "where": {"type": "page"}, "points": 4},
    ]
    asked = reference({"event": "A"}, track(0), track(1_000), track(2_000, "B"), scores={"x": {"earn": earn}})
    assert [asked.score("x", T + ms) for ms in (-1, 0, 1_000, 2_000)] == [0, 3, 6, 8]


def test_expires_at_supposes_that_nothing_more_happens():
    first_only = {"all": [{"event": "A", "within": "5s"}, {"not": {"event": "B", "within": "1s"}}]}
    asked = reference(first_only, track(0), track(2_000), track(3_000, "B"))
    assert asked.expires_at("s", T) == T + 5_000
    assert asked.expires_at("s", T + 2_000) == T + 7_000
    assert asked.expires_at("s", T + 3_000) is None
    assert asked.expires_at("s", T + 4_000) == T + 7_000
    assert reference({"event": "A"}, track(0)).expires_at("s", T) is None


# Against time


@pytest.mark.parametrize(
    "when",
    [
        {"event": "A", "within": "1s", "count": {"equals": 2}},
        {"any": [{"score": "x", "in": [0.8, 1.1]}, {"score": "x", "more_than": 1.5, "less_than": 1.9}]},
        AB | {"within": "2s", "then_not": [{"event": "A", "for": "1s"}, {"event": "B", "during": "1s"}]},
        {"not": {"event": "*", "within": "1s", "last": {"of": "properties.x", "not_equals": 1}}},
    ],
    ids=lambda when: form_of(when),
)
def test_every_change_is_among_the_instants_looked_at(when):
    messages = [
        track(0, x=1),
        track(1, "B", x=2),
        track(600),
        track(1_000, x="1"),
        track(1_001, "B"),
        track(2_000, "C"),
    ]
    scores = {"x": {"half_life": "1s", "earn": [{"event": ["A", "B"], "points": 0.5}]}}
    asked = reference(when, *messages, scores=scores)
    inside = [ms for ms in range(-10, 4_500) if asked.member("s", T + ms)]
    assert inside == [
        ms
        for entered, exited in spans(when, *messages, scores=scores, until=4_499)
        for ms in range(entered, 4_500 if exited is None else exited)
    ]
    assert 0 < len(inside) < 4_500


def forms_in(condition: dict) -> Iterator[str]:
    """The forms of a condition and of those inside it, with what sets sequences apart."""
    form = form_of(condition)
    yield form
    if form == "sequence":
        yield f"{len(condition['sequence'])} steps"
        yield from (key for key in ("same", "then_not") if key in condition)
        yield from (key for step in condition["sequence"] for key in ("max_gap",) if key in step)
        yield from (key for entry in then_nots_of(condition) for key in ("for", "during") if key in entry)
    if form == "not":
        yield from forms_in(condition["not"])
    if form in ("all", "any"):
        for inner in condition[form]:
            yield from forms_in(inner)


def check_random(max_examples: int) -> Counter[str]:
    """Evaluates what the strategies draw and checks that the answers fit each other.

    Returns how often conditions with each form in them changed.
    """
    seen: Counter[str] = Counter()

    @given(rules=rule_files(), log=message_logs(), data=st.data())
    @settings(
        max_examples=max_examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def check(rules, log, data):
        json.dumps(rules)
        asked = Reference(rules, log)
        shuffled = Reference(rules, data.draw(arrivals(log)))
        starts = sorted(parse_instant(message["timestamp"]) for message in log)
        assert starts == [parse_instant(message["timestamp"]) for message in log]
        assert len({message["messageId"] for message in log}) == len(log)
        for name, segment in rules["segments"].items():
            as_of = (starts or [T])[-1] + max(DURATIONS_MS.values())
            intervals = asked.intervals(name, as_of)
            edges = [instant for span in intervals for instant in span if instant is not None]
            assert edges == sorted(set(edges))
            for form in forms_in(segment["when"]):
                seen[form] += edges[-1:] > starts[:1]
            chosen = data.draw(st.lists(st.sampled_from(starts), max_size=3)) if starts else []
            near_edges = [start + ms for start in chosen for ms in (0, *DURATIONS_MS.values())]
            for t in {instant + nudge for instant in [*near_edges, *edges[:4]] for nudge in (-1, 0, 1)}:
                if t > as_of:
                    continue
                member = asked.member(name, t)
                assert member == shuffled.member(name, t)
                assert member == any(a <= t and (b is None or t < b) for a, b in intervals)
                leaves = asked.expires_at(name, t)
                assert member or leaves is None
                if leaves is not None:
                    alone = Reference(rules, [m for m in log if parse_instant(m["timestamp"]) <= t])
                    assert leaves > t
                    assert alone.member(name, leaves - 1)
                    assert not alone.member(name, leaves)
        for name in rules.get("measures", {}):
            assert all(asked.measure(name, t) == shuffled.measure(name, t) for t in starts[-3:])
        for name in rules.get("scores", {}):
            assert all(asked.score(name, t) == shuffled.score(name, t) for t in starts[-3:])

    check()
    return seen


def test_random_rules_and_logs():
    check_random(max_examples=60)


@pytest.mark.long
def test_random_rules_and_logs_of_every_form():
    seen = check_random(max_examples=1_200)
    forms = {"all", "any", "not", "segment", "event", "measure", "sequence", "trait", "score"}
    forms |= {"1 steps", "2 steps", "3 steps", "same", "then_not", "max_gap", "for", "during"}
    assert {form for form in forms if not seen[form]} == set()
