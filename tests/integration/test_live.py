"""Events into a real Pub/Sub, segments out into a real Redis, and whatever else a live run has to deal with."""

import base64
import json
import random
from typing import Any

import pytest

from segmentation.timestamps import format_timestamp, parse_timestamp
from tests.integration.conftest import Shop
from tests.integration.live_job import body, now_ms
from tests.waiting import until

MINUTE_MS = 60_000
DEAD_LETTER_FIELDS = {"payload", "step", "reason", "message", "received_at", "attributes"}


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user of the test's own."""
    return request.node.name


def rows_of(shop: Shop, user: str, segment: str) -> list[dict[str, Any]]:
    return [row for row in shop.job.changes_of(user) if row["segment"] == segment]


def both_rows_of(shop: Shop, user: str, segment: str) -> list[dict[str, Any]]:
    """Returns the entry and the exit; nothing before both are there.

    The local runner can write the exit first, when both wait.
    """
    rows = sorted(rows_of(shop, user, segment), key=lambda row: row["change"])
    return rows if [row["change"] for row in rows] == ["entered", "exited"] else []


def dead_letter(shop: Shop, **attributes: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the row and the attributes of the dead letter whose message had these attributes."""

    def look() -> list[tuple[dict[str, Any], dict[str, str]]]:
        taken = [(json.loads(letter.data), dict(letter.attributes)) for letter in shop.dead_letters.taken()]
        return [(row, attached) for row, attached in taken if row["attributes"] == attributes]

    ((row, attached),) = until(look, "dead letter")
    return row, attached


def enter(shop: Shop, user: str, measured: dict[str, list[float]]) -> None:
    """Publishes a view, and sees that its user was in the segment; on a busy machine that may be over by then."""
    published_ms = now_ms()
    shop.events.publish(body("Product Viewed", user))
    until(lambda: shop.profiles.profile(user), "profile in Redis")
    measured.setdefault("event to Redis", []).append((now_ms() - published_ms) / 1000)
    until(lambda: shop.job.changes_of(user), "row of history")
    measured.setdefault("event to history", []).append((now_ms() - published_ms) / 1000)


def leave(shop: Shop, user: str, measured: dict[str, list[float]]) -> None:
    """Sees a user out, with nothing but heartbeats in the topic."""
    until(lambda: not shop.profiles.segments(user), "exit by time alone")
    entered, exited = until(lambda: both_rows_of(shop, user, "visitor"), "exit's row")
    assert len(shop.job.changes_of(user)) == 2
    assert entered["cause"] == "event"
    assert (exited["change"], exited["cause"], exited["message_id"]) == ("exited", "time", None)
    assert exited["event_time"] == entered["expires_at"]
    lag_ms = parse_timestamp(exited["processed_at"]) - parse_timestamp(exited["event_time"])
    measured.setdefault("instant of an exit to its decision", []).append(lag_ms / 1000)


def test_an_event_is_in_redis_and_in_history_and_time_alone_takes_it_out(
    shop: Shop, user: str, measured: dict[str, list[float]]
) -> None:
    users = [f"{user}-{index}" for index in range(10)]
    for one in users:
        enter(shop, one, measured)
    for one in users:
        leave(shop, one, measured)


def test_a_membership_in_redis_is_that_of_the_history(shop: Shop, user: str) -> None:
    shop.events.publish(body("Order Completed", user))
    (entered,) = until(lambda: shop.job.changes_of(user), "row of history")
    profile = until(lambda: shop.profiles.profile(user), "profile in Redis")
    membership = {"entered_at": entered["event_time"], "expires_at": entered["expires_at"]}
    assert profile["segments"] == {"buyer": membership}


def test_a_phone_that_delivers_late_is_corrected_and_delays_no_one(shop: Shop, user: str) -> None:
    now = now_ms()
    for seconds in (0, 1):
        shop.events.publish(body("Product Viewed", user, now + seconds))
    shop.events.publish(body("Product Viewed", f"{user}-other"))
    until(lambda: shop.profiles.profile(f"{user}-other"), "profile")
    shop.events.publish(body("Product Viewed", user, now - 60 * MINUTE_MS))
    (row,) = until(lambda: rows_of(shop, user, "keen"), "late entry")
    assert (row["change"], row["cause"], row["correction"]) == ("entered", "late_event", True)
    assert parse_timestamp(row["event_time"]) >= now
    entered, _ = until(lambda: both_rows_of(shop, f"{user}-other", "visitor"), "exit at its own time")
    assert not entered["correction"]
    until(lambda: "keen" in shop.profiles.segments(user), "late entry in Redis")
    expires_at = shop.profiles.profile(user)["segments"]["keen"]["expires_at"]
    assert expires_at == format_timestamp(now + 60 * MINUTE_MS), "the late view leaves its window first"


def test_a_repeated_event_changes_nothing(shop: Shop, user: str) -> None:
    order = body("Order Completed", user)
    shop.events.publish(order)
    before = until(lambda: shop.profiles.profile(user), "profile")
    shop.events.publish_all([order] * 25)
    shop.events.publish(body("Order Completed", f"{user}-after"))
    until(lambda: shop.job.changes_of(f"{user}-after"), "change after the repeats")
    assert shop.profiles.profile(user) == before
    assert len(rows_of(shop, user, "buyer")) == 1


def test_shuffled_delivery_ends_with_the_same_members(shop: Shop, user: str) -> None:
    def story(who: str) -> list[bytes]:
        names = ["Product Viewed", "Product Added", "Product Viewed", "Product Viewed", "Order Completed"]
        start = now - 30 * MINUTE_MS
        times = [start + index * MINUTE_MS for index in range(len(names))]
        return [body(name, who, at_ms) for name, at_ms in zip(names, times, strict=True)]

    now = now_ms()
    in_order, shuffled = story(f"{user}-ordered"), story(f"{user}-shuffled")
    random.Random(11).shuffle(shuffled)
    shop.events.publish_all(shuffled)
    for payload in in_order:
        shop.events.publish(payload)

    def expiries(who: str) -> dict[str, str]:
        segments = shop.profiles.profile(who).get("segments", {})
        return {name: membership["expires_at"] for name, membership in segments.items()}

    until(lambda: expiries(f"{user}-ordered").keys() == {"keen", "buyer", "shopper"}, "members in order")
    until(lambda: expiries(f"{user}-shuffled") == expiries(f"{user}-ordered"), "the same of the shuffled")


@pytest.mark.parametrize(
    "payload, reason",
    [
        (b'{"type": "track"', "not_json"),
        (b"\xff\xfe not UTF-8 \x00", "not_json"),
        (b"[1, 2]", "not_an_object"),
        (b'{"type": "track", "messageId": "m1", "timestamp": "2026-03-02T12:00:00Z"}', "missing_id"),
        (b'{"long": "' + b"x" * 50_000 + b'"}', "too_large"),
        (
            b'{"type": "page", "messageId": "m1", "userId": "u", "timestamp": "0008-03-02T12:00:00Z"}',
            "too_old",
        ),
    ],
)
def test_what_is_no_event_is_kept_whole(shop: Shop, user: str, payload: bytes, reason: str) -> None:
    shop.events.publish(payload, source="app", test=user)
    row, attributes = dead_letter(shop, source="app", test=user)
    assert row.keys() - {"encoding"} == DEAD_LETTER_FIELDS
    is_text = "encoding" not in row
    kept = row["payload"].encode() if is_text else base64.b64decode(row["payload"])
    assert kept == payload
    assert is_text == payload.isascii()
    assert row["reason"] == reason
    assert attributes == {"step": "ParseEvents", "reason": reason}
    assert abs(parse_timestamp(row["received_at"]) - now_ms()) < 5 * MINUTE_MS


def test_a_clock_up_to_five_minutes_ahead_is_set_right(shop: Shop, user: str) -> None:
    published_ms = now_ms()
    shop.events.publish(body("Order Completed", user, published_ms + 4 * MINUTE_MS))
    in_topic_ms = now_ms()
    (row,) = until(lambda: shop.job.changes_of(user), "entry")
    assert published_ms <= parse_timestamp(row["event_time"]) <= in_topic_ms
    profile = until(lambda: shop.profiles.profile(user), "profile")
    assert profile["updated_at"] == row["event_time"]


def test_a_clock_further_ahead_is_not_believed(shop: Shop, user: str) -> None:
    payload = body("Order Completed", user, now_ms() + 6 * MINUTE_MS)
    shop.events.publish(payload, test=user)
    row, attributes = dead_letter(shop, test=user)
    assert row["payload"] == payload.decode()
    assert row["reason"] == attributes["reason"] == "future_timestamp"
    assert shop.job.changes_of(user) == []


def test_an_unknown_control_message_is_a_dead_letter(shop: Shop, user: str) -> None:
    payload = body("Order Completed", user)
    shop.events.publish(payload, control="reboot", test=user)
    row, _ = dead_letter(shop, control="reboot", test=user)
    assert row["payload"] == payload.decode()
    assert row["reason"] == "bad_type"
    assert shop.job.changes_of(user) == []


def test_a_heartbeat_is_no_event_whatever_it_holds(shop: Shop, user: str) -> None:
    shop.events.publish(body("Order Completed", user), control="heartbeat", test=user)
    shop.events.publish(b"", control="heartbeat", test=user)
    shop.events.publish(body("Order Completed", f"{user}-after"))
    until(lambda: shop.profiles.profile(f"{user}-after"), "profile after the heartbeats")
    assert shop.job.changes_of(user) == []
    assert user not in shop.profiles.users()
    assert not [m for m in shop.dead_letters.taken() if json.loads(m.data)["attributes"].get("test") == user]


def test_changes_are_published_with_what_subscribers_filter_on(shop: Shop, user: str) -> None:
    shop.events.publish(body("Product Viewed", user))
    until(lambda: len(shop.job.changes_of(user)) == 2, "entry and exit")

    def published() -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
        rows = [(json.loads(message.data), dict(message.attributes)) for message in shop.changes.taken()]
        return {row["change"]: (row, attributes) for row, attributes in rows if row["profile_id"] == user}

    until(lambda: published().keys() == {"entered", "exited"}, "two changes")
    for row in shop.job.changes_of(user):
        message, attributes = published()[row["change"]]
        assert message == row
        names = ("change_id", "profile_id", "segment", "change", "cause")
        assert attributes == {**{name: row[name] for name in names}, "correction": "false"}
