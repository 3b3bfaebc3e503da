"""CORS: browsers may call from the origins that the settings allow, and only those are named in responses."""

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.collector.settings import Source

ALLOWED_HEADERS = (
    "authorization, content-type, x-retry-count, anonymousid, sentat, x-write-key, rsa-retry-attempt,"
    " rsa-retry-reason, rsa-since-last-attempt, rsa-since-first-attempt, rsa-recovered"
)
"""RudderStack's JavaScript SDK sends the last five headers when it retries."""
ALLOWED_METHODS = "GET, POST, OPTIONS"
EXPOSED_HEADERS = "Retry-After"
_PREFLIGHT_SECONDS = "7200"
"""The longest that Chrome caches a preflight; other browsers allow more."""


class Cors:
    """Answers preflights, and lets pages of allowed origins read the collector's responses.

    A preflight has no write key, so the origin of any source is accepted. The request itself must come from an origin
    of its own source, which the application stores in the scope's state.

    Args:
      app: the application.
      allows_origin: returns whether any source allows an origin.
    """

    def __init__(self, app: ASGIApp, allows_origin: Callable[[str], bool]) -> None:
        self._app = app
        self._allows_origin = allows_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
            await self._preflight(origin)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message), origin, scope.get("state", {}).get("source"))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _preflight(self, origin: str) -> Response:
        headers = {"Vary": "Origin"}
        if self._allows_origin(origin):
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": ALLOWED_METHODS,
                "Access-Control-Allow-Headers": ALLOWED_HEADERS,
                "Access-Control-Expose-Headers": EXPOSED_HEADERS,
                "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
            }
        return Response(status_code=204, headers=headers)

    def _add_headers(self, headers: MutableHeaders, origin: str | None, source: Source | None) -> None:
        headers.add_vary_header("Origin")
        if origin and (source.allows_origin if source is not None else self._allows_origin)(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
