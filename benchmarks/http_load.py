"""A load generator of HTTP requests in a process of its own: `python -m benchmarks.http_load` serves `load`."""

import asyncio
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks.data import ROOT


class Load(msgspec.Struct, frozen=True):
    """The requests to send, and their rate."""

    port: int
    requests: str
    """A JSON file: a list of whole HTTP requests, which are sent in turn."""
    count: int
    connections: int
    per_second: float | None = None
    """The fixed rate, even if the server is slower; None: as fast as the server answers."""


class LoadResult(msgspec.Struct, frozen=True):
    """The latencies and errors of a load."""

    seconds: float
    waits_ms: list[float]
    """The time from when each request was due to its response, in ascending order."""
    refused: int
    """The number of responses that were not 200."""
    load_cpu_seconds: float
    """The processor time of the load generator itself."""

    def percentile_ms(self, share: float) -> float:
        """Returns a percentile of the latency; `share` 0.99 is p99."""
        return self.waits_ms[math.ceil(share * len(self.waits_ms)) - 1]


def load(what: Load) -> LoadResult:
    """Sends requests from a separate process, and returns the result."""
    command = [sys.executable, "-m", "benchmarks.http_load"]
    answer = subprocess.run(
        command, cwd=ROOT, input=msgspec.json.encode(what), stdout=subprocess.PIPE, check=True
    )
    return msgspec.json.decode(answer.stdout, type=LoadResult)


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = body[length:]
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server closed the connection"))

    async def send(self, request: bytes) -> int:
        """Sends a request, and returns the status of the response."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


async def _run(what: Load) -> LoadResult:
    requests = [text.encode() for text in json.loads(Path(what.requests).read_text(encoding="utf-8"))]
    loop = asyncio.get_running_loop()
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(what.connections):
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", what.port)
        idle.put_nowait(connection)
    waits: list[float] = []
    refused = 0

    async def one(request: bytes, due: float, connection: _Connection) -> None:
        nonlocal refused
        refused += await connection.send(request) != 200
        waits.append((time.perf_counter() - due) * 1000)
        idle.put_nowait(connection)

    started, used = time.perf_counter(), _cpu_seconds()
    async with asyncio.TaskGroup() as sending:
        for index in range(what.count):
            due = time.perf_counter()
            if what.per_second is not None:
                due = started + index / what.per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            connection = await idle.get()
            sending.create_task(
                one(
                    requests[index % len(requests)],
                    due if what.per_second else time.perf_counter(),
                    connection,
                )
            )
    seconds = time.perf_counter() - started
    return LoadResult(seconds, sorted(waits), refused, _cpu_seconds() - used)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Reads a load from standard input, runs it, and writes its result to standard output."""
    what = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_run(what))))


if __name__ == "__main__":
    main()
