"""uvicorn's HTTP protocol with limits of time, size and number for what clients leave half done.

bodies.py limits the bodies. Nothing here is answered: the connection is closed, and counted by its reason.
"""

import asyncio
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_SECONDS = 10.0
"""The time limit for the head of a request, from the connection or the first byte."""
MAX_HEAD_BYTES = 16 * 1024
"""The size limit for the request line and headers."""
MAX_HEADERS = 100
"""The most headers of a request: each takes some 150 bytes, however short it is."""
MAX_CONNECTIONS = 1500
"""The most connections. Beyond it, the one that has waited longest for the rest of a request gives way."""
MAX_BURST_BYTES = 16 * 1024 * 1024
"""The most bytes that are read before the application has looked at them."""
MAX_PIPELINED_BYTES = 64 * 1024
"""The most bytes of a body that come before the response to the request before it. No SDK sends any."""
RESPONSE_SECONDS = 5.0
"""The time limit for a client to read a response that does not fit into the buffers."""


class _Server:
    """What the connections of one server share."""

    def __init__(self) -> None:
        self.unfinished: dict[ImpatientProtocol, None] = {}
        """The connections that wait for a request, or for the rest of one, in the order in which they began."""
        self.burst_bytes = 0
        self.paused: list[ImpatientProtocol] | None = None


_servers: WeakKeyDictionary[ServerState, _Server] = WeakKeyDictionary()


class ImpatientProtocol(HttpToolsProtocol):
    """Closes a connection that is too slow or too large, or gives way to others.

    uvicorn itself limits only the pause between two requests.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _response_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _other_bytes = 0
    """The bytes of the chunk being parsed that belong to no unfinished head."""

    @property
    def _shared(self) -> _Server:
        return _servers.setdefault(self.server_state, _Server())

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the time limit for the first request; makes room for the connection."""
        super().connection_made(transport)
        self._start_head_timer()
        unfinished = self._shared.unfinished
        if len(self.connections) > MAX_CONNECTIONS:
            next(iter(unfinished), self)._close("crowded")
        if not transport.is_closing():
            unfinished[self] = None

    def data_received(self, data: bytes) -> None:
        """Parses the bytes; closes the connection if the head is incomplete and too large."""
        self._other_bytes = 0
        self._count_burst(len(data))
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += max(0, len(data) - self._other_bytes)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._close("large_head")

    def on_message_begin(self) -> None:
        """Starts the time limit for the rest of the head."""
        super().on_message_begin()
        self._start_head_timer()
        self._shared.unfinished.pop(self, None)
        self._shared.unfinished[self] = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; closes the connection if there are too many."""
        if len(self.headers) < MAX_HEADERS:
            super().on_header(name, value)
        elif not self.transport.is_closing():
            self._close("large_head")

    def on_headers_complete(self) -> None:
        """Ends the time limit; a request whose head was too large is not served."""
        self._stop_head_timer()
        self._other_bytes += len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body; closes the connection if it comes far too early."""
        self._other_bytes += len(body)
        if self.transport.is_closing():
            return
        if self.pipeline and len(self.cycle.body) + len(body) > MAX_PIPELINED_BYTES:
            self._close("pipelined")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request is whole."""
        self._shared.unfinished.pop(self, None)
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._shared.unfinished.setdefault(self, None)

    def pause_writing(self) -> None:
        """Starts the time limit for the client to read the response."""
        super().pause_writing()
        self._response_timer = self.loop.call_later(RESPONSE_SECONDS, self._abort)

    def resume_writing(self) -> None:
        """Ends the time limit."""
        super().resume_writing()
        self._stop_response_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the time limits."""
        self._stop_head_timer()
        self._stop_response_timer()
        self._shared.unfinished.pop(self, None)
        super().connection_lost(exc)

    def _count_burst(self, size_bytes: int) -> None:
        """Lets the application run before more is read than there is memory for."""
        shared = self._shared
        if shared.paused is None:
            shared.burst_bytes, shared.paused = 0, []
            self.loop.call_soon(_end_burst, shared)
        shared.burst_bytes += size_bytes
        if shared.burst_bytes > MAX_BURST_BYTES and not shared.paused:
            shared.paused = [one for one in shared.unfinished if not one.flow.read_paused]
            for one in shared.paused:
                one.flow.pause_reading()

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close, "slow_head")

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_response_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None

    def _abort(self) -> None:
        self._count("unread_response")
        self.transport.abort()

    def _close(self, reason: str) -> None:
        self._count(reason)
        self._shared.unfinished.pop(self, None)
        self.transport.close()

    def _count(self, reason: str) -> None:
        closed = self.app_state.get("closed_connections")
        if closed is not None:
            closed.labels(reason).inc()


def _end_burst(shared: _Server) -> None:
    for one in shared.paused or ():
        if not one.pipeline and not one.transport.is_closing():
            one.flow.resume_reading()
    shared.paused = None
