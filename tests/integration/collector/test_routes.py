"""Every route of a running collector, and what reaches Pub/Sub."""

import gzip
import json
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from services.collector.app import CALLS, KINDS
from services.collector.bodies import MAX_BODY_BYTES
from tests.integration.collector.collector_process import (
    DISABLED,
    LIMITED,
    SERVER,
    SHOP,
    WEB,
    CollectorProcess,
    event,
    new_user,
)


def with_and_without_slash(paths: Iterable[str]) -> list[str]:
    return [path + slash for path in paths for slash in ("", "/")]


BATCHES = with_and_without_slash(path for path, kind in KINDS.items() if kind is None)
SINGLE_CALLS = [
    (path, kind)
    for path, kind in KINDS.items()
    for path in with_and_without_slash([path])
    if kind is not None
]


@pytest.mark.parametrize("path", BATCHES)
def test_a_batch_is_in_pubsub_when_it_is_answered(collector: CollectorProcess, path: str) -> None:
    user = new_user()
    sent = [event(user, properties={"n": n}) for n in range(3)]
    answer = collector.post(path, {"batch": sent})
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "published": 3, "dead_lettered": []},
    )
    found = collector.published(user)
    assert sorted(message["messageId"] for message in found) == sorted(one["messageId"] for one in sent)


@pytest.mark.parametrize("path, kind", SINGLE_CALLS)
def test_a_single_call_gets_its_type_from_the_path(collector: CollectorProcess, path: str, kind: str) -> None:
    user = new_user()
    answer = collector.post(path, event(user, type=None))
    assert (answer.status_code, answer.json()["published"]) == (200, 1)
    (message,) = collector.published(user)
    assert message["type"] == kind


def test_every_path_that_public_sdks_send_batches_to_is_a_batch() -> None:
    assert {path for path, kind in KINDS.items() if kind is None} == {
        "/v1/batch",  # Segment's for Node.js, Python, Go, PHP, iOS; all of RudderStack's
        "/v1/b",  # analytics.js, and Segment's for Kotlin, Swift, C#, React Native
        "/v1/import",  # Segment's for Java, Ruby, .NET and classic Android
        "/beacon/v1/batch",  # RudderStack's for browsers
    }


@pytest.mark.parametrize("path", ["/v1/m", "/v1/m/"])
def test_figures_of_sdks_about_themselves_are_taken_and_dropped(
    collector: CollectorProcess, path: str
) -> None:
    user = new_user()
    tags = {"library": "analytics.js", "userId": user}
    body = {"series": [{"type": "Counter", "metric": "analytics_js.invoke", "value": 1, "tags": tags}]}
    for content in (json.dumps(body).encode(), b"", b"{", gzip.compress(json.dumps(body).encode())):
        answer = collector.post(path, content, None, headers={"Content-Type": "text/plain", "Origin": SHOP})
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert (collector.published(user), collector.letters(user)) == ([], [])


def test_there_is_a_path_for_every_call_and_its_letter() -> None:
    assert {path for path, kind in KINDS.items() if kind} == {
        f"/v1/{name}" for call in CALLS for name in (call, call[0])
    }
    assert {KINDS[f"/v1/{letter}"] for letter in "tipgas"} == set(CALLS)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png", None]
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_body_is_json_whatever_its_headers_say(
    collector: CollectorProcess, content_type: str | None, packed: bool
) -> None:
    user = new_user()
    body = json.dumps({"batch": [event(user)]}).encode()
    headers = {} if content_type is None else {"Content-Type": content_type}
    if packed:
        body = gzip.compress(body)
        headers |= {"Content-Encoding": "gzip"}
    assert collector.post("/v1/batch", body, headers=headers).status_code == 200
    assert len(collector.published(user)) == 1


@pytest.mark.parametrize(
    "key, place",
    [
        (SERVER, {}),
        (None, {"body": SERVER}),
        (None, {"params": {"writeKey": SERVER}}),
        (None, {"headers": {"X-Write-Key": SERVER}}),
        (SERVER, {"body": "wrong", "params": {"writeKey": "wrong"}, "headers": {"X-Write-Key": "wrong"}}),
        (None, {"body": "wrong", "params": {"writeKey": SERVER}, "headers": {"X-Write-Key": "wrong"}}),
        (None, {"body": "wrong", "headers": {"X-Write-Key": SERVER}}),
        (None, {"params": {"writeKey": SERVER}, "headers": {"X-Write-Key": "wrong"}}),
        (None, {"headers": {"X-Write-Key": SERVER, "Authorization": "Bearer abc"}}),
    ],
)
def test_the_write_key_is_found_where_sdks_put_it_in_this_order(
    collector: CollectorProcess, key: str | None, place: dict
) -> None:
    user = new_user()
    for path, body in (("/v1/batch", {"batch": [event(user)]}), ("/v1/track", event(user))):
        if "body" in place:
            body["writeKey"] = place["body"]
        options = {name: value for name, value in place.items() if name != "body"}
        assert collector.post(path, body, key, **options).status_code == 200
    found = collector.published(user)
    assert len(found) == 2
    assert SERVER not in json.dumps(found)


def assert_refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message"}
    assert answer.json()["message"]
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "body, status, code",
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"a=b&c=d", 400, "not_json"),
        (b"\x1f\x8b not gzip", 400, "not_gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], 400, "not_gzip"),
        (b"[]", 400, "not_an_object"),
        (b"{}", 400, "no_batch"),
        (b'{"batch":{}}', 400, "no_batch"),
        (b'{"batch":' + b"[" * 100_000, 400, "not_json"),
        (b'{"batch":[' + b"0," * 2_500 + b"0]}", 413, "too_many_events"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "too_large"),
        (gzip.compress(bytes(MAX_BODY_BYTES + 1), mtime=0), 413, "too_large"),
    ],
)
def test_a_bad_body_is_refused(collector: CollectorProcess, body: bytes, status: int, code: str) -> None:
    assert_refused(collector.post("/v1/batch", body), status, code)


def test_bad_keys_are_refused_and_disabled_sources(collector: CollectorProcess) -> None:
    body = {"batch": [event(user := new_user())]}
    assert_refused(collector.post("/v1/batch", body, None), 401, "bad_write_key")
    assert_refused(collector.post("/v1/batch", body, "wrong-write-key"), 401, "bad_write_key")
    assert_refused(collector.post("/v1/batch", body | {"writeKey": "wrong"}, None), 401, "bad_write_key")
    assert_refused(collector.post("/v1/batch", body, DISABLED), 404, "source_disabled")
    assert_refused(collector.client.get(f"/v1/projects/{DISABLED}/settings"), 404, "source_disabled")
    assert collector.published(user) == []


def test_other_paths_and_methods_are_refused_in_the_same_form(collector: CollectorProcess) -> None:
    assert_refused(collector.post("/v1/importer", b"{}"), 404, "no_such_path")
    for path in ("/v1/batch", "/v1/import/", "/v1/m"):
        answer = collector.client.get(path)
        assert_refused(answer, 405, "bad_method")
        assert answer.headers["Allow"] == "POST"


def test_requests_without_a_route_are_counted_and_logged(start_collector) -> None:
    collector = start_collector()
    secret = new_user()
    with_key = f"/v1/projects/{secret}/integrations"
    for path in (
        f"/v1/events?writeKey={secret}&u={secret}",
        "/v1/events",
        with_key,
        f"/{SERVER}/x",
        f"/{secret}",
    ):
        assert collector.post(path, {"batch": [event(secret)]}).status_code == 404
    assert collector.client.get(f"/v1/batch?writeKey={secret}").status_code == 405
    assert collector.post("/v1/batch", {"batch": [event(new_user())]}, DISABLED).status_code == 404
    statuses = {
        status: collector.metric(f'collector_requests_without_route_total{{status="{status}"}}')
        for status in (404, 405)
    }
    assert statuses == {404: 5, 405: 1}, "a disabled source has its route"
    lines = [line for line in collector.log.splitlines() if "no route" in line]
    assert lines == [
        "WARNING collector: no route: POST /v1/events: 404",
        "WARNING collector: no route: POST /v1/projects/*: 404",
        "WARNING collector: no route: POST /*: 404",
        "WARNING collector: no route: GET /v1/batch: 405",
    ]
    assert secret not in collector.log
    assert SERVER not in collector.log


def test_a_source_over_its_rate_gets_retry_after(collector: CollectorProcess) -> None:
    user = new_user()
    began = time.monotonic()
    first = collector.post("/v1/batch", {"batch": [event(user)] * 400}, LIMITED)
    assert first.status_code == 200, "what comes first is taken whole"
    refused = collector.post("/v1/batch", {"batch": [event(user)]}, LIMITED)
    assert_refused(refused, 429, "rate_exceeded")
    passed_seconds = time.monotonic() - began
    assert 800 - passed_seconds <= int(refused.headers["Retry-After"]) <= 800, (
        "399 events are owed and one is asked for, at one in two seconds"
    )
    assert len(collector.published(user)) == 400


def test_a_bad_event_is_dead_lettered_alone(collector: CollectorProcess) -> None:
    user = new_user()
    batch = [event(user), event(user, type="click"), 5, event(user, timestamp="yesterday"), event(user)]
    answer = collector.post("/v1/batch", {"batch": batch})
    assert answer.status_code == 200
    assert answer.json() | {"dead_lettered": []} == {"success": True, "published": 2, "dead_lettered": []}
    told = answer.json()["dead_lettered"]
    assert [(refusal["index"], refusal["reason"]) for refusal in told] == [
        (1, "bad_type"),
        (2, "not_an_object"),
        (3, "bad_timestamp"),
    ]
    assert all(set(refusal) == {"index", "reason", "message"} for refusal in told)
    assert told[2]["message"].startswith("timestamp: ")
    assert len(collector.published(user)) == 2
    letters = collector.letters(user)
    assert {letter["reason"] for letter in letters} == {"bad_type", "bad_timestamp"}
    for letter in letters:
        assert set(letter) == {"payload", "step", "reason", "message", "received_at", "attributes"}


def test_messages_carry_no_attributes_so_that_nobody_outside_controls_the_job(
    collector: CollectorProcess,
) -> None:
    user = new_user()
    control = {"control": "erasure", "attributes": {"control": "heartbeat"}}
    collector.post(
        "/v1/batch?control=seed", {"batch": [event(user, **control)], **control}, headers={"control": "seed"}
    )
    assert len(collector.published(user)) == 1
    assert all(
        not message.attributes for message in collector.events.taken() + collector.dead_letters.taken()
    )


def test_the_address_is_kept_as_the_source_says(collector: CollectorProcess) -> None:
    users = [new_user(), new_user()]
    for user, key in zip(users, (WEB, SERVER), strict=True):
        collector.post(
            "/v1/track", event(user), key, headers={"X-Forwarded-For": "203.0.113.77", "User-Agent": "a"}
        )
    ((web,), (server,)) = (collector.published(user) for user in users)
    assert web["context"] == {"ip": "127.0.0.0", "userAgent": "a"}
    assert server["context"] == {"ip": "127.0.0.1", "userAgent": "a"}, (
        "no proxy of ours: nothing is forwarded"
    )


def test_behind_proxies_the_client_is_whom_they_name(start_collector) -> None:
    collector = start_collector("--trusted_proxies=2")
    user = new_user()
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.77, 35.191.0.1", "X-Forwarded-Proto": "https"}
    collector.post("/v1/track", event(user), headers=headers)
    (message,) = collector.published(user)
    assert message["context"]["ip"] == "203.0.113.77"
    settings = collector.client.get(f"/v1/projects/{WEB}/settings", headers=headers).json()
    assert settings["integrations"]["Segment.io"]["protocol"] == "https"


CORS_HEADERS = (
    "authorization, content-type, x-retry-count, anonymousid, sentat, x-write-key, rsa-retry-attempt,"
    " rsa-retry-reason, rsa-since-last-attempt, rsa-since-first-attempt, rsa-recovered"
)


@pytest.mark.parametrize(
    "path",
    with_and_without_slash(
        ["/v1/batch", "/v1/t", "/beacon/v1/batch", "/v1/m", f"/v1/projects/{WEB}/settings", "/sourceConfig"]
    ),
)
def test_a_preflight_of_an_allowed_origin_is_answered(collector: CollectorProcess, path: str) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": CORS_HEADERS,
    }
    answer = collector.client.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert answer.headers["Access-Control-Allow-Headers"] == CORS_HEADERS
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Vary"] == "Origin"


def test_a_preflight_of_another_origin_gets_no_cors_headers(collector: CollectorProcess) -> None:
    for origin in (
        "https://evil.example",
        "https://shop.example.evil.example",
        "http://shop.example",
        "null",
    ):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        headers = collector.client.options("/v1/batch", headers=asked).headers
        assert not [name for name in headers if name.startswith("access-control")]


def test_pages_of_allowed_origins_read_answers_and_errors(collector: CollectorProcess) -> None:
    body = {"batch": [event(new_user())]}
    taken = collector.post("/v1/batch", body, WEB, headers={"Origin": SHOP})
    unknown = collector.post("/v1/batch", body, "wrong-write-key", headers={"Origin": SHOP})
    assert (taken.status_code, unknown.status_code) == (200, 401)
    for answer in (taken, unknown):
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "https://other.example"])
def test_a_page_of_another_origin_may_neither_send_nor_read(collector: CollectorProcess, origin: str) -> None:
    user = new_user()
    answer = collector.post("/v1/batch", {"batch": [event(user)]}, WEB, headers={"Origin": origin})
    assert_refused(answer, 403, "bad_origin")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert collector.published(user) == []


def test_analytics_js_loads_settings_that_lead_to_this_collector(collector: CollectorProcess) -> None:
    answer = collector.client.get(f"/v1/projects/{WEB}/settings", headers={"Origin": SHOP})
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    segment = answer.json()["integrations"]["Segment.io"]
    assert f"{segment['protocol']}://{segment['apiHost']}" == f"{collector.url}/v1"
    assert segment["apiKey"] == WEB
    assert list(answer.json()["integrations"]) == ["Segment.io"]
    assert_refused(collector.client.get("/v1/projects/wrong-write-key/settings"), 401, "bad_write_key")


def test_rudderstack_js_loads_a_source_without_destinations(collector: CollectorProcess) -> None:
    by_query = collector.client.get("/sourceConfig/", params={"writeKey": WEB, "p": "npm"})
    by_header = collector.client.get("/sourceConfig/", auth=httpx.BasicAuth(WEB, ""))
    assert by_query.json() == by_header.json()
    source = by_query.json()["source"]
    assert (source["enabled"], source["destinations"], source["writeKey"]) == (True, [], WEB)
    assert_refused(collector.client.get("/sourceConfig/"), 401, "bad_write_key")


def test_the_public_url_is_what_browsers_are_told(start_collector) -> None:
    collector = start_collector("--public_url=https://events.shop.example/collect")
    segment = collector.client.get(f"/v1/projects/{WEB}/settings").json()["integrations"]["Segment.io"]
    assert (segment["protocol"], segment["apiHost"]) == ("https", "events.shop.example/collect/v1")


@pytest.mark.parametrize(
    "path",
    [f"/v1/projects/{WEB}/settings", f"/sourceConfig?writeKey={WEB}", "/healthz", "/readyz", "/openapi.json"],
)
def test_a_closing_slash_gets_the_same(collector: CollectorProcess, path: str) -> None:
    plain, _, query = path.partition("?")
    answer, with_slash = (collector.client.get(f"{plain}{slash}?{query}") for slash in ("", "/"))
    assert answer.status_code == with_slash.status_code == 200
    assert answer.json() == with_slash.json()


def test_it_says_that_it_is_alive_and_ready(collector: CollectorProcess) -> None:
    assert collector.client.get("/healthz").json() == {"status": "alive"}
    assert collector.client.get("/readyz").json() == {"status": "ready"}


def test_it_counts_by_source_and_reason(collector: CollectorProcess) -> None:
    samples = {
        'collector_events_published_total{source="server"}': 2,
        'collector_events_dead_lettered_total{reason="bad_type",source="server"}': 1,
        'collector_responses_total{code="ok"}': 1,
        'collector_responses_total{code="not_json"}': 1,
        'collector_ids_ignored_total{source="server"}': 1,
        'collector_times_repaired_total{repair="zero_time",source="server"}': 1,
        "collector_request_seconds_count": 2,
    }
    before = {sample: collector.metric(sample) for sample in samples}
    user = new_user()
    odd = event("undefined", anonymousId=user, timestamp="1970-01-01T00:00:00Z")
    collector.post("/v1/batch", {"batch": [event(user), odd, event(user, type="click")]})
    collector.post("/v1/batch", b"{")
    assert {sample: collector.metric(sample) - before[sample] for sample in samples} == samples
    assert collector.metric("collector_events_pending_bytes") == 0


def test_logs_and_metrics_tell_nothing_of_users(collector: CollectorProcess) -> None:
    user = new_user()
    for body in ({"batch": [event(user), event(user, type=user)]}, f'{{"{user}":'.encode()):
        collector.post(
            f"/v1/batch?writeKey={SERVER}&u={user}",
            body,
            headers={"X-Forwarded-For": user, "User-Agent": user},
        )
        collector.post("/v1/batch", body, user)
    said = collector.log + collector.client.get("/metrics").text
    for secret in (user, SERVER, WEB, "127.0.0.1:5"):
        assert secret not in said.replace(collector.url, "")


def test_the_ids_that_stand_for_none_are_read_from_a_file(start_collector, tmp_path: Path) -> None:
    path = tmp_path / "ignored.txt"
    path.write_text("# of our app\nnobody\n", encoding="utf-8")
    collector = start_collector(f"--ignored_ids={path}")
    user = new_user()
    answer = collector.post("/v1/batch", {"batch": [event("Nobody"), event("guest", anonymousId=user)]})
    (refusal,) = answer.json()["dead_lettered"]
    assert (refusal["index"], refusal["reason"]) == (0, "missing_id")
    assert "Nobody" in refusal["message"]
    assert [message["userId"] for message in collector.published(user)] == ["guest"]
