import asyncio
import base64
import gzip
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import ClientDisconnect, Request

from segmentation.identifiers import parse_ignored_ids
from segmentation.timestamps import parse_timestamp
from services.collector import intake
from services.collector.bodies import GRACE_SECONDS, MAX_BODY_BYTES, MAX_EVENTS, open_object
from services.collector.completion import Received
from services.collector.errors import RefusedRequest, Unavailable
from services.collector.fields import Fields
from services.collector.intake import Answer, Intake
from services.collector.memory_budget import (
    COPIES,
    MAX_ARRIVING_BYTES,
    MAX_PENDING_BYTES,
    MEMORY_PER_PENDING_BYTE,
)
from services.collector.messages import PlanViolation, Refusal
from services.collector.metrics import Metrics
from services.collector.publisher import TopicPublisher
from services.collector.settings import Settings, Source
from tests.services.collector.virtual_time import others_have_run, run

NOON_MS = parse_timestamp("2026-03-02T12:00:00Z")
SHOP = "https://shop.example"
WEB = Source(name="web", write_key="web-key-1", allowed_origins=[SHOP])
SERVER = Source(name="server", write_key="server-key-1")
OFF = Source(name="off", write_key="off-key-1", enabled=False)
SLOW = Source(name="slow", write_key="slow-key-1", events_per_second=2)
SOURCES = [WEB, SERVER, OFF, SLOW]
UNAVAILABLE = Unavailable("pubsub_unavailable", "Pub/Sub did not accept the events; try again")
EVENT = {"type": "track", "messageId": "m1", "userId": "ann", "event": "Product Added"}
BAD = {**EVENT, "type": "click"}
REFUSED = Refusal(1, "bad_type", "type: expected one of alias, group, identify, page, screen, track")


class FakePublisher(TopicPublisher):
    """Takes messages, or fails, or keeps whoever publishes waiting."""

    def __init__(self, failure: Exception | None = None, *, is_silent: bool = False) -> None:
        self.calls: list[list[bytes]] = []
        self.speaks = asyncio.Event()
        self._failure = failure
        if not is_silent:
            self.speaks.set()

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [json.loads(message) for call in self.calls for message in call]

    async def publish(self, messages: list[bytes]) -> None:
        self.calls.append(messages)
        await self.speaks.wait()
        if self._failure is not None:
            raise self._failure


class Collector:
    """An intake with fakes around it."""

    def __init__(
        self,
        events: FakePublisher | None = None,
        dead_letters: FakePublisher | None = None,
        **options: Any,
    ) -> None:
        self.events = events or FakePublisher()
        self.dead_letters = dead_letters or FakePublisher()
        self.metrics = Metrics()
        self.seconds = 0.0
        self.intake = Intake(
            Settings(version=1, sources=SOURCES),
            self.events,
            self.dead_letters,
            self.metrics,
            clock=lambda: NOON_MS,
            monotonic=lambda: self.seconds,
            **options,
        )

    def take(self, request: Request, kind: str | None = None) -> Answer:
        return run(self.intake.take(request, kind))

    def refusal(self, request: Request, kind: str | None = None) -> RefusedRequest:
        with pytest.raises(RefusedRequest) as caught:
            self.take(request, kind)
        return caught.value

    @property
    def counted(self) -> dict[tuple[str, ...], float]:
        """Returns what is not 0, by the metric's name and the values of its labels, in the order of their names."""
        families = text_string_to_metric_families(self.metrics.exposition().decode())
        return {
            (sample.name.removeprefix("collector_events_"), *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        }


class Sender:
    """What a client sends: chunks of a body, and then its end, silence, or nothing more because it is gone."""

    def __init__(self, *chunks: bytes, then: str = "end") -> None:
        self._chunks = list(chunks)
        self._then = then
        self.has_been_read = False

    async def __call__(self) -> dict[str, Any]:
        self.has_been_read = True
        if self._chunks:
            return {"type": "http.request", "body": self._chunks.pop(0), "more_body": True}
        if self._then == "silence":
            await asyncio.Event().wait()
        return {"type": "http.disconnect" if self._then == "gone" else "http.request"}


def basic(write_key: str) -> str:
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()


def request_of(
    body: Any = None,
    *,
    key: str | None = SERVER.write_key,
    query: str = "",
    sender: Any = None,
    **headers: str,
) -> Request:
    """Returns a request with a body in JSON; `key` goes into Basic authentication."""
    if key is not None:
        headers["authorization"] = basic(key)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/batch",
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("203.0.113.77", 50_000),
    }
    return Request(scope, sender or Sender(body if isinstance(body, bytes) else json.dumps(body).encode()))


def batch(*events: Any, **fields: Any) -> dict[str, Any]:
    return {"batch": list(events), **fields}


# What becomes of the events


def test_the_events_of_a_batch_are_published_in_one_call_and_counted() -> None:
    collector = Collector()
    answer = collector.take(request_of(batch(EVENT, {**EVENT, "messageId": "m2"})))
    assert answer == Answer(published=2, dead_lettered=[])
    (call,) = collector.events.calls
    assert [json.loads(message)["messageId"] for message in call] == ["m1", "m2"]
    assert collector.counted == {("published_total", "server"): 2}


def test_a_call_is_one_event_of_the_paths_kind() -> None:
    collector = Collector()
    assert collector.take(request_of({"userId": "ann", "messageId": "m1"}), "identify") == Answer(1, [])
    (message,) = collector.events.taken
    assert (message["type"], message["userId"]) == ("identify", "ann")


def test_a_bad_event_is_a_dead_letter_and_the_others_go_on() -> None:
    collector = Collector()
    answer = collector.take(request_of(batch(EVENT, BAD, {**EVENT, "userId": 5}, EVENT)))
    assert answer.published == 2
    assert [(refusal.index, refusal.reason) for refusal in answer.dead_lettered] == [
        (1, "bad_type"),
        (2, "bad_field"),
    ]
    letters = collector.dead_letters.taken
    assert [refusal.message for refusal in answer.dead_lettered] == [letter["message"] for letter in letters]
    assert "userId" in answer.dead_lettered[1].message
    assert [letter["reason"] for letter in letters] == ["bad_type", "bad_field"]
    assert collector.counted == {
        ("published_total", "server"): 2,
        ("dead_lettered_total", "bad_type", "server"): 1,
        ("dead_lettered_total", "bad_field", "server"): 1,
    }


@pytest.mark.parametrize("events, calls", [([EVENT], (1, 0)), ([BAD], (0, 1)), ([], (0, 0))])
def test_a_topic_without_messages_is_not_called(events: list[Any], calls: tuple[int, int]) -> None:
    collector = Collector()
    collector.take(request_of(batch(*events)))
    assert (len(collector.events.calls), len(collector.dead_letters.calls)) == calls


def test_the_tracking_plan_rejects_or_flags() -> None:
    def check(name: str, message: dict[str, Any]) -> PlanViolation | None:
        return {"Wrong": PlanViolation("reject", "no"), "Odd": PlanViolation("flag", "hm")}.get(name)

    collector = Collector(plan_check=check)
    events = [{**EVENT, "event": name} for name in ("Wrong", "Odd", "Right")]
    assert collector.take(request_of(batch(*events))) == Answer(2, [Refusal(0, "tracking_plan", "no")])
    assert [message["event"] for message in collector.events.taken] == ["Odd", "Right"]
    assert collector.counted == {
        ("published_total", "server"): 2,
        ("flagged_total", "server"): 1,
        ("dead_lettered_total", "tracking_plan", "server"): 1,
    }


def test_ids_that_are_none_and_repaired_times_are_counted() -> None:
    collector = Collector()
    events = [
        {**EVENT, "userId": "undefined", "anonymousId": "a1"},
        {**EVENT, "userId": "null", "anonymousId": " "},
        {**EVENT, "timestamp": "0001-01-01T00:00:00Z"},
        {**EVENT, "timestamp": "2026-03-02 11:00:00+00"},
        {**EVENT, "timestamp": "2026-03-02 10:00:00+00", "sentAt": "2026-03-02T10:00:00Z"},
        {**EVENT, "timestamp": 0, "type": "click"},
    ]
    collector.take(request_of(batch(*events, sentAt="noon")))
    assert collector.counted == {
        ("published_total", "server"): 4,
        ("dead_lettered_total", "missing_id", "server"): 1,
        ("dead_lettered_total", "bad_type", "server"): 1,
        ("collector_ids_ignored_total", "server"): 3,
        ("collector_times_repaired_total", "zero_time", "server"): 2,
        ("collector_times_repaired_total", "spelling", "server"): 2,
        ("collector_times_repaired_total", "clock_error", "server"): 1,
        ("collector_times_repaired_total", "unreadable_sent_at", "server"): 5,
    }


def test_the_ids_that_stand_for_none_can_be_chosen() -> None:
    collector = Collector(ignored_ids=parse_ignored_ids("# of our app\nnobody\n"))
    answer = collector.take(request_of(batch({**EVENT, "userId": "Nobody"}, {**EVENT, "userId": "guest"})))
    assert [message["userId"] for message in collector.events.taken] == ["guest"]
    (refusal,) = answer.dead_lettered
    assert (refusal.reason, "Nobody" in refusal.message) == ("missing_id", True)


@pytest.mark.parametrize("proxies, address", [(0, "203.0.113.77"), (1, "198.51.100.2")])
def test_an_event_gets_the_time_of_arrival_and_the_clients_address(proxies: int, address: str) -> None:
    collector = Collector(trusted_proxies=proxies)
    headers = {"x_forwarded_for": "192.0.2.1, 198.51.100.2", "user_agent": "agent"}
    collector.take(request_of(batch(EVENT), **headers))
    (message,) = collector.events.taken
    assert message["receivedAt"] == "2026-03-02T12:00:00.000Z"
    assert message["context"] == {"ip": address, "userAgent": "agent"}


# Pub/Sub's word


def test_it_answers_only_when_both_topics_took_all() -> None:
    async def take(collector: Collector) -> None:
        taking = asyncio.create_task(collector.intake.take(request_of(batch(EVENT, BAD)), None))
        await asyncio.sleep(60)
        assert (len(collector.events.calls), len(collector.dead_letters.calls)) == (1, 1)
        assert not taking.done()
        collector.dead_letters.speaks.set()
        assert await taking == Answer(1, [REFUSED])

    run(take(Collector(dead_letters=FakePublisher(is_silent=True))))


@pytest.mark.parametrize("failing", ["events", "dead_letters"])
def test_where_one_topic_fails_the_request_fails_and_counts_as_nothing(failing: str) -> None:
    collector = Collector(**{failing: FakePublisher(UNAVAILABLE)})
    assert collector.refusal(request_of(batch(EVENT, BAD))) is UNAVAILABLE
    assert (len(collector.events.calls), len(collector.dead_letters.calls)) == (1, 1), "both were tried"
    assert collector.counted == {}


def test_where_one_topic_fails_the_other_is_waited_for() -> None:
    async def take(collector: Collector) -> None:
        taking = asyncio.create_task(collector.intake.take(request_of(batch(EVENT, BAD)), None))
        await asyncio.sleep(60)
        assert not taking.done()
        collector.dead_letters.speaks.set()
        with pytest.raises(Unavailable):
            await taking

    run(take(Collector(FakePublisher(UNAVAILABLE), FakePublisher(is_silent=True))))


# Whose the request is


@pytest.mark.parametrize(
    "basic_key, body_key, address_key, header_key",
    [
        (WEB.write_key, None, None, None),
        (None, WEB.write_key, None, None),
        (None, None, WEB.write_key, None),
        (None, None, None, WEB.write_key),
        (WEB.write_key, "other", "other", "other"),
        (None, "other", WEB.write_key, "other"),
        (None, "other", None, WEB.write_key),
        (None, None, WEB.write_key, "other"),
    ],
)
def test_the_write_key_is_taken_from_the_first_place_that_has_one(
    basic_key: str | None, body_key: str | None, address_key: str | None, header_key: str | None
) -> None:
    body = batch(EVENT) if body_key is None else batch(EVENT, writeKey=body_key)
    query = "" if address_key is None else f"writeKey={address_key}"
    headers = {} if header_key is None else {"x_write_key": header_key}
    request = request_of(body, key=basic_key, query=query, **headers)
    collector = Collector()
    collector.take(request)
    assert request.state.source is WEB
    assert collector.counted == {("published_total", "web"): 1}


@pytest.mark.parametrize("key", ["wrong-key", "", None])
def test_an_unknown_key_or_none_is_refused(key: str | None) -> None:
    collector = Collector()
    refused = collector.refusal(request_of(batch(EVENT), key=key))
    assert (refused.status, refused.code) == (401, "bad_write_key")
    assert collector.events.calls == []


def test_a_disabled_source_is_refused_and_known() -> None:
    request = request_of(batch(EVENT), key=OFF.write_key)
    refused = Collector().refusal(request)
    assert (refused.status, refused.code) == (404, "source_disabled")
    assert request.state.source is OFF


@pytest.mark.parametrize("key", [WEB.write_key, SERVER.write_key])
def test_a_page_of_another_origin_is_refused(key: str) -> None:
    collector = Collector()
    refused = collector.refusal(request_of(batch(EVENT), key=key, origin="https://evil.example"))
    assert (refused.status, refused.code) == (403, "bad_origin")
    assert collector.events.calls == []


def test_a_page_of_an_allowed_origin_is_taken() -> None:
    assert Collector().take(request_of(batch(EVENT), key=WEB.write_key, origin=SHOP)) == Answer(1, [])


# Bodies


def test_a_wrong_key_is_refused_before_the_body_is_opened() -> None:
    assert Collector().refusal(request_of(b"{", key="wrong-key")).code == "bad_write_key"
    assert Collector().refusal(request_of(b"{", key=None)).code == "bad_write_key"
    assert Collector().refusal(request_of(b'{"writeKey":"web-key-1"', key=None)).code == "not_json"


@pytest.mark.parametrize(
    "key, query, headers",
    [
        ("wrong-key", "", {}),
        (None, "writeKey=wrong-key", {}),
        (None, "", {"x_write_key": "wrong-key"}),
    ],
)
def test_a_wrong_key_in_the_head_is_refused_without_opening_or_keeping_the_body(
    key: str | None, query: str, headers: dict[str, str]
) -> None:
    collector = Collector()
    sender = Sender(*[b"x" * 1000] * 3, then="silence")
    refused = collector.refusal(request_of(sender=sender, key=key, query=query, **headers))
    assert (refused.status, refused.code) == (401, "bad_write_key")
    assert collector.intake.arriving.size_bytes == 0


@pytest.mark.parametrize("header", ["Basic \xe9", "Basic !", "Basic", "Basic =", "Basic \u00ff\u00fe"])
def test_broken_basic_authentication_is_no_key(header: str) -> None:
    request = request_of(batch(EVENT), key=None)
    request.scope["headers"].append((b"authorization", header.encode("latin-1")))
    refused = Collector().refusal(request)
    assert (refused.status, refused.code) == (401, "bad_write_key")


def test_a_key_is_looked_for_before_a_body_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening 4.2 MB of escapes, which come as 6 kB of gzip, takes a hundred times longer."""
    opened: list[bytes] = []

    def note(body: bytes) -> Fields:
        opened.append(body)
        return open_object(body)

    monkeypatch.setattr(intake, "open_object", note)
    escapes = gzip.compress(b'{"writeKey":"wrong-key-1","a":"' + b"\\ud800" * 700_000 + b'"}')
    assert len(escapes) < 10_000
    assert Collector().refusal(request_of(escapes, key=None)).code == "bad_write_key"
    assert opened == []
    assert Collector().take(request_of(batch(EVENT, writeKey=WEB.write_key), key=None)) == Answer(1, [])
    assert len(opened) == 1


@pytest.mark.parametrize(
    "body, status, code",
    [
        (b"{", 400, "not_json"),
        ([], 400, "not_an_object"),
        ({}, 400, "no_batch"),
        (batch(*[0] * (MAX_EVENTS + 1)), 413, "too_many_events"),
        (bytes(MAX_BODY_BYTES + 1), 413, "too_large"),
    ],
)
def test_a_body_that_cannot_be_opened_publishes_nothing(body: Any, status: int, code: str) -> None:
    collector = Collector()
    refused = collector.refusal(request_of(body))
    assert (refused.status, refused.code) == (status, code)
    assert collector.events.calls == collector.dead_letters.calls == []
    assert not refused.closes_connection, "all of it was read, so the connection may go on"


def test_a_body_that_does_not_come_is_refused_and_the_connection_closed() -> None:
    async def take(collector: Collector) -> None:
        with pytest.raises(RefusedRequest) as caught:
            await collector.intake.take(request_of(sender=Sender(b"{", then="silence")), None)
        assert (caught.value.status, caught.value.code) == (408, "too_slow")
        assert caught.value.closes_connection
        assert asyncio.get_running_loop().time() == pytest.approx(GRACE_SECONDS)

    run(take(Collector()))


def test_what_a_refused_client_still_sends_is_read() -> None:
    sender = Sender(b"more", b"and more")
    refused = Collector().refusal(request_of(sender=sender, key="wrong-key"))
    assert (refused.code, refused.closes_connection) == ("bad_write_key", False)
    assert run(sender()) == {"type": "http.request"}, "nothing is left"


def test_a_client_that_disconnects_is_named_as_such() -> None:
    collector = Collector()
    with pytest.raises(ClientDisconnect):
        collector.take(request_of(sender=Sender(b"{", then="gone")))
    assert collector.events.calls == []


# Bounds


def test_a_source_over_its_rate_gets_retry_after() -> None:
    collector = Collector()

    def request() -> Request:
        return request_of(batch(EVENT), key=SLOW.write_key)

    assert [collector.take(request()) for _ in range(2)] == [Answer(1, [])] * 2
    refused = collector.refusal(request())
    assert (refused.status, refused.code, refused.retry_after_seconds) == (429, "rate_exceeded", 1)
    assert len(collector.events.calls) == 2
    assert collector.take(request_of(batch(EVENT))) == Answer(1, []), "each source has its own rate"
    collector.seconds += 0.5
    assert collector.take(request()) == Answer(1, [])


def test_each_event_of_a_batch_counts_for_the_rate_and_a_bad_one_too() -> None:
    collector = Collector()
    answer = collector.take(request_of(batch(EVENT, EVENT, BAD, BAD), key=SLOW.write_key))
    assert (answer.published, len(answer.dead_lettered)) == (2, 2)
    refused = collector.refusal(request_of(batch(EVENT), key=SLOW.write_key))
    assert refused.retry_after_seconds == 2, "two events are owed and one is asked for, at two a second"


def test_events_that_wait_for_pubsub_have_only_so_much_memory() -> None:
    async def take(collector: Collector) -> None:
        big = batch(*[{**EVENT, "properties": {"a": "x" * 20_000}}] * 100)
        takes = []
        while collector.intake.memory.held_bytes + 10_000_000 < MAX_PENDING_BYTES * MEMORY_PER_PENDING_BYTE:
            takes.append(asyncio.create_task(collector.intake.take(request_of(big), None)))
            await others_have_run()
        assert len(takes) > 10
        with pytest.raises(Unavailable) as refused:
            await collector.intake.take(request_of(batch(*big["batch"] * 2)), None)
        assert (refused.value.status, refused.value.code) == (503, "too_busy")
        assert refused.value.retry_after_seconds
        assert not refused.value.closes_connection
        collector.events.speaks.set()
        assert await asyncio.gather(*takes) == [Answer(100, [])] * len(takes)
        assert collector.intake.memory.held_bytes == 0
        assert await collector.intake.take(request_of(big), None) == Answer(100, [])

    run(take(Collector(FakePublisher(is_silent=True))))


def test_a_request_holds_what_its_messages_take_and_no_more() -> None:
    async def take(collector: Collector) -> None:
        taking = asyncio.create_task(collector.intake.take(request_of(batch(EVENT, BAD)), None))
        await others_have_run()
        sent = collector.events.calls[0] + collector.dead_letters.calls[0]
        assert collector.intake.memory.held_bytes >= COPIES * sum(map(len, sent))
        assert collector.intake.memory.held_bytes < 2 * COPIES * (sum(map(len, sent)) + 200)
        collector.events.speaks.set()
        await taking
        assert collector.intake.memory.held_bytes == 0

    run(take(Collector(FakePublisher(is_silent=True))))


@pytest.mark.parametrize("field", ["context", "integrations"])
def test_what_a_batch_shares_is_bounded_before_anything_is_built(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand bytes of gzip would become 100 MB of events, or 200 MB of dead letters."""
    built: list[Any] = []
    monkeypatch.setattr(intake, "to_messages", lambda *given: built.append(given))
    body = gzip.compress(json.dumps(batch(*[{}] * MAX_EVENTS, **{field: {"a": '"' * 19_000}})).encode())
    assert len(body) < 1_000
    refused = Collector().refusal(request_of(body))
    assert (refused.status, refused.code) == (413, "too_large")
    assert "fewer events per batch" in refused.message
    assert built == []


def test_a_batch_may_share_what_sdks_share() -> None:
    body = batch(*[EVENT] * MAX_EVENTS, context={"a": "x" * 3_000})
    assert Collector().take(request_of(body)) == Answer(MAX_EVENTS, [])


def test_a_batch_that_never_fits_is_not_sent_again() -> None:
    body = batch(*[{**EVENT, "properties": {"a": "x" * 10_000}}] * 10)
    refused = Collector(max_pending_bytes=50_000).refusal(request_of(body))
    assert (refused.status, refused.code, refused.retry_after_seconds) == (413, "too_large", None)


def test_bodies_that_do_not_end_take_nothing_from_those_that_do() -> None:
    """More of them than there is room for, without a key, with a public one, and from one address."""

    async def take(collector: Collector) -> None:
        slow = [
            asyncio.create_task(
                collector.intake.take(
                    request_of(sender=Sender(b"x" * 4_000_000, then="silence"), key=key), None
                )
            )
            for key in (None, WEB.write_key) * 10
        ]
        await others_have_run()
        assert 0 < collector.intake.arriving.size_bytes <= MAX_ARRIVING_BYTES
        for key in (WEB.write_key, SERVER.write_key):
            large = batch({**EVENT, "properties": {"a": "x" * 30_000}}, *[EVENT] * 1000)
            assert await collector.intake.take(request_of(large, key=key), None) == Answer(1001, [])
        ends = await asyncio.gather(*slow, return_exceptions=True)
        assert {end.code for end in ends if isinstance(end, RefusedRequest)} == {"too_busy", "too_slow"}
        assert len(ends) == 20
        assert collector.intake.arriving.size_bytes == 0

    run(take(Collector()))


@pytest.mark.parametrize("end", ["refused", "gone", "failed", "cancelled"])
def test_every_end_of_a_request_makes_room_for_another(end: str) -> None:
    async def end_one(collector: Collector) -> None:
        sender = Sender(b"{", then="silence" if end == "cancelled" else "gone" if end == "gone" else "end")
        key = "wrong-key" if end == "refused" else SERVER.write_key
        request = request_of(batch(EVENT)) if end == "failed" else request_of(sender=sender, key=key)
        taking = asyncio.create_task(collector.intake.take(request, None))
        await others_have_run()
        taking.cancel()
        (error,) = await asyncio.gather(taking, return_exceptions=True)
        assert (
            type(error)
            is {
                "refused": RefusedRequest,
                "gone": ClientDisconnect,
                "failed": Unavailable,
                "cancelled": asyncio.CancelledError,
            }[end]
        )

    async def end_many(collector: Collector) -> None:
        for _ in range(20):
            await end_one(collector)
            assert collector.intake.memory.held_bytes == collector.intake.arriving.size_bytes == 0

    run(end_many(Collector(FakePublisher(UNAVAILABLE))))


def test_no_proxy_is_trusted_unless_told() -> None:
    collector = Collector()
    collector.take(request_of(batch(EVENT), x_forwarded_for="198.51.100.2"))
    assert collector.events.taken[0]["context"] == {"ip": "203.0.113.77"}


@pytest.mark.parametrize(
    "user_agent, added_bytes", [(None, 0), ("agent", 5), ("x" * 1024, 1024), ("x" * 50_000, 1024)]
)
def test_of_a_user_agent_as_much_memory_is_expected_as_is_stored(
    user_agent: str | None, added_bytes: int
) -> None:
    def expected(agent: str | None) -> int:
        return intake._expected_bytes([b"{}"] * 3, Received(NOON_MS, None, "keep", agent))

    assert expected(user_agent) - expected(None) == 3 * COPIES * added_bytes
