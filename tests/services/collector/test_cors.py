from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.collector.cors import ALLOWED_HEADERS, ALLOWED_METHODS, EXPOSED_HEADERS, Cors
from services.collector.settings import Source
from tests.services.collector.virtual_time import run

SHOP, OTHER, EVIL = "https://shop.example", "https://other.example", "https://evil.example"
SOURCE = Source(name="web", write_key="web-key-1", allowed_origins=[SHOP])
OPEN = Source(name="open", write_key="open-key-1", allowed_origins=["*"])


class Application:
    """Answers 200 with a body in two parts; may leave a source in the scope's state."""

    def __init__(self, source: Source | None = None, **headers: str) -> None:
        self.scopes: list[Scope] = []
        self._source = source
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self._source is not None:
            scope["state"]["source"] = self._source
        await send({"type": "http.response.start", "status": 200, "headers": list(self._headers)})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})


def answered(application: Application, method: str = "POST", **headers: str) -> list[Message]:
    """Returns what comes out for a request, where the pages of the shop and of another are allowed by some source."""
    scope = {
        "type": "http",
        "method": method,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "state": {},
    }
    return served(application, scope)


def served(application: Any, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing has to be read")

    run(Cors(application, lambda origin: origin in (SHOP, OTHER))(scope, receive, send))
    return sent


def headers_of(messages: list[Message]) -> dict[str, str]:
    found = [(name.decode().lower(), value.decode()) for name, value in messages[0]["headers"]]
    assert len(dict(found)) == len(found)
    return dict(found)


def cors_headers(messages: list[Message]) -> dict[str, str]:
    return {name: value for name, value in headers_of(messages).items() if name.startswith("access-control-")}


# Preflights


@pytest.mark.parametrize("origin", [SHOP, OTHER])
def test_a_preflight_of_any_sources_origin_gets_the_cors_headers(origin: str) -> None:
    application = Application()
    messages = answered(application, "OPTIONS", origin=origin, access_control_request_method="POST")
    assert messages[0]["status"] == 204
    assert cors_headers(messages) == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": ALLOWED_METHODS,
        "access-control-allow-headers": ALLOWED_HEADERS,
        "access-control-expose-headers": EXPOSED_HEADERS,
        "access-control-max-age": "7200",
    }
    assert application.scopes == [], "it is answered before the application"


@pytest.mark.parametrize("origin", [EVIL, "null", SHOP + ".evil.example", "http://shop.example"])
def test_a_preflight_of_another_origin_gets_no_cors_headers(origin: str) -> None:
    application = Application()
    messages = answered(application, "OPTIONS", origin=origin, access_control_request_method="POST")
    assert messages[0]["status"] == 204
    assert cors_headers(messages) == {}
    assert application.scopes == []


@pytest.mark.parametrize("origin", [SHOP, EVIL])
def test_the_answer_to_a_preflight_is_kept_by_caches_for_its_origin_only(origin: str) -> None:
    messages = answered(Application(), "OPTIONS", origin=origin, access_control_request_method="POST")
    assert headers_of(messages)["vary"] == "Origin"


@pytest.mark.parametrize(
    "method, headers",
    [
        ("OPTIONS", {"origin": SHOP}),
        ("OPTIONS", {"access_control_request_method": "POST"}),
        ("OPTIONS", {"origin": "", "access_control_request_method": "POST"}),
        ("POST", {"origin": SHOP, "access_control_request_method": "POST"}),
    ],
)
def test_what_is_no_preflight_reaches_the_application(method: str, headers: dict[str, str]) -> None:
    application = Application()
    messages = answered(application, method, **headers)
    assert len(application.scopes) == 1
    assert messages[0]["status"] == 200


# Answers


@pytest.mark.parametrize("source, origin", [(SOURCE, SHOP), (None, SHOP), (None, OTHER)])
def test_a_page_of_an_allowed_origin_may_read_the_answer(source: Source | None, origin: str) -> None:
    assert cors_headers(answered(Application(source), origin=origin)) == {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED_HEADERS,
    }


@pytest.mark.parametrize("source, origin", [(SOURCE, EVIL), (None, EVIL), (None, "null"), (None, "")])
def test_a_page_of_another_origin_may_not(source: Source | None, origin: str) -> None:
    assert cors_headers(answered(Application(source), origin=origin)) == {}


def test_once_the_source_is_known_only_its_own_origins_count() -> None:
    assert cors_headers(answered(Application(SOURCE), origin=OTHER)) == {}


def test_a_source_may_allow_every_origin() -> None:
    told = cors_headers(answered(Application(OPEN), origin=EVIL))
    assert told["access-control-allow-origin"] == EVIL, "and never *"


@pytest.mark.parametrize("source", [SOURCE, OPEN, None])
def test_a_request_without_an_origin_gets_no_cors_headers(source: Source | None) -> None:
    assert cors_headers(answered(Application(source))) == {}


@pytest.mark.parametrize("headers", [{}, {"origin": SHOP}, {"origin": EVIL}])
def test_every_answer_is_kept_by_caches_for_its_origin_only(headers: dict[str, str]) -> None:
    assert headers_of(answered(Application(), **headers))["vary"] == "Origin"
    assert headers_of(answered(Application(vary="Accept"), **headers))["vary"] == "Accept, Origin"


def test_the_rest_of_an_answer_stays_as_it_was() -> None:
    messages = answered(Application(SOURCE, retry_after="2"), origin=SHOP)
    assert (messages[0]["status"], headers_of(messages)["retry_after"]) == (200, "2")
    assert [message.get("body") for message in messages] == [None, b"one", b"two"]


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_no_request_passes(kind: str) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": f"{scope['type']}.passed"})

    assert served(application, {"type": kind}) == [{"type": f"{kind}.passed"}]
