import asyncio
import gzip
import tracemalloc
import zlib

import msgspec
import pytest
from starlette.requests import ClientDisconnect

from services.collector import bodies
from services.collector.bodies import (
    MAX_BODY_BYTES,
    MAX_EVENTS,
    BodyReader,
    may_have_key,
    open_batch,
    open_object,
    unpacked,
)
from services.collector.errors import RefusedRequest
from services.collector.memory_budget import ArrivingBodies
from tests.services.collector.virtual_time import others_have_run, run

EMPTY = gzip.compress(b"", mtime=0)


def receiver(*chunks, then_silent=False, then_gone=False):
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if then_gone:
        messages.append({"type": "http.disconnect"})
    elif not then_silent:
        messages.append({"type": "http.request"})
    waiting = iter(messages)

    async def receive():
        message = next(waiting, None)
        return message if message is not None else await asyncio.Event().wait()

    return receive


def read(*chunks, length=None, **ends):
    async def read():
        return unpacked(await BodyReader(receiver(*chunks, **ends)).read(length, ArrivingBodies()))

    return asyncio.run(read())


def refusal(function, *arguments, **options):
    with pytest.raises(RefusedRequest) as caught:
        function(*arguments, **options)
    return caught.value.status, caught.value.code


def test_a_body_is_put_together_from_its_chunks():
    assert read(b'{"a"', b":1}") == b'{"a":1}'
    assert read() == b""


def test_gzip_is_known_by_its_first_bytes():
    assert read(gzip.compress(b"{}")) == b"{}"
    assert read(gzip.compress(b"{}")[:1], gzip.compress(b"{}")[1:]) == b"{}"


@pytest.mark.parametrize("cut", [3, 12, -1])
def test_gzip_that_ends_too_early_is_refused(cut):
    assert refusal(unpacked, gzip.compress(b"{}" * 50)[:cut]) == (400, "not_gzip")


def test_gzip_with_a_wrong_checksum_is_refused():
    body = bytearray(gzip.compress(b"{}"))
    body[-5] ^= 1
    assert refusal(unpacked, bytes(body)) == (400, "not_gzip")


def test_a_bomb_is_unpacked_no_further_than_the_bound(monkeypatch):
    unpacked_bytes = []
    make = zlib.decompressobj

    class Watched:
        def __init__(self, window):
            self._member = make(window)

        def decompress(self, body, limit):
            unpacked_bytes.append(len(whole := self._member.decompress(body, limit)))
            return whole

    monkeypatch.setattr(bodies.zlib, "decompressobj", Watched)
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    assert len(bomb) < 100_000
    assert refusal(unpacked, bomb) == (413, "too_large")
    assert unpacked_bytes == [MAX_BODY_BYTES + 1]


@pytest.mark.parametrize("after", [b"{}", EMPTY, EMPTY * 100_000])
def test_what_follows_the_gzip_is_refused_at_once(after):
    assert refusal(unpacked, gzip.compress(b"{}") + after) == (400, "not_gzip")


def test_a_body_of_the_greatest_size_is_taken_and_one_more_byte_is_not():
    assert len(read(bytes(MAX_BODY_BYTES))) == MAX_BODY_BYTES
    assert refusal(read, bytes(MAX_BODY_BYTES), b"x") == (413, "too_large")


def test_a_body_that_says_that_it_is_too_large_is_not_read():
    assert refusal(read, length=str(MAX_BODY_BYTES + 1), then_silent=True) == (413, "too_large")


def test_a_slow_sender_is_refused(monkeypatch):
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.01)
    assert refusal(read, b"{", then_silent=True) == (408, "too_slow")


def test_a_client_that_disconnects_has_an_error_of_its_own():
    with pytest.raises(ClientDisconnect):
        read(b"{", then_gone=True)


def test_the_rest_of_a_refused_body_is_read_within_bounds(monkeypatch):
    async def discarded(*chunks, **ends):
        taken = []
        inner = receiver(*chunks, **ends)

        async def receive():
            taken.append(await inner())
            return taken[-1]

        was_all = await BodyReader(receive).discard()
        return len(taken), was_all

    assert asyncio.run(discarded(b"a", b"b")) == (3, True)
    monkeypatch.setattr(bodies, "_MAX_DISCARDED_BYTES", 10)
    assert asyncio.run(discarded(*[b"four"] * 100)) == (3, False)
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.01)
    assert asyncio.run(discarded(b"a", then_silent=True)) == (1, False)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"a":NaN}', b'{"a":1}x', b"\xff", b'{"a":01}', b"\x00"]
)
def test_what_is_no_json_is_refused(body):
    assert refusal(open_object, body) == (400, "not_json")


@pytest.mark.parametrize("depth", [2_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_and_breaks_nothing(opening, depth):
    assert refusal(open_object, b'{"batch":' + opening * depth)[0] == 400
    closing = b"]" if opening == b"[" else b"}"
    body = b'{"batch":' + opening * depth + b"1" + closing * depth + b"}"
    assert refusal(open_object, body) == (400, "not_json")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null"])
def test_what_is_no_object_is_refused(body):
    assert refusal(open_object, body) == (400, "not_an_object")


def test_values_stay_the_bytes_that_came():
    fields = open_object(
        b'{"context":1.0, "sentAt": 123456789012345678901234567890, "x": 1, "context" : [ 1e400,"\\u00e9"] }'
    )
    assert {name: bytes(value) for name, value in fields.items()} == {
        "context": b'[ 1e400,"\\u00e9"]',
        "sentAt": b"123456789012345678901234567890",
    }


def test_half_an_emoji_spoils_no_batch():
    fields = open_object(b'{"batch":[{"a":"\\ud83d"},{"b":"\\ud83d\\ude00"}]}')
    assert open_batch(fields["batch"]) == [b'{"a":"\\\\ud83d"}', b'{"b":"\\ud83d\\ude00"}']


@pytest.mark.parametrize("batch", [None, b"null", b"{}", b'"text"', b"1"])
def test_a_batch_is_a_list(batch):
    assert refusal(open_batch, batch and msgspec.Raw(batch)) == (400, "no_batch")


def test_a_batch_of_half_emojis_alone_is_refused():
    """Each is written out by a call of its own."""
    body = b'{"batch":["' + b"\\ud83d" * 700_000 + b'"]}'
    assert refusal(open_object, body) == (400, "not_json")
    assert open_object(body[:240_000].rpartition(b"\\")[0] + b'"]}')["batch"]


def test_elements_and_fields_that_nobody_looks_at_cost_no_memory():
    """A million of them would take 150 MB."""
    body = (
        b'{"batch":[' + b"0," * 1_000_000 + b"0]," + b",".join(b'"%x":0' % i for i in range(100_000)) + b"}"
    )
    tracemalloc.start()
    fields = open_object(body)
    assert refusal(open_batch, fields["batch"]) == (413, "too_many_events")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(fields) == ["batch"]
    assert peak_bytes < 1_000_000


def test_a_key_is_found_without_opening_the_body():
    known = {"web-key-1"}.__contains__
    assert may_have_key(b'{"batch":[{"writeKey":"other-key"}],"writeKey" : "web-key-1"}', known)
    assert not may_have_key(b'{"batch":[],"writeKey":"web-key-2"}', known)
    assert not may_have_key(b"{}", known)
    assert may_have_key(
        b'{"batch":[' + b'{"writeKey":"other-key"},' * MAX_EVENTS + b'{}],"writeKey":"web-key-1"}', known
    )


def test_only_so_many_keys_are_tried():
    tried = []
    body = b",".join(b'"writeKey":"wrong-%d-key"' % number for number in range(100_000))
    assert not may_have_key(body, tried.append)
    assert len(tried) < 10


def test_a_body_may_take_longer_as_long_as_it_comes_at_the_minimum_rate():
    async def sent(every_seconds, size_bytes, chunks):
        taken = []

        async def receive():
            await asyncio.sleep((len(taken) + 1) * every_seconds - asyncio.get_running_loop().time())
            taken.append(size_bytes)
            return {"type": "http.request", "body": b"x" * size_bytes, "more_body": len(taken) < chunks}

        try:
            return len(await BodyReader(receive).read(None, ArrivingBodies()))
        except RefusedRequest as refused:
            return refused.code, asyncio.get_running_loop().time()

    assert run(sent(1, 24 * 1024, 150)) == 150 * 24 * 1024
    assert run(sent(1, 1024, 9)) == 9 * 1024, "a small body may take its time"
    assert run(sent(1, 1024, 200)) == ("too_slow", pytest.approx(bodies.GRACE_SECONDS))
    burst = bodies.GRACE_SECONDS + bodies.WINDOW_SECONDS
    assert run(sent(9, 1_000_000, 3))[0] == "too_slow", "what came early does not make up for a pause"
    assert run(sent(9, 1_000_000, 3))[1] == pytest.approx(burst)


def test_a_batch_has_no_more_than_so_many_events():
    def batch(count):
        return msgspec.Raw(b"[" + b",".join([b"0"] * count) + b"]")

    assert len(open_batch(batch(MAX_EVENTS))) == MAX_EVENTS
    assert refusal(open_batch, batch(MAX_EVENTS + 1)) == (413, "too_many_events")


def test_a_body_that_gives_way_ends_at_once_however_fast_it_came():
    """It is not read on: neither for another window, nor to let the client send the rest."""

    async def displaced():
        arriving = ArrivingBodies(300_000)
        reader = BodyReader(receiver(b"x" * 90_000, then_silent=True))
        first = asyncio.create_task(reader.read(None, arriving, "a"))
        await others_have_run()
        others = [
            asyncio.create_task(
                BodyReader(receiver(b"x" * 90_000, then_silent=True)).read(None, arriving, name)
            )
            for name in "bcd"
        ]
        with pytest.raises(RefusedRequest) as refused:
            await first
        assert refused.value.code == "too_busy"
        assert not await reader.discard()
        seconds = asyncio.get_running_loop().time()
        await asyncio.gather(*others, return_exceptions=True)
        return seconds

    assert run(displaced()) == pytest.approx(0, abs=1e-3)
