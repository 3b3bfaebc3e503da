"""Clients that mean harm, or are broken: the collector answers, stays small, and goes on serving the others."""

import gzip
import json
import socket
import threading

import psutil
import pytest
import requests

from services.collector.bodies import MAX_BODY_BYTES
from tests.integration.collector.collector_process import SERVER, CollectorProcess, event, new_user

MAX_GROWTH_BYTES = 96 * 1024 * 1024
"""A body packed, unpacked and cut into events, several times over; a bomb would be far beyond it."""


@pytest.fixture
def grown(collector: CollectorProcess):
    """By how much the collector's memory has grown at most since the test began."""
    process = psutil.Process(collector.process.pid)
    before = process.memory_info().rss
    peak = [before]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield lambda: peak[0] - before
    ended.set()
    watcher.join()


def assert_serves(collector: CollectorProcess) -> None:
    user = new_user()
    assert collector.post("/v1/batch", {"batch": [event(user)]}).status_code == 200
    assert len(collector.published(user)) == 1


def test_zip_bombs(collector: CollectorProcess, grown) -> None:
    bomb = gzip.compress(bytes(1024 * 1024 * 1024), compresslevel=1)
    nested = gzip.compress(gzip.compress(bytes(64 * 1024 * 1024)))
    for body, status in ((bomb[: 4 * 1024 * 1024], 413), (nested, 400)):
        for _ in range(3):
            assert collector.post("/v1/batch", body).status_code == status
    assert grown() < MAX_GROWTH_BYTES
    assert_serves(collector)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_ten_megabytes_get_their_answer(collector: CollectorProcess, grown, is_chunked: bool) -> None:
    """As an SDK sends them: it must see the 413, or it would send them again and again."""
    body = json.dumps({"batch": [event("u", properties={"a": "x" * 10_000_000})]}).encode()
    for _ in range(3):
        content = iter([body[:1000], body[1000:]]) if is_chunked else body
        answer = requests.post(f"{collector.url}/v1/batch", data=content, auth=(SERVER, ""), timeout=240)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert grown() < MAX_GROWTH_BYTES
    assert_serves(collector)


@pytest.mark.parametrize("header", ["Basic \u00e9", "Basic !", "Basic"])
def test_broken_basic_authentication_gets_its_answer(collector: CollectorProcess, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    answer = collector.post("/v1/batch", {"batch": []}, key=None, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_write_key")


def test_a_wrong_key_gets_its_answer_before_its_body_is_taken(collector: CollectorProcess, grown) -> None:
    for _ in range(3):
        answer = requests.post(
            f"{collector.url}/v1/batch", data=bytes(8_000_000), auth=("wrong", ""), timeout=240
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_write_key")
    assert grown() < MAX_GROWTH_BYTES


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [600, 100_000])
def test_deep_nesting(collector: CollectorProcess, opening: str, closing: str, depth: int) -> None:
    """What is deeper than the pipeline takes is a dead letter, what is deeper than any parser takes is refused."""
    good, bad = new_user(), new_user()
    deep = (
        json.dumps(event(bad))[:-1] + ',"properties":{"a":' + opening * depth + "1" + closing * depth + "}}"
    )
    body = f'{{"batch":[{json.dumps(event(good))},{deep}]}}'.encode()
    answer = collector.post("/v1/batch", body)
    if depth == 600:
        assert (answer.status_code, len(answer.json()["dead_lettered"])) == (200, 1)
        assert len(collector.published(good)) == 1
        assert [letter["reason"] for letter in collector.letters(bad)] == ["not_json"]
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
    assert_serves(collector)


def test_as_many_bad_events_as_a_batch_holds(collector: CollectorProcess, grown) -> None:
    answer = collector.post("/v1/batch", b'{"batch":[' + b"0," * 2_499 + b"0]}")
    assert (answer.status_code, len(answer.json()["dead_lettered"])) == (200, 2_500)
    assert collector.post("/v1/batch", b'{"batch":[' + b"0," * 2_000_000 + b"0]}").status_code == 413
    assert_serves(collector)


def test_a_dead_letter_of_the_greatest_size_fits_into_pubsub(start_collector) -> None:
    """Each quotation mark becomes two characters in a dead letter."""
    body = json.dumps({"batch": [event("u", properties={"a": '"' * 2_300_000})]}).encode()
    assert MAX_BODY_BYTES - 200_000 < len(body) <= MAX_BODY_BYTES
    answer = start_collector().post("/v1/batch", body)
    assert (answer.status_code, len(answer.json()["dead_lettered"])) == (200, 1)


def test_half_an_emoji_and_broken_utf_8_spoil_no_batch(collector: CollectorProcess) -> None:
    user = new_user()
    good = json.dumps(event(user)).encode()
    emoji = good.replace(b'"Product Added"', b'"Cut \\ud83d"')
    assert collector.post("/v1/batch", b'{"batch":[' + good + b"," + emoji + b"]}").json()["published"] == 2
    latin = good.replace(b'"Product Added"', b'"Caf\xe9"')
    answer = collector.post("/v1/batch", b'{"batch":[' + good + b"," + latin + b"]}")
    assert (answer.json()["published"], len(answer.json()["dead_lettered"])) == (1, 1)
    names = {message["event"] for message in collector.published(user)}
    assert names == {"Product Added", "Cut \\ud83d"}


def test_a_large_context_is_not_copied_to_every_event_of_a_batch(collector: CollectorProcess, grown) -> None:
    batch = {"context": {"a": "x" * 4_000_000}, "batch": [event("u")] * 2_500}
    answer = collector.post("/v1/batch", batch)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "fewer events per batch" in answer.json()["message"]
    assert grown() < MAX_GROWTH_BYTES
    assert_serves(collector)


@pytest.mark.long
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /v1/ba",
        b"POST /v1/batch HTTP/1.1\r\nHost: a\r\nX-A: ",
        b"POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        b"POST /v1/batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_slow_senders_are_cut_off_and_keep_nobody_waiting(collector: CollectorProcess, begun: bytes) -> None:
    slow = [socket.create_connection(("127.0.0.1", collector.port), timeout=240) for _ in range(800)]
    for connection in slow:
        connection.sendall(begun)
    assert_serves(collector)
    for connection in slow:
        answer = b""
        while part := connection.recv(4096):
            answer += part
        if b"\r\n\r\n" in begun:
            assert answer.startswith(b"HTTP/1.1 408"), answer
            assert b'"code":"too_slow"' in answer
        else:
            assert answer == b""
        connection.close()
    assert_serves(collector)


@pytest.mark.parametrize("endless", [b"GET /" + b"a" * 1_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200])
def test_a_head_without_end_is_cut_off(collector: CollectorProcess, grown, endless: bytes) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=240) as connection:
        connection.sendall(endless)
        with pytest.raises(ConnectionError):
            while True:
                connection.sendall(endless[16:])
    assert grown() < MAX_GROWTH_BYTES
    assert_serves(collector)


def test_what_is_no_http_is_refused(collector: CollectorProcess) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=240) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01" + bytes(200))
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")
    assert_serves(collector)
