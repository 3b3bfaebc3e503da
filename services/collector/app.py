"""The application: its routes and their responses."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from segmentation.identifiers import DEFAULT_IGNORED_IDS, IgnoredIds
from services.collector.bodies import BodyReader
from services.collector.browser_settings import rudderstack_source_config, segment_settings
from services.collector.cors import Cors
from services.collector.errors import RefusedRequest, free_frames
from services.collector.intake import Intake
from services.collector.keys import WriteKeys, basic_user
from services.collector.memory_budget import MAX_PENDING_BYTES
from services.collector.messages import PlanCheck
from services.collector.metrics import Metrics
from services.collector.publisher import PubSub, TopicPublisher
from services.collector.readiness import Readiness
from services.collector.settings import Settings
from services.collector.unknown_paths import UnknownPaths
from stores.clock import Clock, system_clock_ms

OPENAPI = Path(__file__).with_name("openapi.yaml")
CALLS = ("track", "identify", "page", "screen", "group", "alias")
KINDS: dict[str, str | None] = {
    "/v1/batch": None,
    "/v1/b": None,
    "/v1/import": None,
    "/beacon/v1/batch": None,
    **{f"/v1/{call}": call for call in CALLS},
    **{f"/v1/{call[0]}": call for call in CALLS},
}
"""Path to the type of call; None for a batch."""
_Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class CollectorConfig:
    """The options of a collector."""

    settings: Settings
    events_topic: str
    """projects/P/topics/T."""
    dead_letter_topic: str
    public_url: str | None = None
    """The URL that browsers use; None: the request's Host header."""
    trusted_proxies: int = 0
    """The number of trusted proxies in front."""
    max_pending_bytes: int = MAX_PENDING_BYTES
    """The most bytes that may wait for Pub/Sub, per topic."""
    publish_seconds: float = 8.0
    """The time limit for Pub/Sub: SDKs wait 10 to 15 s."""
    plan_check: PlanCheck | None = None
    ignored_ids: IgnoredIds = DEFAULT_IGNORED_IDS
    """Ids that stand for no id."""
    clock: Clock = system_clock_ms


def create_app(config: CollectorConfig) -> Starlette:
    """Returns the application; it connects to Pub/Sub when it starts, and flushes when it ends."""
    service = _Service(config)
    posts = {**dict.fromkeys(KINDS, service.take), "/v1/m": service.ignore_sdk_metrics}
    gets = {
        "/v1/projects/{write_key}/settings": service.segment_settings,
        "/sourceConfig": service.source_config,
        "/healthz": _healthz,
        "/readyz": service.readyz,
        "/metrics": service.exposition,
        "/openapi.json": _openapi,
    }
    routes = [*_routes(posts, "POST"), *_routes(gets, "GET")]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Cors, allows_origin=_allowed_by_any_source(config.settings))],
        exception_handlers={
            RefusedRequest: _refused,
            HTTPException: service.no_route,
            ClientDisconnect: _client_gone,
            Exception: _failed,
        },
        lifespan=service.lifespan,
    )
    app.router.redirect_slashes = False
    return app


class _Service:
    """A running collector."""

    def __init__(self, config: CollectorConfig) -> None:
        self._config = config
        self._metrics = Metrics()
        write_keys = WriteKeys(config.settings.sources)
        self._unknown_paths = UnknownPaths(write_keys.is_known, time.monotonic)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[dict[str, Any]]:
        """Connects to Pub/Sub; at the end publishes the waiting messages."""
        config = self._config
        self._pubsub = PubSub(config.publish_seconds)
        topics = {"events_topic": config.events_topic, "dead_letter_topic": config.dead_letter_topic}
        self._readiness = Readiness(self._pubsub, topics)
        events = TopicPublisher(self._pubsub, config.events_topic, config.max_pending_bytes)
        dead_letters = TopicPublisher(self._pubsub, config.dead_letter_topic, config.max_pending_bytes)
        self._metrics.watch_pending("events", lambda: events.pending_bytes)
        self._metrics.watch_pending("dead_letters", lambda: dead_letters.pending_bytes)
        self._intake = Intake(
            config.settings,
            events,
            dead_letters,
            self._metrics,
            config.clock,
            config.trusted_proxies,
            config.plan_check,
            config.ignored_ids,
            max_pending_bytes=config.max_pending_bytes,
        )
        self._metrics.watch_memory(
            lambda: self._intake.memory.held_bytes, lambda: self._intake.arriving.size_bytes
        )
        yield {"closed_connections": self._metrics.closed_connections}
        await events.flush()
        await dead_letters.flush()
        await self._pubsub.close()

    async def take(self, request: Request) -> Response:
        """Receives the events of a request, and answers when Pub/Sub has accepted them."""
        started = time.perf_counter()
        code = "failed"
        try:
            answer = await self._intake.take(request, KINDS[request.scope["path"].removesuffix("/")])
            code = "ok"
        except RefusedRequest as refused:
            code = refused.code
            raise
        except ClientDisconnect:
            code = "client_gone"
            raise
        finally:
            self._metrics.responses.labels(code).inc()
            self._metrics.request_seconds.observe(time.perf_counter() - started)
        return _json({"success": True, "published": answer.published, "dead_lettered": answer.dead_lettered})

    async def ignore_sdk_metrics(self, request: Request) -> Response:
        """Drops the figures that Segment's SDKs send about themselves, without a write key."""
        reader = BodyReader(request.receive)
        has_ended = await reader.discard()
        return _json({"success": True}, headers=None if has_ended else {"Connection": "close"})

    async def segment_settings(self, request: Request) -> Response:
        """Returns the settings that analytics.js loads."""
        source = self._intake.admit(request, request.path_params["write_key"])
        return _json(segment_settings(source, self._public_url(request)))

    async def source_config(self, request: Request) -> Response:
        """Returns the settings that RudderStack's JavaScript SDK loads."""
        write_key = basic_user(request.headers.get("authorization")) or request.query_params.get("writeKey")
        return _json(rudderstack_source_config(self._intake.admit(request, write_key)))

    async def readyz(self, request: Request) -> Response:
        """Answers 200 if events can be accepted now, else 503."""
        problem = await self._readiness.problem()
        return _json({"status": "ready"}) if problem is None else _error(503, *problem)

    async def exposition(self, request: Request) -> Response:
        """Returns the metrics in Prometheus's text format."""
        return Response(self._metrics.exposition(), headers={"Content-Type": Metrics.content_type})

    async def no_route(self, request: Request, error: Exception) -> Response:
        """Answers a request that no route takes; counts and logs it, because an SDK gives up what it sent there."""
        assert isinstance(error, HTTPException)
        self._metrics.requests_without_route.labels(str(error.status_code)).inc()
        self._unknown_paths.log(request.method, request.scope["path"], error.status_code)
        code = {404: "no_such_path", 405: "bad_method"}.get(error.status_code, "refused")
        return _error(error.status_code, code, error.detail, error.headers)

    def _public_url(self, request: Request) -> str:
        if self._config.public_url is not None:
            return self._config.public_url
        scheme = request.url.scheme
        if self._config.trusted_proxies and request.headers.get("x-forwarded-proto") == "https":
            scheme = "https"
        return f"{scheme}://{request.url.netloc}"


def _routes(endpoints: Mapping[str, _Endpoint], method: str) -> list[Route]:
    """Returns a route for each path, and one for the path with a closing slash, which some SDKs send."""
    return [
        Route(path + slash, endpoint, methods=[method])
        for path, endpoint in endpoints.items()
        for slash in ("", "/")
    ]


async def _healthz(request: Request) -> Response:
    return _json({"status": "alive"})


async def _openapi(request: Request) -> Response:
    return _json(yaml.safe_load(OPENAPI.read_text(encoding="utf-8")))


def _allowed_by_any_source(settings: Settings) -> Callable[[str], bool]:
    return lambda origin: any(source.allows_origin(origin) for source in settings.sources)


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, RefusedRequest)
    free_frames(refused)
    headers = {}
    if refused.retry_after_seconds is not None:
        headers["Retry-After"] = str(refused.retry_after_seconds)
    if refused.closes_connection:
        headers["Connection"] = "close"
    return _error(refused.status, refused.code, refused.message, headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    return _error(400, "client_gone", "the client closed the connection")  # nobody reads it


async def _failed(request: Request, error: Exception) -> Response:
    return _error(500, "failed", "the collector failed; try again")


def _error(status: int, code: str, message: str, headers: Any = None) -> Response:
    return _json({"code": code, "message": message}, status, headers)


def _json(content: Any, status: int = 200, headers: Any = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
