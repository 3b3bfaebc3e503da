"""A server that speaks Pub/Sub's protocol and keeps no message: it accepts what is published, or says nothing."""

import threading
from concurrent import futures
from typing import Any, Self

import grpc
from google.pubsub_v1.types import PublishRequest, PublishResponse

from tests.waiting import HANGS_AFTER_SECONDS

_Request = PublishRequest.pb(PublishRequest()).__class__
_Response = PublishResponse.pb(PublishResponse()).__class__


class PubSubServer(grpc.GenericRpcHandler):
    """Accepts messages while `speaks` is set; until then, whoever publishes waits."""

    def __init__(self) -> None:
        self.speaks = threading.Event()
        self.speaks.set()
        self.accepted: list[tuple[str, list[int]]] = []
        """The topic of each accepted call, and the bytes of its messages."""
        options = [("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(futures.ThreadPoolExecutor(32), handlers=[self], options=options)
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.speaks.set()
        self._server.stop(None)

    def service(self, details: Any) -> Any:
        """Returns how a call is handled."""
        return grpc.unary_unary_rpc_method_handler(
            self._accept, _Request.FromString, _Response.SerializeToString
        )

    def _accept(self, request: Any, context: Any) -> Any:
        self.speaks.wait(HANGS_AFTER_SECONDS)
        self.accepted.append((request.topic, [len(message.data) for message in request.messages]))
        return _Response(message_ids=["1"] * len(request.messages))
