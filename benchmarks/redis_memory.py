"""The memory that Redis takes for visitors, against a key for each of them."""

from collections.abc import Callable, Iterable, Iterator

import msgspec
import orjson
import redis

from benchmarks.data import rules_text
from benchmarks.results import Figure, figure
from local.embedded_redis import EmbeddedRedis
from segmentation.events import Event, parse_event
from segmentation.memberships import Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS
from segmentation.profile.replay import ProfileFold
from segmentation.rules.load import load_rules
from segmentation.timestamps import format_timestamp
from stores.redis.access import RedisTarget
from stores.segments.writer import SegmentStore

MAX_VISITORS = 100_000
"""More of them would only take longer."""
_MILLION = 1_000_000
_START_MS = 1_772_452_800_000  # 2026-03-02T12:00:00.000Z
_TWO_DAYS_MS = 2 * 86_400_000
"""Long enough for a visitor of one event to leave all segments of the definitions."""
_BATCH = 200


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the memory of visitors with one event each; the same in every round, so that there is one."""
    visitors = min(events, MAX_VISITORS)
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        store = SegmentStore(RedisTarget(server.url), ttl_ms=DEFAULT_PROFILE_TTL_MS)

        def megabytes(message: dict[str, str], as_written: Callable[[Snapshot], Snapshot]) -> float:
            return _megabytes_per_million(
                store, client, map(as_written, _snapshots(message, visitors)), visitors
            )

        view, added = {"type": "page", "name": "Home"}, {"type": "track", "event": "Product Added"}
        return [
            figure(
                "visitors with one page view, if each has a key",
                [megabytes(view, _with_key)],
                "MB per million",
            ),
            figure(
                "visitors with one page view, as written",
                [megabytes(view, _as_it_is)],
                "MB per million",
                at_most=0,
            ),
            figure(
                "visitors with a score and no segment, for --idle_ttl",
                [megabytes(added, _as_it_is)],
                "MB per million",
            ),
        ]


def _snapshots(message: dict[str, str], visitors: int) -> Iterator[Snapshot]:
    """Yields the newest snapshot of each visitor, two days after its one event."""
    rules = load_rules(rules_text())
    for number in range(visitors):
        event = _event(message, number)
        snapshot = ProfileFold(event.profile_id, rules).fold([event], _START_MS + _TWO_DAYS_MS).snapshot
        if snapshot is not None:
            yield snapshot


def _event(message: dict[str, str], number: int) -> Event:
    anonymous_id = f"6f1c2a9e-8b47-4d3a-9f52-{number:012x}"
    ids = {"messageId": f"m{number}", "anonymousId": anonymous_id, "timestamp": format_timestamp(_START_MS)}
    return parse_event(orjson.dumps({**message, **ids}))


def _megabytes_per_million(
    store: SegmentStore, client: redis.Redis, snapshots: Iterable[Snapshot], visitors: int
) -> float:
    client.flushall()
    before = _used_bytes(client)
    batch: list[Snapshot] = []
    for snapshot in snapshots:
        batch.append(snapshot)
        if len(batch) == _BATCH:
            store.write_snapshots(batch)
            batch = []
    store.write_snapshots(batch)
    # without a key, the difference is the server's own buffers
    used = _used_bytes(client) - before if client.dbsize() else 0
    return used / visitors * _MILLION / 1e6


def _used_bytes(client: redis.Redis) -> int:
    return client.info("memory")["used_memory"]


def _as_it_is(snapshot: Snapshot) -> Snapshot:
    return snapshot


def _with_key(snapshot: Snapshot) -> Snapshot:
    return msgspec.structs.replace(snapshot, is_empty=False)
