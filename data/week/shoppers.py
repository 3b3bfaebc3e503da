"""The visitors of the shop, their devices, and the times of their visits."""

import dataclasses
import random
from bisect import bisect
from datetime import timedelta
from itertools import accumulate

from data.week.catalogue import Product
from data.week.config import DAY_MS, Message, WeekConfig
from data.week.timestamps import timestamp_text

_HOUR_MS = 3_600_000


@dataclasses.dataclass(frozen=True)
class Persona:
    """A type of shopper. Ranges are inclusive; chances are from 0 to 1."""

    name: str
    share: float
    visits_per_week: tuple[int, int]
    views_per_visit: tuple[int, int]
    add_chance: float
    """The chance to put a viewed product into the cart."""
    remove_chance: float
    """The chance to remove a product from the cart, for each product added."""
    checkout_chance: float
    """The chance to begin the checkout, if the cart is not empty at the end of a visit."""
    complete_chance: float
    """The chance to complete a checkout."""
    refund_chance: float
    """The chance to return an order, in whole or in part."""
    account_chance: float
    device_weights: tuple[float, float, float]
    """The weights of having one, two and three devices."""


PERSONAS = (
    Persona("window shopper", 0.44, (1, 4), (1, 8), 0.03, 0.60, 0.00, 0.00, 0.00, 0.30, (0.75, 0.22, 0.03)),
    Persona("cart abandoner", 0.18, (1, 4), (2, 8), 0.30, 0.30, 0.04, 0.50, 0.00, 0.45, (0.65, 0.30, 0.05)),
    Persona("checkout leaver", 0.09, (1, 3), (2, 7), 0.35, 0.15, 0.80, 0.15, 0.00, 0.55, (0.65, 0.30, 0.05)),
    Persona("buyer", 0.18, (1, 4), (2, 9), 0.30, 0.12, 0.75, 0.85, 0.06, 0.70, (0.55, 0.37, 0.08)),
    Persona("loyal buyer", 0.07, (3, 8), (2, 8), 0.35, 0.08, 0.80, 0.92, 0.04, 1.00, (0.25, 0.50, 0.25)),
    Persona("returner", 0.04, (2, 4), (2, 8), 0.45, 0.15, 0.90, 0.92, 0.70, 0.90, (0.50, 0.40, 0.10)),
)

BOT = Persona("bot", 0.0, (1, 3), (150, 500), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (1.0, 0.0, 0.0))

_TAX_PERMILLE = {"DE": 190, "FR": 200, "GB": 200, "NL": 210, "US": 70, "SE": 250}
_COUNTRY_WEIGHTS = (30, 16, 22, 10, 18, 4)
_LOCALES = {"DE": "de-DE", "FR": "fr-FR", "GB": "en-GB", "NL": "nl-NL", "US": "en-US", "SE": "sv-SE"}
_FIRST_NAMES = ("Ada", "Ben", "Carla", "Deniz", "Emil", "Femke", "Grace", "Hugo", "Ines", "Jonas", "Lena")
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
"""The address blocks reserved for documentation (RFC 5737)."""

_WEB = {"name": "analytics.js", "version": "next-1.70.0"}
_MOZILLA = "Mozilla/5.0"
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_KINDS: dict[str, Message] = {
    "windows": {
        "device": {"type": "desktop"},
        "library": _WEB,
        "userAgent": f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/145.0.0.0 Safari/537.36",
    },
    "mac": {
        "device": {"type": "desktop"},
        "library": _WEB,
        "userAgent": f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/19.0 Safari/605.1.15",
    },
    "tablet": {
        "device": {"type": "tablet"},
        "library": _WEB,
        "userAgent": f"{_MOZILLA} (Linux; Android 16; Tab) {_WEBKIT} Chrome/145.0.0.0 Safari/537.36",
    },
    "phone browser": {
        "device": {"type": "mobile"},
        "library": _WEB,
        "userAgent": f"{_MOZILLA} (Linux; Android 16; K) {_WEBKIT} Chrome/145.0.0.0 Mobile Safari/537.36",
    },
    "iphone app": {
        "app": {"name": "Shop", "version": "4.2.0"},
        "device": {"type": "ios", "manufacturer": "Apple", "model": "iPhone17,1"},
        "library": {"name": "analytics-swift", "version": "1.6.2"},
        "os": {"name": "iOS", "version": "19.3"},
        "userAgent": "Shop/4.2.0 (iPhone; iOS 19.3)",
    },
    "android app": {
        "app": {"name": "Shop", "version": "4.2.1"},
        "device": {"type": "android", "manufacturer": "Google", "model": "Pixel 9"},
        "library": {"name": "analytics-kotlin", "version": "1.16.3"},
        "os": {"name": "Android", "version": "16"},
        "userAgent": "Shop/4.2.1 (Linux; Android 16; Pixel 9)",
    },
    "crawler": {
        "device": {"type": "desktop"},
        "library": _WEB,
        "userAgent": f"{_MOZILLA} (compatible; ExampleBot/1.0; +https://bot.example.com/)",
    },
}
_KIND_WEIGHTS = {
    "windows": 26,
    "mac": 12,
    "tablet": 8,
    "phone browser": 20,
    "iphone app": 16,
    "android app": 18,
}
_APPS = ("iphone app", "android app")

_HOUR_WEIGHTS = (4, 2, 1, 1, 1, 2, 5, 9, 12, 13, 14, 16, 19, 17, 14, 14, 15, 18, 22, 28, 32, 30, 20, 10)
_WEEKDAY_WEIGHTS = (1.0, 0.95, 0.95, 1.0, 1.05, 1.2, 1.35)
"""Relative numbers of visits, from Monday to Sunday."""


@dataclasses.dataclass
class Device:
    """A browser or an app, with an anonymousId and a cart; a user can be signed in."""

    anonymous_id: str
    context: Message
    is_app: bool
    clock_ahead_ms: int
    """The error of the device's clock; positive: it is ahead."""
    is_signed_in: bool = False
    cart_id: str = ""
    cart: dict[int, tuple[Product, int]] = dataclasses.field(default_factory=dict)
    """Product and quantity, by product number."""


@dataclasses.dataclass
class Shopper:
    """A person or a bot. Without a user id they never sign in."""

    persona: Persona
    devices: list[Device]
    tax_permille: int
    user_id: str | None
    traits: Message
    """The traits of the account; empty for a shopper without one."""
    is_new: bool
    """The account does not exist yet: the first sign-in creates it."""
    busy_until_ms: int = 0


def uuid_text(rng: random.Random) -> str:
    """Returns a random id in the form of a UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-a{text[17:20]}-{text[20:]}"


def make_shoppers(rng: random.Random, config: WeekConfig) -> list[Shopper]:
    """Returns the people, then the bots; there is at least one bot, unless the configuration has none."""
    shares = [persona.share for persona in PERSONAS]
    shoppers = [
        _make_shopper(rng, persona, number, config)
        for number, persona in enumerate(rng.choices(PERSONAS, shares, k=config.shoppers), 1)
    ]
    bots = -(-config.shoppers * config.bots_per_thousand_shoppers // 1000)
    for number in range(bots):  # every second bot pretends to be a browser
        device = _make_device(rng, "windows" if number % 2 else "crawler", _make_ip(rng), "en-US")
        shoppers.append(Shopper(BOT, [device], 0, None, {}, False))
    return shoppers


def plan_visits(rng: random.Random, config: WeekConfig, shoppers: list[Shopper]) -> list[tuple[int, int]]:
    """Returns the start of each visit in Unix milliseconds, with the visitor's index, in order of time."""
    hours = range(config.days * 24)
    weights = list(accumulate(_busyness(config, hour) for hour in hours))
    visits: list[tuple[int, int]] = []
    for index, shopper in enumerate(shoppers):
        least, most = shopper.persona.visits_per_week
        count = max(1, round(rng.randint(least, most) * config.days / 7))
        for _ in range(count):
            hour = bisect(weights, rng.random() * weights[-1])
            if shopper.persona is BOT:
                hour = rng.randrange(len(hours))
            visits.append((config.start_ms + hour * _HOUR_MS + rng.randrange(_HOUR_MS), index))
    return sorted(visits)


def _busyness(config: WeekConfig, hour: int) -> float:
    at = config.start + timedelta(hours=hour)
    return _WEEKDAY_WEIGHTS[at.weekday()] * _HOUR_WEIGHTS[at.hour]


def _make_shopper(rng: random.Random, persona: Persona, number: int, config: WeekConfig) -> Shopper:
    country = rng.choices(tuple(_TAX_PERMILLE), _COUNTRY_WEIGHTS)[0]
    has_account = rng.random() < persona.account_chance
    home_ip = _make_ip(rng)
    count = rng.choices((1, 2, 3), persona.device_weights)[0]
    kinds = rng.choices(tuple(_KIND_WEIGHTS), tuple(_KIND_WEIGHTS.values()), k=count)
    devices = [_make_device(rng, kind, home_ip, _LOCALES[country]) for kind in kinds]
    is_new = rng.random() < 0.4
    traits: Message = {}
    if has_account:
        created_ms = config.start_ms - rng.randrange(1, 700 * DAY_MS)
        traits = {
            "email": f"shopper-{number}@example.com",
            "firstName": rng.choice(_FIRST_NAMES),
            "plan": "plus" if persona.name == "loyal buyer" and rng.random() < 0.5 else "free",
            "country": country,
            "newsletter": rng.random() < 0.35,
            "createdAt": timestamp_text(created_ms),
        }
    user_id = f"u-{number:05d}" if has_account else None
    return Shopper(persona, devices, _TAX_PERMILLE[country], user_id, traits, is_new)


def _make_ip(rng: random.Random) -> str:
    return f"{rng.choice(_NETWORKS)}.{rng.randrange(1, 255)}"


def _make_device(rng: random.Random, kind: str, ip: str, locale: str) -> Device:
    is_clock_wrong = rng.random() < 0.06
    ahead_ms = rng.randrange(-600_000, 600_000) if is_clock_wrong else 0
    context = {**_KINDS[kind], "ip": ip, "locale": locale}
    return Device(uuid_text(rng), context, kind in _APPS, ahead_ms)
