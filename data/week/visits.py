"""Simulates visits: the messages that a visitor's device writes, in order of time."""

import dataclasses
import math
import random

from data.week.catalogue import Catalogue, Product
from data.week.config import DAY_MS, Message
from data.week.orders import CURRENCY, Order, price_order, refund_properties
from data.week.shoppers import BOT, Device, Shopper, uuid_text
from data.week.timestamps import timestamp_text

_SITE = "https://shop.example.com"
_SEARCHES = ("teapot", "gift", "lamp", "wool throw", "chess", "notebook", "table", "sale", "planter")
_CAMPAIGNS = (
    {"name": "spring_sale", "source": "newsletter", "medium": "email"},
    {"name": "brand", "source": "search", "medium": "cpc"},
    {"name": "garden", "source": "social", "medium": "paid"},
)
_SERVER_CONTEXT = {"library": {"name": "analytics-python", "version": "2.3.4"}}
_CHECKOUT_STEPS = 3
_LONGEST_PAUSE_MS = 600_000

Draft = tuple[int, Message]
"""The event time in Unix milliseconds, and the message without its times."""


@dataclasses.dataclass
class Shop:
    """The state that all visits share."""

    rng: random.Random
    catalogue: Catalogue
    bot_pause_ms: float
    """The mean time from one view of a bot to the next."""
    orders: int = 0


class Visit:
    """One visit with one device: the device sends `drafts`, and the shop's server sends `server_drafts` later."""

    def __init__(self, shop: Shop, shopper: Shopper, device: Device, start_ms: int) -> None:
        self.shop = shop
        self.rng = shop.rng
        self.shopper = shopper
        self.device = device
        self.now_ms = start_ms
        self.drafts: list[Draft] = []
        self.server_drafts: list[Draft] = []
        self._context = device.context
        if self.rng.random() < 0.15:
            self._context = {**self._context, "campaign": self.rng.choice(_CAMPAIGNS)}

    def pause(self, usual_seconds: float) -> None:
        """Advances time by a random pause: mostly near `usual_seconds`, sometimes much longer."""
        factor = math.exp(0.8 * self.rng.gauss(0.0, 1.0))
        self.now_ms += min(100 + int(usual_seconds * 1000 * factor), _LONGEST_PAUSE_MS)

    def track(self, event: str, properties: Message) -> None:
        """Writes a track call."""
        message = self._start_message("track")
        message["event"] = event
        self._finish_message(message, "properties", properties)

    def show(self, name: str, path: str) -> None:
        """Writes a page call, or in the app a screen call with the same name."""
        self.now_ms += 60
        message = self._start_message("screen" if self.device.is_app else "page")
        message["name"] = name
        properties = {} if self.device.is_app else {"path": path, "url": _SITE + path, "title": name}
        self._finish_message(message, "properties", properties)

    def sign_in(self) -> None:
        """Signs the visitor in, and writes an identify call; later messages of the device have the user id.

        Without an account, nothing happens.
        """
        if self.shopper.user_id is None or self.device.is_signed_in:
            return
        self.device.is_signed_in = True
        self.pause(15)
        if self.shopper.is_new:
            self.shopper.is_new = False
            self.shopper.traits["createdAt"] = timestamp_text(self.now_ms)
        self.identify()

    def identify(self) -> None:
        """Writes an identify call with the account's traits."""
        message = self._start_message("identify")
        self._finish_message(message, "traits", dict(self.shopper.traits))

    def _start_message(self, kind: str) -> Message:
        return {"type": kind, "messageId": uuid_text(self.rng)}

    def _finish_message(self, message: Message, key: str, value: Message) -> None:
        message["timestamp"] = ""  # filled in at delivery; this line sets the order of keys
        if self.device.is_signed_in:
            message["userId"] = self.shopper.user_id
        message["anonymousId"] = self.device.anonymous_id
        message[key] = value
        message["context"] = self._context
        self.drafts.append((self.now_ms, message))
        self.now_ms += 60


def make_visit(shop: Shop, shopper: Shopper, start_ms: int) -> Visit:
    """Returns a visit that begins at the given time, or at the end of the visitor's previous visit if that is later."""
    start_ms = max(start_ms, shopper.busy_until_ms)
    visit = Visit(shop, shopper, shop.rng.choice(shopper.devices), start_ms)
    if shopper.persona is BOT:
        _crawl(visit)
    else:
        _browse(visit)
        if visit.device.cart and shop.rng.random() < shopper.persona.checkout_chance:
            _check_out(visit)
        if visit.device.is_signed_in and shop.rng.random() < 0.15:
            visit.device.is_signed_in = False
    shopper.busy_until_ms = visit.now_ms + 60_000
    return visit


def _crawl(visit: Visit) -> None:
    rng, products = visit.rng, visit.shop.catalogue.products
    first = rng.randrange(len(products))
    for at in range(rng.randint(*BOT.views_per_visit)):
        visit.track("Product Viewed", products[(first + at) % len(products)].properties(currency=CURRENCY))
        visit.now_ms += int(rng.expovariate(1 / max(1.0, visit.shop.bot_pause_ms - 60)))


def _browse(visit: Visit) -> None:
    rng, persona = visit.rng, visit.shopper.persona
    if rng.random() < 0.6:
        visit.show("Home", "/")
        visit.pause(8)
    views = rng.randint(*persona.views_per_visit)
    signs_in_after = rng.randrange(views) if rng.random() < 0.45 else -1
    for at in range(views):
        product = _find_product(visit)
        visit.show("Product", f"/products/{product.product_id}")
        visit.track("Product Viewed", product.properties(currency=CURRENCY))
        visit.pause(25)
        if at == signs_in_after:
            visit.sign_in()
        if rng.random() < persona.add_chance:
            _add(visit, product)
            if rng.random() < persona.remove_chance:
                _look_at_cart(visit)
                _remove(visit)
    if visit.device.cart and rng.random() < 0.5:
        _look_at_cart(visit)


def _find_product(visit: Visit) -> Product:
    rng, catalogue = visit.rng, visit.shop.catalogue
    way = rng.random()
    if way < 0.15:
        visit.track("Products Searched", {"query": rng.choice(_SEARCHES)})
        visit.pause(6)
    if way < 0.55:
        return catalogue.pick(rng)
    page = catalogue.pick_list(rng)
    list_id = page.properties["list_id"]
    visit.show("Category", f"/lists/{list_id}")
    visit.track("Product List Viewed", page.properties)
    visit.pause(14)
    position = 1 + min(int(rng.expovariate(0.6)), len(page.products) - 1)
    product = page.products[position - 1]
    visit.track("Product Clicked", product.properties(position=position, list_id=list_id))
    return product


def _add(visit: Visit, product: Product) -> None:
    device = visit.device
    if not device.cart:
        device.cart_id = uuid_text(visit.rng)
    quantity = 2 if visit.rng.random() < 0.1 else 1
    _, already = device.cart.get(product.number, (product, 0))
    device.cart[product.number] = (product, already + quantity)
    visit.track("Product Added", product.properties(cart_id=device.cart_id, quantity=quantity))
    visit.pause(10)


def _remove(visit: Visit) -> None:
    cart = visit.device.cart
    product, quantity = cart.pop(visit.rng.choice(tuple(cart)))
    visit.track("Product Removed", product.properties(cart_id=visit.device.cart_id, quantity=quantity))
    visit.pause(8)


def _look_at_cart(visit: Visit) -> None:
    device = visit.device
    visit.show("Cart", "/cart")
    lines = [product.line(quantity=quantity) for product, quantity in device.cart.values()]
    visit.track("Cart Viewed", {"cart_id": device.cart_id, "products": lines})
    visit.pause(12)


def _check_out(visit: Visit) -> None:
    rng, device, shopper, shop = visit.rng, visit.device, visit.shopper, visit.shop
    if rng.random() < 0.9:
        visit.sign_in()
    shop.orders += 1
    lines = tuple(device.cart.values())
    order = price_order(rng, shop.orders, uuid_text(rng), lines, shopper.tax_permille)
    visit.show("Checkout", "/checkout")
    visit.track("Checkout Started", order.started_properties())
    is_completed = rng.random() < shopper.persona.complete_chance
    leaves_at = _CHECKOUT_STEPS + 1 if is_completed else rng.randint(1, _CHECKOUT_STEPS)
    for step in range(1, min(leaves_at, _CHECKOUT_STEPS) + 1):
        _take_checkout_step(visit, order, step, is_last_seen=step == leaves_at)
    if is_completed:
        visit.show("Thank You", "/thank-you")
        visit.track("Order Completed", order.completed_properties())
        device.cart.clear()
        _follow_up(visit, order)


def _take_checkout_step(visit: Visit, order: Order, step: int, is_last_seen: bool) -> None:
    properties: Message = {"checkout_id": order.checkout_id, "step": step}
    visit.track("Checkout Step Viewed", dict(properties))
    visit.pause(20)
    if is_last_seen:
        return
    if step >= 2:
        properties["shipping_method"] = order.shipping_method
    if step == _CHECKOUT_STEPS:
        visit.track("Payment Info Entered", {"checkout_id": order.checkout_id, "order_id": order.order_id})
        visit.pause(3)
        properties["payment_method"] = order.payment_method
    visit.track("Checkout Step Completed", properties)


def _follow_up(visit: Visit, order: Order) -> None:
    rng, shopper = visit.rng, visit.shopper
    if visit.device.is_signed_in and not shopper.traits["newsletter"] and rng.random() < 0.1:
        shopper.traits["newsletter"] = True
        visit.pause(10)
        visit.identify()
    if rng.random() < shopper.persona.refund_chance:
        _refund(visit, order, visit.now_ms + int(rng.uniform(0.25, 3.5) * DAY_MS))


def _refund(visit: Visit, order: Order, at_ms: int) -> None:
    message: Message = {
        "type": "track",
        "messageId": uuid_text(visit.rng),
        "event": "Order Refunded",
        "timestamp": "",
    }
    if visit.device.is_signed_in:
        message["userId"] = visit.shopper.user_id
    else:
        message["anonymousId"] = visit.device.anonymous_id
    message["properties"] = refund_properties(visit.rng, order)
    message["context"] = _SERVER_CONTEXT
    visit.server_drafts.append((at_ms, message))
