import contextlib

import pytest

from services.collector.errors import RefusedRequest, Unavailable
from services.collector.memory_budget import ArrivingBodies, MemoryBudget


def test_held_memory_is_bounded_and_comes_back():
    budget = MemoryBudget(100)
    with budget.hold(60) as first:
        with pytest.raises(Unavailable) as refused, budget.hold(41):
            pass
        assert (refused.value.code, budget.held_bytes) == ("too_busy", 60)
        with budget.hold(40):
            assert budget.held_bytes == 100
            with pytest.raises(Unavailable):
                first.resize(61)
            first.resize(10)
            assert budget.held_bytes == 50
    assert budget.held_bytes == 0


def test_what_is_larger_than_all_memory_is_refused_for_good():
    budget = MemoryBudget(100)
    with pytest.raises(RefusedRequest) as refused, budget.hold(101):
        pass
    assert (refused.value.status, refused.value.code, refused.value.retry_after_seconds) == (
        413,
        "too_large",
        None,
    )
    assert budget.held_bytes == 0


def test_memory_comes_back_after_an_error():
    budget = MemoryBudget(100)
    with contextlib.suppress(ZeroDivisionError), budget.hold(100):
        raise ZeroDivisionError
    assert budget.held_bytes == 0


class Arriving:
    """Bodies that arrive, which stay until the test ends."""

    def __init__(self, max_bytes):
        self.bodies = ArrivingBodies(max_bytes)
        self.gave_way = []
        self.stack = contextlib.ExitStack()

    def begin(self, name, address=None, source=None):
        return self.stack.enter_context(
            self.bodies.enter(address or name, source, lambda: self.gave_way.append(name))
        )


def test_the_oldest_body_gives_way():
    arriving = Arriving(1000)
    with arriving.stack:
        bodies = {}
        for name, source in (("a", "s1"), ("b", "s1"), ("c", "s2"), ("d", "s2")):
            bodies[name] = arriving.begin(name, source=source)
            bodies[name].add(bytes(240))
        assert (arriving.bodies.size_bytes, arriving.gave_way) == (960, [])
        bodies["e"] = arriving.begin("e", source="s3")
        bodies["e"].add(bytes(240))
        assert (arriving.bodies.size_bytes, arriving.gave_way) == (960, ["a"])
        assert bodies["a"].content == b""
        with pytest.raises(Unavailable):
            bodies["a"].add(b"x")
        assert len(bodies["b"].content) == 240
    assert arriving.bodies.size_bytes == 0


@pytest.mark.parametrize(
    "address, source, share",
    [("same", None, 400), (None, None, 400), ("same", "web", 400), (None, "web", 600)],
)
def test_an_address_a_source_and_those_without_a_key_have_a_share(address, source, share):
    arriving = Arriving(1200)
    with arriving.stack:
        other = arriving.begin("other", source="server")
        other.add(bytes(200))
        for number in range(20):
            arriving.begin(f"n{number}", address, source).add(bytes(50))
            assert arriving.bodies.size_bytes <= 200 + share
        assert arriving.bodies.size_bytes == 200 + share
        assert len(other.content) == 200
        assert arriving.gave_way == [f"n{number}" for number in range(20 - share // 50)]


def test_a_body_that_finds_no_room_although_all_others_gave_way_is_refused():
    arriving = Arriving(900)
    with arriving.stack:
        body = arriving.begin("a")
        body.add(bytes(300))
        with pytest.raises(Unavailable):
            body.add(b"x")
        assert arriving.gave_way == ["a"]
    assert arriving.bodies.size_bytes == 0


def test_a_body_without_bytes_makes_no_room_by_giving_way():
    arriving = Arriving(900)
    with arriving.stack:
        arriving.begin("empty", "one")
        arriving.begin("a", "one").add(bytes(200))
        arriving.begin("b", "one").add(bytes(200))
        assert arriving.gave_way == ["a"]


def test_nothing_is_kept_of_those_who_have_gone():
    bodies = ArrivingBodies()
    for number in range(100):
        with bodies.enter(f"address-{number}", None, lambda: None) as body:
            body.add(b"x")
    assert bodies._rooms == {}
