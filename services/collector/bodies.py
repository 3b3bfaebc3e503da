"""Reads, unpacks and decodes the bodies of requests, within limits of size and time."""

import asyncio
import contextlib
import zlib

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from services.collector.errors import RefusedRequest
from services.collector.fields import Fields, decode_fields

MAX_BODY_BYTES = 4 * 1024 * 1024 + 512 * 1024
"""The limit for a body, both packed and unpacked. SDKs send 4 MiB or less. A dead letter has at most twice the size of
its body, and Pub/Sub accepts 10 MB.
"""
MAX_EVENTS = 2500
"""The most events in one batch."""
READ_SECONDS = 10.0
"""The time limit for a client to send a body."""
_MAX_DISCARDED_BYTES = 32 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS

_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class BodyReader:
    """Reads the body of one request, within `READ_SECONDS`.

    Args:
      receive: the request's ASGI callable.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + READ_SECONDS
        self._has_ended = False

    async def read(self, length: str | None) -> bytes:
        """Returns the whole body, unpacked if it begins as gzip; Content-Encoding is ignored.

        Args:
          length: the header Content-Length, if there is one.

        Raises:
          RefusedRequest: the body is too large (413), too slow (408), or broken gzip (400).
          ClientDisconnect: the client closed the connection.
        """
        if length is not None and length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise _too_large()
        chunks, size = [], 0
        try:
            async with asyncio.timeout_at(self._deadline):
                while not self._has_ended:
                    chunks.append(await self._next())
                    size += len(chunks[-1])
                    if size > MAX_BODY_BYTES:
                        raise _too_large()
        except TimeoutError:
            raise RefusedRequest(
                408, "too_slow", f"the body did not arrive within {READ_SECONDS:.0f} seconds"
            ) from None
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return unpacked(body) if body.startswith(_GZIP_MAGIC) else body

    async def discard(self) -> bool:
        """Reads and drops the rest of a refused body, within limits; returns whether the body has ended.

        Closing a connection with unread bytes loses the response, and the SDK would send the request again.
        """
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._deadline):
                while not self._has_ended and size <= _MAX_DISCARDED_BYTES:
                    size += len(await self._next())
        return self._has_ended

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._has_ended = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def unpacked(body: bytes) -> bytes:
    """Returns the content of a gzip body of one member; unpacking stops at `MAX_BODY_BYTES`.

    Raises:
      RefusedRequest: the content is too large (413), or the gzip is broken (400).
    """
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


def open_object(body: bytes) -> Fields:
    """Returns the fields of a JSON object.

    Raises:
      RefusedRequest: the body is not JSON, or not an object (400).
    """
    try:
        return decode_fields(body)
    except msgspec.ValidationError:
        raise RefusedRequest(400, "not_an_object", "expected a JSON object") from None
    except RecursionError:
        raise RefusedRequest(400, "not_json", "the body is nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RefusedRequest(400, "not_json", "the body is not JSON") from None


def open_batch(batch: msgspec.Raw | None) -> list[bytes]:
    """Returns the events of a batch, each as its original bytes.

    Raises:
      RefusedRequest: the batch is not a list (400), or has more than `MAX_EVENTS` (413).
    """
    try:
        events = _list_decoder.decode(batch) if batch is not None else None
    except msgspec.ValidationError:
        events = None
    if events is None:
        raise RefusedRequest(400, "no_batch", "batch: expected a list of events")
    if len(events) > MAX_EVENTS:
        raise RefusedRequest(413, "too_many_events", f"batch: expected at most {MAX_EVENTS} events")
    return [bytes(event) for event in events]


def _too_large() -> RefusedRequest:
    return RefusedRequest(413, "too_large", f"expected at most {MAX_BODY_BYTES} bytes, packed and unpacked")
