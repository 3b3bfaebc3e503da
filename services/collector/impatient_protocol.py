"""HTTP by uvicorn and httptools, for clients that begin a request within a bound; bodies.py bounds the rest of it."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""How long a client may take to send the head of a request, from when it connected or began."""
MAX_HEAD_BYTES = 64 * 1024
"""Of a request line and its headers."""


class ImpatientProtocol(HttpToolsProtocol):
    """Closes connections on which a request's head does not become complete, in time or in size.

    uvicorn itself bounds only the pause between two requests.
    """

    _impatience: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Parses what came, and hangs up if that is still no whole head."""
        super().data_received(data)
        if self._impatience is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Waits for the rest of the head."""
        super().on_message_begin()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        """Waits no longer."""
        self._wait_no_longer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._wait_no_longer()
        self._head_bytes = 0
        self._impatience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
