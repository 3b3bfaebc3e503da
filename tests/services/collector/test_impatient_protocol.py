import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from services.collector import impatient_protocol
from services.collector.impatient_protocol import (
    HEAD_SECONDS,
    MAX_BURST_BYTES,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PIPELINED_BYTES,
    RESPONSE_SECONDS,
    ImpatientProtocol,
)
from services.collector.metrics import Metrics
from tests.services.collector.virtual_time import others_have_run, run

KEEP_ALIVE_SECONDS = 75
LINE = b"POST /v1/batch HTTP/1.1\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
BEGUN = [LINE[:8], LINE, LINE + b"Host: a\r\nX-A: ", LINE + b"Host: a\r\n"]
"""Heads that are not complete."""


class FakeTransport(asyncio.Transport):
    """Notes what is written and when it was closed; the connection is lost only when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed_at: float | None = None
        self.reads = True

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()

    abort = close

    def is_closing(self) -> bool:
        return self.closed_at is not None

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


async def answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def answer_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await answer_at_once(scope, receive, send)


class Connection:
    """A protocol on a transport that a test plays."""

    def __init__(self, application: Any = answer_at_once, server: ServerState | None = None) -> None:
        config = Config(
            application, lifespan="off", ws="none", log_config=None, timeout_keep_alive=KEEP_ALIVE_SECONDS
        )
        self.transport = FakeTransport()
        self.metrics = Metrics()
        state = {"closed_connections": self.metrics.closed_connections}
        self.protocol = ImpatientProtocol(config, server or ServerState(), app_state=state)
        self.protocol.connection_made(self.transport)

    async def send(self, data: bytes) -> None:
        """Sends, and returns when the application has done what it can."""
        self.protocol.data_received(data)
        await others_have_run()

    @property
    def answers(self) -> int:
        return self.transport.written.count(b"HTTP/1.1 ")

    @property
    def closed_for(self) -> list[str]:
        """The reasons for which the collector closed it, as it counts them."""
        lines = self.metrics.exposition().decode().splitlines()
        return [
            line.split('"')[1] for line in lines if line.startswith("collector_connections_closed_total{")
        ]

    @property
    def closed_at(self) -> float | None:
        return self.transport.closed_at


def played(
    play: Callable[[Connection], Coroutine[Any, Any, None]], application: Any = answer_at_once
) -> None:
    """Plays a connection that is opened at second 0."""

    async def connect() -> None:
        await play(Connection(application))

    run(connect())


# In time


def test_a_client_that_says_nothing_is_cut_off() -> None:
    async def play(connection: Connection) -> None:
        await asyncio.sleep(HEAD_SECONDS - 1)
        assert connection.closed_at is None
        await asyncio.sleep(60)
        assert connection.closed_at == pytest.approx(HEAD_SECONDS)

    played(play)


@pytest.mark.parametrize("begun", BEGUN)
def test_a_client_that_does_not_finish_the_head_is_cut_off(begun: bytes) -> None:
    async def play(connection: Connection) -> None:
        await asyncio.sleep(5)
        await connection.send(begun)
        await asyncio.sleep(60)
        assert connection.closed_at == pytest.approx(5 + HEAD_SECONDS, abs=1e-3), "from when it began"
        assert connection.closed_for == ["slow_head"]
        assert connection.answers == 0

    played(play)


def test_a_head_that_comes_drop_by_drop_gets_no_more_time() -> None:
    async def play(connection: Connection) -> None:
        await connection.send(LINE)
        for _ in range(30):
            await asyncio.sleep(1)
            if connection.closed_at is None:
                await connection.send(b"A: b\r\n")
        assert connection.closed_at == pytest.approx(HEAD_SECONDS, abs=1e-3)

    played(play)


def test_a_head_that_is_complete_in_time_is_answered() -> None:
    async def play(connection: Connection) -> None:
        await connection.send(GET[:10])
        await asyncio.sleep(HEAD_SECONDS - 1)
        await connection.send(GET[10:])
        assert connection.answers == 1
        assert connection.closed_at is None

    played(play)


def test_the_body_and_the_answer_may_take_longer() -> None:
    """Others bound them."""

    async def play(connection: Connection) -> None:
        await connection.send(LINE + b"Host: a\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(10 * HEAD_SECONDS)
        await connection.send(b"{")
        await asyncio.sleep(10 * HEAD_SECONDS)
        assert (connection.closed_at, connection.answers) == (None, 0)
        await connection.send(b"}")
        assert (connection.closed_at, connection.answers) == (None, 1)

    played(play, answer_the_body)


def test_between_two_requests_uvicorns_own_bound_holds() -> None:
    async def play(connection: Connection) -> None:
        await connection.send(GET)
        await asyncio.sleep(3 * HEAD_SECONDS)
        assert connection.closed_at is None
        await asyncio.sleep(KEEP_ALIVE_SECONDS)
        assert connection.closed_at == pytest.approx(KEEP_ALIVE_SECONDS, abs=1e-3)

    played(play)


def test_the_next_request_has_a_bound_of_its_own() -> None:
    async def play(connection: Connection) -> None:
        await connection.send(GET)
        await asyncio.sleep(30)
        await connection.send(GET[:10])
        await asyncio.sleep(HEAD_SECONDS - 1)
        assert connection.closed_at is None
        await asyncio.sleep(60)
        assert connection.closed_at == pytest.approx(30 + HEAD_SECONDS, abs=1e-3)
        assert connection.answers == 1

    played(play)


@pytest.mark.parametrize("begun", [b"", *BEGUN])
def test_a_lost_connection_is_not_waited_for(begun: bytes) -> None:
    async def play(connection: Connection) -> None:
        if begun:
            await connection.send(begun)
        connection.protocol.connection_lost(ConnectionResetError())
        await asyncio.sleep(60)
        assert connection.closed_at is None, "it was closed already, by the other side"

    played(play)


# In size


def head_of(size: int) -> bytes:
    """Returns the beginning of a head, of so many bytes."""
    begun = LINE + b"A: "
    return begun + b"x" * (size - len(begun))


def test_a_head_up_to_the_bound_is_waited_for_and_no_further() -> None:
    async def play(connection: Connection) -> None:
        head = head_of(MAX_HEAD_BYTES)
        for at in range(0, MAX_HEAD_BYTES, 1024):
            await connection.send(head[at : at + 1024])
        assert connection.closed_at is None
        await connection.send(b"x")
        assert connection.closed_at is not None

    played(play)


def test_a_head_beyond_the_bound_is_cut_off_at_once() -> None:
    async def play(connection: Connection) -> None:
        connection.protocol.data_received(head_of(MAX_HEAD_BYTES + 1))
        assert connection.closed_at == 0

    played(play)


def test_every_request_of_a_connection_may_have_a_head_of_that_size() -> None:
    async def play(connection: Connection) -> None:
        for number in range(1, 4):
            await connection.send(head_of(MAX_HEAD_BYTES))
            await connection.send(b"\r\n\r\n")
            assert (connection.closed_at, connection.answers) == (None, number)

    played(play)


def test_a_body_may_be_larger() -> None:
    async def play(connection: Connection) -> None:
        size = 4 * MAX_HEAD_BYTES
        await connection.send(LINE + b"Host: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(4):
            await connection.send(bytes(MAX_HEAD_BYTES))
        assert (connection.closed_at, connection.answers) == (None, 1)

    played(play, answer_the_body)


def test_a_request_that_comes_at_once_may_be_larger() -> None:
    async def play(connection: Connection) -> None:
        size = 2 * MAX_HEAD_BYTES
        await connection.send(LINE + b"Host: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        assert (connection.closed_at, connection.answers) == (None, 1)

    played(play, answer_the_body)


def test_a_head_has_only_so_many_headers() -> None:
    """Each takes much more memory than it has bytes."""

    async def play(connection: Connection) -> None:
        await connection.send(LINE + b"a:b\r\n" * MAX_HEADERS + b"\r\n")
        assert (connection.closed_at, connection.answers) == (None, 1)
        await connection.send(LINE + b"a:b\r\n" * (MAX_HEADERS + 1) + b"\r\n")
        assert connection.closed_at is not None
        assert (connection.answers, connection.closed_for) == (1, ["large_head"])

    played(play)


def test_the_end_of_a_body_is_no_part_of_the_next_head() -> None:
    async def play(connection: Connection) -> None:
        size = 2 * MAX_HEAD_BYTES
        first = LINE + b"Host: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
        await connection.send(first + GET[:10])
        assert connection.closed_at is None
        await connection.send(GET[10:])
        assert (connection.closed_at, connection.answers) == (None, 2)

    played(play, answer_the_body)


# In number


async def never_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("begun", [b"", BEGUN[2], LINE + b"Host: a\r\nContent-Length: 9\r\n\r\n{", GET])
def test_the_connection_that_has_waited_longest_gives_way(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impatient_protocol, "MAX_CONNECTIONS", 3)

    async def play(_: Connection) -> None:
        server = ServerState()
        connections = [Connection(answer_the_body, server) for _ in range(3)]
        for connection in connections:
            if begun:
                await connection.send(begun)
        if begun:
            await connections[0].send(GET if begun == GET else b"")
        new = Connection(answer_at_once, server)
        await new.send(GET)
        assert (new.closed_at, new.answers) == (None, 1)
        oldest = connections[1] if begun == GET else connections[0]
        assert oldest.closed_for == ["crowded"]
        assert [one.closed_at is None for one in connections].count(False) == 1

    played(play)


def test_a_request_that_is_whole_does_not_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impatient_protocol, "MAX_CONNECTIONS", 3)

    async def play(_: Connection) -> None:
        server = ServerState()
        whole = [Connection(never_answer, server) for _ in range(3)]
        for connection in whole:
            await connection.send(GET)
        new = Connection(answer_at_once, server)
        assert new.closed_for == ["crowded"]
        assert [connection.closed_at for connection in whole] == [None] * 3
        for connection in whole:
            connection.protocol.connection_lost(None)
        assert Connection(answer_at_once, server).closed_at is None

    played(play)


def test_so_many_connections_may_stand() -> None:
    async def play(_: Connection) -> None:
        server = ServerState()
        connections = [Connection(answer_at_once, server) for _ in range(MAX_CONNECTIONS + 1)]
        assert [connection.closed_at is None for connection in connections] == [False] + [
            True
        ] * MAX_CONNECTIONS

    played(play)


# What nobody has looked at


def test_a_burst_is_read_no_faster_than_the_application_looks_at_it() -> None:
    async def play(_: Connection) -> None:
        server = ServerState()
        connections = [Connection(answer_the_body, server) for _ in range(100)]
        head = LINE + b"Host: a\r\nContent-Length: 10000000\r\n\r\n"
        for connection in connections:
            await connection.send(head)
        chunk = bytes(256 * 1024)
        read_bytes = 0
        for connection in connections:
            if connection.transport.reads:
                connection.protocol.data_received(chunk)
                read_bytes += len(chunk)
        assert read_bytes <= MAX_BURST_BYTES + len(chunk)
        assert not any(connection.transport.reads for connection in connections)
        await others_have_run()
        assert all(connection.transport.reads for connection in connections)
        assert [connection.closed_at for connection in connections] == [None] * 100

    played(play)


def test_a_body_before_the_response_to_the_request_before_it_is_small() -> None:
    async def play(connection: Connection) -> None:
        await connection.send(GET + LINE + b"Host: a\r\nContent-Length: 10000000\r\n\r\n")
        await connection.send(bytes(MAX_PIPELINED_BYTES))
        assert connection.closed_at is None
        await connection.send(b"x")
        assert connection.closed_for == ["pipelined"]

    played(play, never_answer)


def test_a_response_that_is_not_read_is_dropped() -> None:
    async def play(connection: Connection) -> None:
        await connection.send(GET)
        flow = connection.protocol.flow
        waits = []
        connection.protocol.pause_writing()
        waits.append(flow.write_paused)
        await asyncio.sleep(RESPONSE_SECONDS - 1)
        connection.protocol.resume_writing()
        waits.append(flow.write_paused)
        assert waits == [True, False], "the application waits while the client does not read"
        await asyncio.sleep(2 * RESPONSE_SECONDS)
        assert connection.closed_at is None
        begun = asyncio.get_running_loop().time()
        connection.protocol.pause_writing()
        await asyncio.sleep(2 * RESPONSE_SECONDS)
        assert connection.closed_at == pytest.approx(begun + RESPONSE_SECONDS)
        assert connection.closed_for == ["unread_response"]

    played(play)
