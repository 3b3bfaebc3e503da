import asyncio
import gzip
import zlib

import msgspec
import pytest
from starlette.requests import ClientDisconnect

from services.collector import bodies
from services.collector.bodies import (
    MAX_BODY_BYTES,
    MAX_EVENTS,
    BodyReader,
    open_batch,
    open_object,
    unpacked,
)
from services.collector.errors import RefusedRequest

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
        return await BodyReader(receiver(*chunks, **ends)).read(length)

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
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.01)
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
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.01)
    assert asyncio.run(discarded(b"a", then_silent=True)) == (1, False)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"a":NaN}', b'{"a":1}x', b"\xff", b'{"a":01}', b'{"\xff":1}', b"\x00"]
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
    fields = open_object(b'{"a":1.0, "b": 123456789012345678901234567890, "a" : [ 1e400,"\\u00e9"] }')
    assert {name: bytes(value) for name, value in fields.items()} == {
        "a": b'[ 1e400,"\\u00e9"]',
        "b": b"123456789012345678901234567890",
    }


def test_half_an_emoji_spoils_no_batch():
    fields = open_object(b'{"batch":[{"a":"\\ud83d"},{"b":"\\ud83d\\ude00"}]}')
    assert open_batch(fields["batch"]) == [b'{"a":"\\\\ud83d"}', b'{"b":"\\ud83d\\ude00"}']


@pytest.mark.parametrize("batch", [None, b"null", b"{}", b'"text"', b"1"])
def test_a_batch_is_a_list(batch):
    assert refusal(open_batch, batch and msgspec.Raw(batch)) == (400, "no_batch")


def test_a_batch_has_no_more_than_so_many_events():
    def batch(count):
        return msgspec.Raw(b"[" + b",".join([b"0"] * count) + b"]")

    assert len(open_batch(batch(MAX_EVENTS))) == MAX_EVENTS
    assert refusal(open_batch, batch(MAX_EVENTS + 1)) == (413, "too_many_events")
