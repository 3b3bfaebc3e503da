"""Stands between an SDK and a collector, and fails on request, as networks and overloaded servers do."""

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import httpx

from tests.waiting import HANGS_AFTER_SECONDS

_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding", "date", "server"}


class Sent(NamedTuple):
    """A request with events, as it came, and the status that it got."""

    path: str
    headers: dict[str, str]
    status: int


class Faults:
    """A server on this machine that hands requests on to a collector, and refuses some.

    Args:
      collector: the collector's address.
      refusals: statuses for the first requests with events; `Retry-After` says a second.
    """

    def __init__(self, collector: str, refusals: Iterable[int] = ()) -> None:
        self._sent: dict[int, Sent] = {}
        self._arrived = 0
        self._refusals = list(refusals)
        self._client = httpx.Client(base_url=collector, timeout=HANGS_AFTER_SECONDS)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    @property
    def sent(self) -> list[Sent]:
        """The answered requests with events, in the order in which they came: refusals come first."""
        with self._lock:
            return [self._sent[place] for place in sorted(self._sent)]

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        with self._lock:
            refusal = self._refusals.pop(0) if method == "POST" and self._refusals else None
            place = self._arrived
            self._arrived += 1
        # a refusal has the headers with which the collector itself refuses: browsers read no answer without them
        answer = self._client.request(
            method, path, headers=headers, content=body if refusal is None else b"{"
        )
        if refusal is not None:
            answer.status_code = refusal
            answer.headers["Retry-After"] = "1"
        if method == "POST":
            sent = Sent(path, {name.lower(): value for name, value in headers.items()}, answer.status_code)
            with self._lock:
                self._sent[place] = sent
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _hand_on(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b"".join(iter(self._read_chunk, b""))
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP
                }
                answer = faults._answer(self.command, self.path, headers, body)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in {*_HOP_BY_HOP, "content-encoding"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def _read_chunk(self) -> bytes:
                """Returns the next chunk of a body; empty at its end."""
                size = int(self.rfile.readline().partition(b";")[0], 16)
                content = self.rfile.read(size)
                self.rfile.readline()
                return content

            do_GET = do_POST = do_OPTIONS = _hand_on

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
