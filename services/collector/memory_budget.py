"""The memory of requests in progress: what may arrive at the same time, and what may wait for Pub/Sub.

The reckoning for a container of 512 MiB, which tests/services/collector/test_memory.py attacks; in MiB, at most:

| what | MiB | bounded by |
|---|---|---|
| the process itself | 95 | |
| connections with their heads, unread responses | 75 | `MAX_CONNECTIONS` and more in impatient_protocol.py |
| bytes that the application has not looked at | 16 | `MAX_BURST_BYTES` there |
| bodies that have not arrived whole | 54 | `MAX_ARRIVING_BYTES`, and the growth of a bytearray |
| the one request that is opened and built now | 80 | the limits of bodies.py; `MAX_COPIED_BYTES` in completion.py |
| events that wait for Pub/Sub | 120 | `MEMORY_PER_PENDING_BYTE` times `MAX_PENDING_BYTES` |
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from services.collector.errors import RefusedRequest, Unavailable

MAX_ARRIVING_BYTES = 48 * 1024 * 1024
"""The most bytes of bodies that have not arrived whole."""
_SHARE_OF_ADDRESS = _SHARE_WITHOUT_KEY = 1 / 3
_SHARE_OF_SOURCE = 1 / 2
MAX_PENDING_BYTES = 24 * 1024 * 1024
"""The most bytes that wait for Pub/Sub, per topic, unless --max_pending_bytes is given."""
COPIES = 4
"""A message waits for Pub/Sub as bytes, in protobuf, serialised, and in gRPC's buffer; measured: 4.0 to 4.3 times."""
MEMORY_PER_PENDING_BYTE = 5
"""`COPIES`, and room for the next request."""
_MESSAGE_OVERHEAD_BYTES = 96


def memory_bytes(messages: list[bytes]) -> int:
    """Returns how much memory messages take while they wait for Pub/Sub."""
    return COPIES * (sum(map(len, messages)) + _MESSAGE_OVERHEAD_BYTES * len(messages))


class MemoryBudget:
    """The memory of requests whose events wait for Pub/Sub.

    Args:
      max_bytes: the most bytes that they may take together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    @contextmanager
    def hold(self, size_bytes: int) -> Iterator["Holding"]:
        """Holds memory for a request, within a `with`.

        Raises:
          Unavailable: other requests hold too much.
          RefusedRequest: there is not so much memory at all (413).
        """
        holding = Holding(self)
        try:
            holding.resize(size_bytes)
            yield holding
        finally:
            holding.resize(0)

    def change(self, size_bytes: int) -> None:
        """Holds more memory, or less."""
        if size_bytes > 0 and self.held_bytes + size_bytes > self._max_bytes:
            raise too_busy()
        self.held_bytes += size_bytes

    def check(self, size_bytes: int) -> None:
        """Refuses a request that does not fit, even if it is the only one."""
        if size_bytes > self._max_bytes:
            raise RefusedRequest(
                413,
                "too_large",
                "the events of the batch are too large together; send fewer events per batch",
            )


class Holding:
    """The memory of one request."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size_bytes = 0

    def resize(self, size_bytes: int) -> None:
        """Sets how much memory the request holds; see `MemoryBudget.hold`."""
        self._budget.check(size_bytes)
        self._budget.change(size_bytes - self._size_bytes)
        self._size_bytes = size_bytes


class ArrivingBodies:
    """The bodies that have not arrived whole.

    Those of one address, of one source, and of all requests whose write key is not known yet, have only a share of the
    room. Where a body finds no room, the one that began first gives way: a client that sends at a usual speed has long
    finished by then, and one that keeps its request open on purpose keeps nobody else out.
    """

    def __init__(self, max_bytes: int = MAX_ARRIVING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rooms: dict[Hashable, _Room] = {}

    @property
    def size_bytes(self) -> int:
        """The bytes of all of them."""
        room = self._rooms.get(None)
        return 0 if room is None else room.size_bytes

    @contextmanager
    def enter(
        self, address: str | None, source: str | None, give_way: Callable[[], None]
    ) -> Iterator["ArrivingBody"]:
        """Makes a place for a body that begins to arrive, until it ends.

        Args:
          address: the client's.
          source: the name of the request's source; None: its write key is not known yet.
          give_way: called when the body has lost its place.
        """
        share_of_key = _SHARE_WITHOUT_KEY if source is None else _SHARE_OF_SOURCE
        shares: dict[Hashable, float] = {
            ("address", address): _SHARE_OF_ADDRESS,
            ("source", source): share_of_key,
            None: 1,
        }
        body = ArrivingBody(give_way)
        for name, share in shares.items():
            room = self._rooms.setdefault(name, _Room(int(share * self._max_bytes)))
            room.bodies[body] = None
            body.rooms.append(room)
        try:
            yield body
        finally:
            body.leave()
            for name in shares:
                if name in self._rooms and not self._rooms[name].bodies:
                    del self._rooms[name]


class _Room:
    """The bodies that share one bound, in the order in which they began."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self.bodies: dict[ArrivingBody, None] = {}


class ArrivingBody:
    """What has arrived of one body."""

    def __init__(self, give_way: Callable[[], None]) -> None:
        self.content = bytearray()
        self.rooms: list[_Room] = []
        self.has_lost_its_place = False
        self._give_way = give_way

    def add(self, chunk: bytes) -> None:
        """Adds bytes that have arrived.

        Raises:
          Unavailable: the body has lost its place.
        """
        for room in self.rooms:
            while room.size_bytes + len(chunk) > room.max_bytes and not self.has_lost_its_place:
                next(body for body in room.bodies if body.content or body is self).lose_its_place()
        if self.has_lost_its_place:
            raise too_busy()
        self.content += chunk
        for room in self.rooms:
            room.size_bytes += len(chunk)

    def lose_its_place(self) -> None:
        """Drops what has arrived, and tells whoever waits for more."""
        if not self.has_lost_its_place:
            self.has_lost_its_place = True
            self.leave()
            self._give_way()

    def leave(self) -> None:
        """Gives the room back."""
        for room in self.rooms:
            room.size_bytes -= len(self.content)
            room.bodies.pop(self, None)
        self.content = bytearray()


def too_busy() -> Unavailable:
    """Returns the answer to a request for which there is no memory now."""
    return Unavailable("too_busy", "too many requests are in progress; try again")
