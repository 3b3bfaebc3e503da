"""Delivers messages: when a device sends them, when they arrive, and which are repeated.

Four times stand on a message, as in the Segment spec: `originalTimestamp` and `sentAt` by the device's clock,
`receivedAt` by the shop's, and `timestamp` = receivedAt - (sentAt - originalTimestamp), which takes the
error of the device's clock out again.
"""

import heapq
import random
from collections.abc import Iterator
from itertools import count

from data.week.catalogue import Catalogue
from data.week.config import Message, WeekConfig
from data.week.shoppers import make_shoppers, plan_visits
from data.week.timestamps import timestamp_text
from data.week.visits import Draft, Shop, Visit, make_visit

_HOUR_MS = 3_600_000
_APP_BATCH_MS = 30_000
"""How long the app collects messages before it sends them in a batch."""

Arrival = tuple[int, int, Message]
"""When it arrives, in milliseconds since the epoch; a number that keeps the order of equals; the message."""


def generate_week(config: WeekConfig) -> Iterator[Message]:
    """Yields the messages in the order of their arrival, up to the end of the last day.

    The log is never held as a whole: memory grows with the shoppers and with the messages still on their
    way. Messages share nested objects (`context`, `products`): copy before you change one.
    """
    rng = random.Random(config.seed)
    catalogue = Catalogue(rng, config.products)
    shoppers = make_shoppers(rng, config)
    shop = Shop(rng, catalogue, bot_pause_ms=60_000 / config.bot_views_per_minute)
    number = count()
    on_their_way: list[Arrival] = []
    for start_ms, index in plan_visits(rng, config, shoppers):
        while on_their_way and on_their_way[0][0] < start_ms:
            yield heapq.heappop(on_their_way)[2]
        visit = make_visit(shop, shoppers[index], start_ms)
        for received_ms, message in _deliver(rng, config, visit):
            if received_ms < config.end_ms:
                heapq.heappush(on_their_way, (received_ms, next(number), message))
    while on_their_way:
        yield heapq.heappop(on_their_way)[2]


def _deliver(rng: random.Random, config: WeekConfig, visit: Visit) -> Iterator[tuple[int, Message]]:
    latency_ms = 25 + int(rng.expovariate(1 / 80))
    ahead_ms = visit.device.clock_ahead_ms
    is_app = visit.device.is_app
    sent = _send_from_app(rng, config, visit.drafts) if is_app else _send_at_once(visit.drafts)
    for at_ms, sent_ms, message in sent:
        yield from _receive(rng, config, message, at_ms + ahead_ms, sent_ms + ahead_ms, sent_ms + latency_ms)
    for at_ms, message in visit.server_drafts:
        yield from _receive(rng, config, message, at_ms, at_ms + 4, at_ms + 12)


def _send_at_once(drafts: list[Draft]) -> Iterator[tuple[int, int, Message]]:
    for at_ms, message in drafts:
        yield at_ms, at_ms + 3, message


def _send_from_app(
    rng: random.Random, config: WeekConfig, drafts: list[Draft]
) -> Iterator[tuple[int, int, Message]]:
    """Yields the drafts with their sending time: in batches, and for some visits hours late from some moment on."""
    held_from = len(drafts)
    if rng.random() < config.late_share:
        held_from = rng.randrange(len(drafts))
    delay_ms = int(rng.uniform(config.late_min_hours, config.late_max_hours) * _HOUR_MS)
    late_sent_ms = drafts[-1][0] + delay_ms
    batch_sent_ms = 0
    for at, (at_ms, message) in enumerate(drafts):
        if at_ms > batch_sent_ms:
            batch_sent_ms = at_ms + _APP_BATCH_MS
        yield at_ms, late_sent_ms if at >= held_from else batch_sent_ms, message


def _receive(
    rng: random.Random, config: WeekConfig, message: Message, original_ms: int, sent_ms: int, received_ms: int
) -> Iterator[tuple[int, Message]]:
    """Yields the message with its times, and sometimes a repeat, as if the sender had missed the response."""
    message["timestamp"] = timestamp_text(received_ms - (sent_ms - original_ms))
    message["originalTimestamp"] = timestamp_text(original_ms)
    message["sentAt"] = timestamp_text(sent_ms)
    message["receivedAt"] = timestamp_text(received_ms)
    yield received_ms, message
    if rng.random() < config.repeat_share:
        later_ms = int(rng.uniform(config.repeat_min_seconds, config.repeat_max_seconds) * 1000)
        repeat = dict(message)
        repeat["sentAt"] = timestamp_text(sent_ms + later_ms)
        repeat["receivedAt"] = timestamp_text(received_ms + later_ms)
        yield received_ms + later_ms, repeat
