"""What a snapshot says of itself: that it says nothing, is of a visitor, or that an earlier one said something."""

import msgspec
import pytest

from segmentation.memberships import Snapshot
from segmentation.profile.profile import open_profile
from tests.segmentation.folding import NOW_MS, Fold, rules_of

DAY_MS = 86_400_000
START_MS = 1_772_452_800_000
CONTENT = {
    "version": 1,
    "export_traits": ["plan"],
    "measures": {
        "views_1h": {"event": "Product Viewed", "within": "1h", "count": {}},
        "spend_90d": {"event": "Order Completed", "within": "90d", "sum": {"of": "properties.total"}},
        "last_color": {"event": "Color Chosen", "within": "1h", "last": {"of": "properties.color"}},
    },
    "scores": {"interest": {"half_life": "7d", "earn": [{"event": "Product Added", "points": 5}]}},
    "segments": {
        "in_cart": {"when": {"event": "Cart Viewed", "within": "1h"}},
        "bot": {"when": {"event": "*", "within": "1m", "count": {"at_least": 60}}},
    },
}


def message(seconds: float, name: str, user_id: str | None = None, **properties: object) -> dict[str, object]:
    """Returns a message of the device `user-1`, or of a user of that id."""
    ids = {"anonymousId": "user-1"} if user_id is None else {"userId": user_id}
    at = f"2026-03-02T12:{seconds // 60:02.0f}:{seconds % 60:02.0f}.000Z"
    call: dict[str, object] = {"type": "page"} if name == "$page" else {"type": "track", "event": name}
    if name == "$identify":
        call = {"type": "identify", "traits": properties}
    return {**call, **ids, "messageId": f"{name}-{seconds}", "timestamp": at, "properties": properties}


@pytest.fixture(params=[False, True], ids=["open", "reopened"])
def fold(request: pytest.FixtureRequest) -> Fold:
    return Fold(rules_of(CONTENT), reopened=request.param)


def told(snapshot: Snapshot | None) -> tuple[bool, bool, bool]:
    assert snapshot is not None
    return snapshot.is_empty, snapshot.is_visitor, snapshot.was_served


def test_a_page_view_of_a_visitor_says_nothing(fold: Fold) -> None:
    assert told(fold.apply(message(0, "$page")).snapshot) == (True, True, False)
    assert fold.apply(message(1, "$page")).snapshot is None


def test_a_page_view_of_a_user_says_nothing_either(fold: Fold) -> None:
    assert told(fold.apply(message(0, "$page", "user-1")).snapshot) == (True, False, False)


@pytest.mark.parametrize(
    "said",
    [
        message(1, "Cart Viewed"),
        message(1, "Product Added"),
        message(1, "$identify", plan="gold"),
        message(1, "Product Viewed"),
        message(1, "Order Completed", total=1),
        message(1, "Color Chosen", color=False),
        message(1, "Color Chosen", color=0),
    ],
    ids=["segment", "score", "trait", "count", "sum", "false", "zero"],
)
def test_each_part_of_a_snapshot_says_something(fold: Fold, said: dict[str, object]) -> None:
    fold.apply(message(0, "$page"))
    assert told(fold.apply(said).snapshot) == (False, True, False)
    assert told(fold.apply(message(2, "Product Added")).snapshot) == (False, True, True)


def test_measures_as_of_no_event_say_nothing(fold: Fold) -> None:
    assert told(fold.apply(message(0, "Order Completed", total=0)).snapshot) == (True, True, False)
    assert told(fold.apply(message(1, "Order Completed", total=5)).snapshot) == (False, True, False)
    assert told(fold.apply(message(2, "Order Completed", total=-5)).snapshot) == (True, True, True)


def test_a_visitor_that_enters_and_leaves_says_nothing_any_more(fold: Fold) -> None:
    fold.apply(message(0, "$page"))
    assert told(fold.apply(message(1, "Cart Viewed")).snapshot) == (False, True, False)
    (change,) = (left := fold.advance(START_MS + DAY_MS)).changes
    assert change.change == "exited"
    assert told(left.snapshot) == (True, True, True)


def test_a_visitor_who_becomes_a_user_is_written_again(fold: Fold) -> None:
    """A user's key lives longer, so the store must hear of it though nothing that is served differs."""
    fold.apply(message(0, "Product Added"))
    assert fold.apply(message(1, "$page")).snapshot is None
    assert told(fold.apply(message(2, "$page", "user-1")).snapshot) == (False, False, True)
    assert fold.apply(message(3, "$page")).snapshot is None
    assert told(fold.apply(message(4, "Product Added")).snapshot) == (False, False, True)


def test_a_visitor_of_whom_nothing_was_said_becomes_a_user_in_silence(fold: Fold) -> None:
    fold.apply(message(0, "$page"))
    assert fold.apply(message(1, "$page", "user-1")).snapshot is None


def test_other_rules_say_nothing_of_a_visitor_of_whom_nothing_was_said(fold: Fold) -> None:
    fold.apply(message(0, "$page"))
    fold.reopen(rules_of({"version": 1, "segments": {"other": {"when": {"event": "Other", "within": "1h"}}}}))
    assert told(fold.apply(message(1, "$page")).snapshot) == (True, True, False)


@pytest.mark.parametrize("was_served", [False, True])
def test_a_forgotten_profile_leaves_a_version_only_if_something_was_said(was_served: bool) -> None:
    fold = Fold(rules_of(CONTENT), ttl_ms=DAY_MS)
    fold.apply(message(0, "Cart Viewed" if was_served else "$page"))
    gone = fold.advance(START_MS + 100 * DAY_MS).snapshot
    assert gone is not None
    assert (gone.deleted, gone.was_served) == (True, was_served)


def test_a_profile_that_comes_back_at_once_knows_what_was_said_of_it() -> None:
    """Its earlier snapshot can still be under way, so the version has to stand in its way."""
    fold = Fold(rules_of(CONTENT), ttl_ms=DAY_MS)
    fold.apply(message(0, "Cart Viewed"))
    later = {**message(0, "$page"), "messageId": "later", "timestamp": "2026-09-01T12:00:00.000Z"}
    back = fold.apply(later)
    assert [change.cause for change in back.changes] == ["time"]
    assert told(back.snapshot) == (True, True, True)


def test_a_state_of_an_earlier_version_counts_as_a_user_with_a_key() -> None:
    rules = rules_of(CONTENT)
    fold = Fold(rules)
    fold.apply(message(0, "$page"))
    encoded = fold.profile.encode()
    earlier = encoded[:1] + msgspec.msgpack.encode(msgspec.msgpack.decode(encoded[1:])[:13])
    profile = open_profile("user-1", rules, DAY_MS, earlier, NOW_MS)
    assert (profile.state.has_user_id, profile.state.was_served) == (True, True)
