"""Reads, unpacks and decodes the bodies of requests, within limits of size and time."""

import asyncio
import contextlib
import re
import zlib
from collections.abc import Callable
from itertools import islice

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from services.collector.errors import RefusedRequest
from services.collector.fields import Fields, decode
from services.collector.memory_budget import ArrivingBodies, too_busy

MAX_BODY_BYTES = 4 * 1024 * 1024 + 512 * 1024
"""The limit for a body, both packed and unpacked. SDKs send 4 MiB or less. A dead letter has at most twice the size of
its body, and Pub/Sub accepts 10 MB.
"""
MAX_EVENTS = 2500
"""The most events in one batch."""
GRACE_SECONDS = 10.0
"""How long a body may take at any rate."""
WINDOW_SECONDS = 5.0
"""A body that takes longer than `GRACE_SECONDS` must bring `MIN_WINDOW_BYTES` in it, and again in each such time."""
MIN_WINDOW_BYTES = int(WINDOW_SECONDS * 16 * 1024)
_MAX_DISCARDED_BYTES = 32 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_WRITE_KEY = re.compile(rb'"writeKey"\s*:\s*"([A-Za-z0-9._~-]{8,128})"')
_MAX_KEYS_TRIED = 8

_ABSENT = msgspec.Raw()


class _Body(msgspec.Struct, gc=False):
    """The fields of a body that the collector looks at. All others are skipped: a million would be 150 MB."""

    batch: msgspec.Raw = _ABSENT
    context: msgspec.Raw = _ABSENT
    integrations: msgspec.Raw = _ABSENT
    sentAt: msgspec.Raw = _ABSENT
    writeKey: msgspec.Raw = _ABSENT


_body_decoder = msgspec.json.Decoder(_Body)
# As an object with a field for each element, a list of two million elements costs no memory beyond the first 2,501.
_Batch = msgspec.defstruct(
    "_Batch",
    [(f"event_{index}", msgspec.Raw, _ABSENT) for index in range(MAX_EVENTS + 1)],
    array_like=True,
    gc=False,
)
_batch_decoder = msgspec.json.Decoder(_Batch)


class BodyReader:
    """Reads the body of one request, whose client must keep up a minimum rate.

    Args:
      receive: the request's ASGI callable.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + GRACE_SECONDS
        self._window_bytes = 0
        self._has_ended = False
        self._has_lost_its_place = False
        self._wait: asyncio.Timeout | None = None

    async def read(
        self,
        length: str | None,
        arriving: ArrivingBodies,
        address: str | None = None,
        source: str | None = None,
    ) -> bytes:
        """Returns the whole body as it was sent, which may be packed.

        Args:
          length: the header Content-Length, if there is one.
          arriving: where the body has its place until it has arrived.
          address: the client's.
          source: the name of the request's source, if its write key is known.

        Raises:
          RefusedRequest: the body is too large (413) or too slow (408), or gives way to others (503).
          ClientDisconnect: the client closed the connection.
        """
        if length is not None and length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise _too_large()
        with arriving.enter(address, source, self._give_way) as body:
            try:
                while not self._has_ended:
                    chunk = await self._next()
                    if len(body.content) + len(chunk) > MAX_BODY_BYTES:
                        raise _too_large()
                    body.add(chunk)
            except TimeoutError:
                if body.has_lost_its_place:
                    raise too_busy() from None
                raise RefusedRequest(
                    408,
                    "too_slow",
                    f"the body did not arrive within {GRACE_SECONDS:.0f} seconds,"
                    f" or later with less than {MIN_WINDOW_BYTES // 1024} KiB in {WINDOW_SECONDS:.0f} seconds",
                ) from None
            return bytes(body.content)

    async def discard(self) -> bool:
        """Reads and drops the rest of a refused body, within limits; returns whether the body has ended.

        Closing a connection with unread bytes loses the response, and the SDK would send the request again.
        """
        size = 0
        with contextlib.suppress(TimeoutError):
            while not self._has_ended and not self._has_lost_its_place and size <= _MAX_DISCARDED_BYTES:
                size += len(await self._next())
        return self._has_ended

    def _give_way(self) -> None:
        self._has_lost_its_place = True
        if self._wait is not None:
            self._wait.reschedule(self._loop.time())

    async def _next(self) -> bytes:
        message = None
        while message is None:
            try:
                async with asyncio.timeout_at(self._deadline) as self._wait:
                    message = await self._receive()
            except TimeoutError:
                if self._has_lost_its_place or self._window_bytes < MIN_WINDOW_BYTES:
                    raise
                self._deadline += WINDOW_SECONDS
                self._window_bytes = 0
            finally:
                self._wait = None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._has_ended = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        self._window_bytes += len(chunk)
        return chunk


def unpacked(body: bytes) -> bytes:
    """Returns the content of a body, unpacked if it begins as gzip of one member; Content-Encoding is ignored.

    Unpacking stops at `MAX_BODY_BYTES`.

    Raises:
      RefusedRequest: the content is too large (413), or the gzip is broken (400).
    """
    if not body.startswith(_GZIP_MAGIC):
        return body
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        whole = member.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise RefusedRequest(400, "not_gzip", "the body is broken gzip") from None
    if len(whole) > MAX_BODY_BYTES:
        raise _too_large()
    if not member.eof or member.unused_data:
        raise RefusedRequest(400, "not_gzip", "the gzip body is cut off or has bytes after its end")
    return whole


def may_have_key(body: bytes, is_known: Callable[[str], bool]) -> bool:
    """Returns whether a known write key can be in a body, without the cost of opening it."""
    tried: set[bytes] = set()
    for found in islice(_WRITE_KEY.finditer(body), MAX_EVENTS + 1):  # each event of a batch may have one too
        if found[1] not in tried and len(tried) < _MAX_KEYS_TRIED:
            tried.add(found[1])
            if is_known(found[1].decode()):
                return True
    return False


def open_object(body: bytes) -> Fields:
    """Returns those fields of a JSON object that hold for the whole request, and `batch`.

    Raises:
      RefusedRequest: the body is not JSON, or not an object (400).
    """
    try:
        opened = decode(_body_decoder, body)
    except msgspec.ValidationError:
        raise RefusedRequest(400, "not_an_object", "expected a JSON object") from None
    except RecursionError:
        raise RefusedRequest(400, "not_json", "the body is nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RefusedRequest(400, "not_json", "the body is not JSON") from None
    fields = ((name, getattr(opened, name)) for name in _Body.__struct_fields__)
    return {name: value for name, value in fields if value is not _ABSENT}


def open_batch(batch: msgspec.Raw | None) -> list[bytes]:
    """Returns the events of a batch, each as its original bytes.

    Raises:
      RefusedRequest: the batch is not a list (400), or has more than `MAX_EVENTS` (413).
    """
    try:
        opened = _batch_decoder.decode(batch) if batch is not None else None
    except msgspec.ValidationError:
        opened = None
    if opened is None:
        raise RefusedRequest(400, "no_batch", "batch: expected a list of events")
    events = [event for name in _Batch.__struct_fields__ if (event := getattr(opened, name)) is not _ABSENT]
    if len(events) > MAX_EVENTS:
        raise RefusedRequest(413, "too_many_events", f"batch: expected at most {MAX_EVENTS} events")
    return [bytes(event) for event in events]


def _too_large() -> RefusedRequest:
    return RefusedRequest(413, "too_large", f"expected at most {MAX_BODY_BYTES} bytes, packed and unpacked")
