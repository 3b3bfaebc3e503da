"""The cost of writing snapshots to Redis, against the bare commands for the same fields."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

import redis

from benchmarks.data import repeated_events, rules_text
from benchmarks.measure import Laps, in_turn, ratios, timed
from benchmarks.results import Figure, figure
from benchmarks.runs import run_seconds
from local.embedded_redis import EmbeddedRedis
from segmentation.memberships import Snapshot
from segmentation.profile.profile import DEFAULT_PROFILE_TTL_MS, open_profile
from segmentation.rules.load import load_rules
from stores.redis.access import RedisTarget
from stores.segments.fields import snapshot_fields
from stores.segments.keys import DEFAULT_KEY_PREFIX, profile_key
from stores.segments.writer import SegmentStore
from transforms.write_segments import WriteSegments

MAX_EVENTS = 30_000
"""More of them would only take longer."""
BATCH = 200


def measure(events: int, rounds: int) -> list[Figure]:
    """Measures the store, the whole step, and bare commands, with the log's snapshots; Redis has its own process."""
    snapshots = list(_snapshots(min(events, MAX_EVENTS)))
    elapsed: list[float] = []
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        seconds = in_turn(
            {
                "store": _store_laps(snapshots, server.url, client, rounds, elapsed),
                "step": _step_laps(snapshots, server.url, client, rounds),
                "bare": _bare_laps(snapshots, client, rounds),
            },
            rounds,
        )
    store, step, bare = (
        [one / len(snapshots) * 1e6 for one in seconds[name]] for name in ("store", "step", "bare")
    )
    return [
        figure(
            "snapshots into Redis: SegmentStore ÷ bare HSET and PEXPIRE", ratios(store, bare), "×", at_most=1
        ),
        figure(f"SegmentStore, in batches of {BATCH}", store, "µs per snapshot"),
        figure("WriteSegments, the whole step", step, "µs per snapshot"),
        figure("bare HSET and PEXPIRE by redis-py, as many in a batch", bare, "µs per snapshot"),
        figure("WriteSegments: snapshots per second", [1e6 / one for one in step], "snapshots/s"),
        figure(
            "SegmentStore with Redis on the same machine: elapsed",
            [len(snapshots) / one for one in elapsed],
            "snapshots/s",
        ),
    ]


def _snapshots(events: int) -> Iterator[Snapshot]:
    rules = load_rules(rules_text())
    states: dict[str, bytes] = {}
    for event in repeated_events(events):
        profile = open_profile(
            event.profile_id, rules, DEFAULT_PROFILE_TTL_MS, states.get(event.profile_id), 0
        )
        snapshot = profile.apply(event).snapshot
        states[event.profile_id] = profile.encode()
        if snapshot is not None:
            yield snapshot


def _store_laps(
    snapshots: Sequence[Snapshot], url: str, client: redis.Redis, rounds: int, elapsed: list[float]
) -> Laps:
    store = SegmentStore(RedisTarget(url), ttl_ms=DEFAULT_PROFILE_TTL_MS)

    def write() -> None:
        started = time.perf_counter()
        for batch in _batches(snapshots):
            store.write_snapshots(batch)
        elapsed.append(time.perf_counter() - started)

    for _ in range(rounds):
        client.flushall()
        yield timed(write)


def _step_laps(snapshots: Sequence[Snapshot], url: str, client: redis.Redis, rounds: int) -> Laps:
    for _ in range(rounds):
        client.flushall()
        step = WriteSegments(RedisTarget(url), "segments:", DEFAULT_PROFILE_TTL_MS, max_batch_size=BATCH)
        yield run_seconds(snapshots, step, Snapshot)


def _bare_laps(snapshots: Sequence[Snapshot], client: redis.Redis, rounds: int) -> Laps:
    for _ in range(rounds):
        client.flushall()
        yield timed(partial(_write_bare, snapshots, client))


def _write_bare(snapshots: Sequence[Snapshot], client: redis.Redis) -> None:
    for batch in _batches(snapshots):
        pipeline = client.pipeline(transaction=False)
        for snapshot in batch:
            key = profile_key(DEFAULT_KEY_PREFIX, snapshot.profile_id)
            pipeline.hset(key, items=["version", snapshot.version, *snapshot_fields(snapshot)])
            pipeline.pexpire(key, DEFAULT_PROFILE_TTL_MS)
        pipeline.execute()


def _batches(snapshots: Sequence[Snapshot]) -> Iterator[Sequence[Snapshot]]:
    for start in range(0, len(snapshots), BATCH):
        yield snapshots[start : start + BATCH]
