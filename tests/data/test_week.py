"""The synthetic week: the same seed gives the same log, and the log has what it promises."""

import gzip
import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from data import counts
from data.week import Message, WeekConfig, generate_week
from data.week.__main__ import main

DATA = Path(__file__).parents[2] / "data"
SMALL = WeekConfig(shoppers=60)
ON_TIME = WeekConfig(shoppers=300, late_share=0.0)
HOUR_MS = 3_600_000

RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
DOCUMENTATION_IP = re.compile(r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}", re.ASCII)


def ms(timestamp: str) -> int:
    at = datetime.fromisoformat(timestamp)
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def cents(amount: float) -> int:
    whole = round(amount * 100)
    assert amount == whole / 100, f"{amount} has more than two decimals"
    return whole


def encode(messages: list[Message]) -> bytes:
    return b"".join(json.dumps(message, separators=(",", ":")).encode() + b"\n" for message in messages)


def tracked(messages: list[Message], event: str) -> list[Message]:
    return [message for message in messages if message.get("event") == event]


def by_event_time(messages: list[Message]) -> list[Message]:
    """Each message once, as it happened."""
    once = {message["messageId"]: message for message in messages}
    return sorted(once.values(), key=lambda message: message["timestamp"])


@pytest.fixture(scope="module")
def committed() -> bytes:
    return gzip.decompress((DATA / "shop_week.jsonl.gz").read_bytes())


@pytest.fixture(scope="module")
def week(committed: bytes) -> list[Message]:
    return [json.loads(line) for line in committed.splitlines()]


# The generator.


def test_the_committed_log_is_what_the_default_config_gives(committed: bytes) -> None:
    assert encode(list(generate_week(WeekConfig()))) == committed


def test_the_committed_log_is_small() -> None:
    assert (DATA / "shop_week.jsonl.gz").stat().st_size < 3_000_000


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first.gz", "second.gz", "other.gz"))
    for path, seed in ((first, 1), (second, 1), (other, 2)):
        main(["--out", str(path), "--seed", str(seed), "--shoppers", "20", "--days", "2"])
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()) != gzip.decompress(other.read_bytes())


def test_more_days_give_more_messages() -> None:
    month = sum(1 for _ in generate_week(WeekConfig(shoppers=60, days=28)))
    assert month > 3 * sum(1 for _ in generate_week(SMALL))


@pytest.mark.parametrize(
    "wrong",
    [
        {"shoppers": 0},
        {"days": 0},
        {"repeat_share": 1.5},
        {"late_min_hours": 3.0, "late_max_hours": 2.0},
        {"start": datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)},
    ],
)
def test_a_wrong_config_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WeekConfig(**wrong)


def test_the_command_refuses_a_wrong_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--out", str(tmp_path / "log.gz"), "--days", "0"])
    assert "days must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "log.gz").exists()


# Every message.


def assert_valid(message: Message) -> None:
    """The rules for an event that the pipeline accepts, and this log's own stricter ones."""
    assert message["type"] in ("track", "identify", "page", "screen")
    assert isinstance(message["messageId"], str)
    assert message["messageId"]
    ids = [message[key] for key in ("userId", "anonymousId") if key in message]
    assert ids
    assert all(isinstance(value, str) and value for value in ids)
    for key in ("timestamp", "originalTimestamp", "sentAt", "receivedAt"):
        assert RFC3339_MS.fullmatch(message[key])
    assert ("event" in message) == (message["type"] == "track")
    for key in ("properties", "traits", "context"):
        assert isinstance(message.get(key, {}), dict)
    assert len(json.dumps(message).encode()) <= 32 * 1024


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_message_is_valid_whatever_the_seed(seed: int) -> None:
    messages = list(generate_week(WeekConfig(seed=seed, shoppers=60)))
    assert len(messages) > 1_000
    for message in messages:
        assert_valid(message)


def test_every_message_of_the_log_is_valid(week: list[Message]) -> None:
    assert 30_000 <= len(week) <= 40_000
    for message in week:
        assert_valid(message)


def test_the_names_of_events_are_segments(week: list[Message]) -> None:
    lines = (DATA / "segment_ecommerce_examples.jsonl").read_text().splitlines()
    names = {json.loads(line)["heading"] for line in lines}
    assert {message["event"] for message in week if "event" in message} < names


def test_times_fit_each_other(week: list[Message]) -> None:
    start_ms, end_ms = ms("2026-03-02T00:00:00.000Z"), ms("2026-03-09T00:00:00.000Z")
    for message in week:
        at_ms, received_ms = ms(message["timestamp"]), ms(message["receivedAt"])
        assert start_ms <= at_ms <= received_ms < end_ms
        assert at_ms == received_ms - (ms(message["sentAt"]) - ms(message["originalTimestamp"]))


def test_messages_stand_in_order_of_arrival(week: list[Message]) -> None:
    assert all(a["receivedAt"] <= b["receivedAt"] for a, b in pairwise(week))
    assert sum(a["timestamp"] > b["timestamp"] for a, b in pairwise(week)) > 1_000


def test_nobody_in_the_log_is_real(week: list[Message]) -> None:
    addresses = {message["context"]["ip"] for message in week if "ip" in message["context"]}
    emails = {message["traits"]["email"] for message in week if message["type"] == "identify"}
    assert len(addresses) > 100
    assert len(emails) > 100
    assert [address for address in addresses if not DOCUMENTATION_IP.fullmatch(address)] == []
    assert [email for email in emails if not email.endswith("@example.com")] == []


# What the log promises.


def test_visitors_are_anonymous_then_identified(week: list[Message]) -> None:
    anonymous: set[str] = set()
    identified: set[str] = set()
    for message in by_event_time(week):
        if "userId" not in message:
            anonymous.add(message["anonymousId"])
        elif message["type"] == "identify" and message["anonymousId"] in anonymous:
            identified.add(message["anonymousId"])
    assert len(identified) > 150
    devices = {message["anonymousId"] for message in week if "anonymousId" in message}
    signed_in = {m["anonymousId"] for m in week if "userId" in m and "anonymousId" in m}
    assert len(devices - signed_in) > 150


def test_a_user_id_follows_an_identify_of_its_device() -> None:
    known: set[tuple[str, str]] = set()
    for message in by_event_time(list(generate_week(ON_TIME))):
        if "userId" not in message or "anonymousId" not in message:
            continue
        pair = (message["userId"], message["anonymousId"])
        if message["type"] == "identify":
            known.add(pair)
        assert pair in known
    assert len(known) > 100


def test_users_have_several_devices(week: list[Message]) -> None:
    devices: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    for message in week:
        if "userId" in message and "anonymousId" in message:
            devices[message["userId"]].add(message["anonymousId"])
            owners[message["anonymousId"]].add(message["userId"])
    assert sum(len(ids) >= 2 for ids in devices.values()) > 40
    assert any(len(ids) == 3 for ids in devices.values())
    assert all(len(ids) == 1 for ids in owners.values())


def test_removals_and_orders_follow_what_is_in_the_cart() -> None:
    carts: dict[str, Counter[str]] = defaultdict(Counter)  # by device
    removals = orders = 0
    for message in by_event_time(list(generate_week(ON_TIME))):
        properties = message.get("properties", {})
        cart = carts[message.get("anonymousId", "")]
        match message.get("event"):
            case "Product Added":
                cart[properties["product_id"]] += properties["quantity"]
            case "Product Removed":
                assert cart.pop(properties["product_id"]) == properties["quantity"]
                removals += 1
            case "Order Completed":
                assert cart == {line["product_id"]: line["quantity"] for line in properties["products"]}
                cart.clear()
                orders += 1
    assert removals > 50
    assert orders > 50


def test_removals_are_there(week: list[Message]) -> None:
    assert len(tracked(week, "Product Removed")) > 200


def test_checkouts_are_left_at_every_step(week: list[Message]) -> None:
    reached: dict[str, int] = {}
    for message in tracked(week, "Checkout Step Viewed"):
        properties = message["properties"]
        reached[properties["checkout_id"]] = max(
            properties["step"], reached.get(properties["checkout_id"], 0)
        )
    paid = {message["properties"]["checkout_id"] for message in tracked(week, "Order Completed")}
    left_at = Counter(step for checkout_id, step in reached.items() if checkout_id not in paid)
    assert set(left_at) == {1, 2, 3}
    assert min(left_at.values()) > 10
    assert len(paid) > 200
    assert len(tracked(week, "Payment Info Entered")) >= len(paid)


def test_sums_of_an_order_fit_its_products(week: list[Message]) -> None:
    orders = tracked(week, "Order Completed") + tracked(week, "Checkout Started")
    assert len(orders) > 400
    assert 0 < sum("coupon" in message["properties"] for message in orders) < len(orders)
    for properties in (message["properties"] for message in orders):
        lines = sum(cents(line["price"]) * line["quantity"] for line in properties["products"])
        revenue, discount = cents(properties["revenue"]), cents(properties["discount"])
        assert revenue == lines - discount
        assert cents(properties.get("subtotal", properties["revenue"])) == revenue
        total = cents(properties["total"] if "total" in properties else properties["value"])
        assert total == revenue + cents(properties["shipping"]) + cents(properties["tax"])
        assert (discount > 0) == ("coupon" in properties)
        assert 0 <= discount < lines
        assert total > 0


def test_an_order_id_is_of_one_order(week: list[Message]) -> None:
    order_ids = [m["properties"]["order_id"] for m in tracked(by_event_time(week), "Order Completed")]
    assert len(set(order_ids)) == len(order_ids)


def test_refunds_are_of_earlier_orders_and_never_above_them(week: list[Message]) -> None:
    orders = {message["properties"]["order_id"]: message for message in tracked(week, "Order Completed")}
    refunds = tracked(by_event_time(week), "Order Refunded")
    whole = 0
    for refund in refunds:
        order = orders[refund["properties"]["order_id"]]
        assert refund["timestamp"] > order["timestamp"]
        refunded, paid = cents(refund["properties"]["total"]), cents(order["properties"]["total"])
        assert 0 < refunded <= paid
        whole += refunded == paid
    assert len(refunds) > 15
    assert 0 < whole < len(refunds)


def test_phones_deliver_hours_late(week: list[Message]) -> None:
    late = [m for m in week if ms(m["receivedAt"]) - ms(m["timestamp"]) >= HOUR_MS]
    assert len(late) > 500
    assert sum(ms(m["receivedAt"]) - ms(m["timestamp"]) >= 6 * HOUR_MS for m in late) > 200
    assert {message["context"]["device"]["type"] for message in late} == {"ios", "android"}


def test_some_messages_come_twice(week: list[Message]) -> None:
    first: dict[str, Message] = {}
    repeats = 0
    for message in week:
        original = first.setdefault(message["messageId"], message)
        if original is message:
            continue
        repeats += 1
        apart_ms = ms(message["receivedAt"]) - ms(original["receivedAt"])
        assert 2_000 <= apart_ms <= 300_000
        assert {**message, "sentAt": "", "receivedAt": ""} == {**original, "sentAt": "", "receivedAt": ""}
    assert 200 < repeats < 0.02 * len(week)


def test_bots_view_faster_than_people(week: list[Message]) -> None:
    views_by_minute: Counter[tuple[str, str]] = Counter()
    for message in tracked(week, "Product Viewed"):
        views_by_minute[message["anonymousId"], message["timestamp"][:16]] += 1
    bots = {anonymous_id for (anonymous_id, _), views in views_by_minute.items() if views > 100}
    assert len(bots) >= 3
    assert max(views_by_minute.values()) >= 200
    assert max(views for (visitor, _), views in views_by_minute.items() if visitor not in bots) < 20
    agents = {m["context"]["userAgent"] for m in week if m.get("anonymousId") in bots}
    assert {"ExampleBot" in agent for agent in agents} == {True, False}


def test_evenings_are_busier_than_nights(week: list[Message]) -> None:
    people = [m for m in week if m["type"] in ("page", "screen")]
    hours = Counter(datetime.fromisoformat(m["timestamp"]).astimezone(UTC).hour for m in people)
    assert sum(hours[hour] for hour in range(19, 22)) > 10 * sum(hours[hour] for hour in range(2, 5))


def test_few_products_draw_most_views(week: list[Message]) -> None:
    shown = [message for message in week if message["type"] == "page" and message["name"] == "Product"]
    views = [number for _, number in Counter(m["properties"]["path"] for m in shown).most_common()]
    assert sum(views[: len(views) // 5]) > sum(views) / 2


# The other logs.


def test_the_readme_holds_the_counts_of_the_logs(capsys: pytest.CaptureFixture[str]) -> None:
    counts.main()
    assert capsys.readouterr().out in (DATA / "README.md").read_text()
