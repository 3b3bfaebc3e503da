"""HTTP by uvicorn and httptools, for clients that begin a request within a bound; bodies.py bounds the rest of it."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_SECONDS = 10.0
"""How long a client may take to send the head of a request, from when it connected or began."""


class ImpatientProtocol(HttpToolsProtocol):
    """Closes connections on which a request's head does not become complete.

    uvicorn itself bounds only the pause between two requests.
    """

    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def on_message_begin(self) -> None:
        """Waits for the rest of the head."""
        super().on_message_begin()
        self._wait_for_headers()

    def on_headers_complete(self) -> None:
        """Waits no longer."""
        self._wait_no_longer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._wait_no_longer()
        self._impatience = self.loop.call_later(HEADERS_SECONDS, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
