"""Bodies that take a collector much memory: each is small when packed, or wants to become many times its bytes."""

import gzip
import json
from functools import cache
from random import Random
from typing import Any

from services.collector.bodies import MAX_BODY_BYTES, MAX_EVENTS
from services.collector.completion import MAX_COPIED_BYTES

KEY = "web-write-key"
_ROOM_BYTES = MAX_BODY_BYTES - 10_000


def hostile_body(random: Random) -> bytes:
    """Returns a body, packed or as it is."""
    make = random.choice(_MAKERS)
    kinds = [b'{"type":"track","userId":"u","event":"A"}', b'{"type":"identify","userId":"u"}', b"{}", b"0"]
    return make(random.choice(kinds), random.choice([b"x", b'\\"', b"\\\\", b"\\u0001", "😀".encode()]))


@cache
def _shared(event: bytes, filling: bytes) -> bytes:
    return _packed(_batch([event] * MAX_EVENTS, _filled(MAX_COPIED_BYTES // MAX_EVENTS - 100, filling)))


@cache
def _shared_too_much(event: bytes, filling: bytes) -> bytes:
    return _packed(_batch([event] * MAX_EVENTS, _filled(39_000, filling)))


@cache
def _events(event: bytes, filling: bytes) -> bytes:
    properties = _filled(_ROOM_BYTES // MAX_EVENTS - len(event) - 40, filling)
    full = b'{"properties":' + properties + b',"context":{},' + event[1:] if len(event) > 2 else event
    return _packed(_batch([full] * MAX_EVENTS))


@cache
def _one_event(event: bytes, filling: bytes) -> bytes:
    return _packed(b'{"writeKey":"%s","a":' % KEY.encode() + _filled(_ROOM_BYTES, filling) + b"}")


@cache
def _fields(event: bytes, filling: bytes) -> bytes:
    return _batch([b"{" + b",".join(b'"%x":0' % i for i in range(_ROOM_BYTES // 10)) + b"}"])


@cache
def _fields_of_many(event: bytes, filling: bytes) -> bytes:
    each = _ROOM_BYTES // MAX_EVENTS // 12
    names = (
        b'{"type":"track",' + b",".join(b'"%x":0' % (n * each + i) for i in range(each))
        for n in range(MAX_EVENTS)
    )
    return _batch([fields + b"}" for fields in names])


@cache
def _elements(event: bytes, filling: bytes) -> bytes:
    return _packed(_batch([b"0"] * (_ROOM_BYTES // 2)))


@cache
def _half_emojis(event: bytes, filling: bytes) -> bytes:
    halves = b"\\ud83d" * 49_000
    return _packed(
        _batch([b'{"a":"' + halves + filling * ((_ROOM_BYTES - len(halves)) // len(filling)) + b'"}'])
    )


@cache
def _deep(event: bytes, filling: bytes) -> bytes:
    depth = _ROOM_BYTES // 2
    return _packed(_batch([b"[" * depth + b"]" * depth]))


@cache
def _bomb(event: bytes, filling: bytes) -> bytes:
    return _packed(bytes(256 * 1024 * 1024))


_MAKERS: list[Any] = [
    _shared,
    _shared_too_much,
    _events,
    _one_event,
    _fields,
    _fields_of_many,
    _elements,
    _half_emojis,
    _deep,
    _bomb,
]


def _batch(events: list[bytes], context: bytes = b"{}") -> bytes:
    return b'{"writeKey":%s,"context":%s,"batch":[%s]}' % (
        json.dumps(KEY).encode(),
        context,
        b",".join(events),
    )


def _filled(size_bytes: int, filling: bytes) -> bytes:
    return b'{"traits":{"a":"' + filling * (size_bytes // len(filling)) + b'"}}'


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1)
