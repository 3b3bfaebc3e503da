"""Prices orders. All sums are whole cents until they are written."""

import dataclasses
import random

from data.week.catalogue import Product
from data.week.config import Message

CURRENCY = "USD"
_COUPONS_PERCENT = {"WELCOME10": 10, "SPRING15": 15}
_SHIPPING_CENTS = {"Standard": 490, "Express": 1_290}
_FREE_SHIPPING_FROM_CENTS = 7_500

Lines = tuple[tuple[Product, int], ...]
"""Products with their quantities."""


@dataclasses.dataclass(frozen=True)
class Order:
    """A priced cart: revenue = lines - discount, and total = revenue + shipping + tax."""

    order_id: str
    checkout_id: str
    lines: Lines
    coupon: str | None
    discount_cents: int
    shipping_cents: int
    tax_cents: int
    shipping_method: str
    payment_method: str

    @property
    def revenue_cents(self) -> int:
        """The price of all lines minus the discount, without shipping and tax."""
        return sum_lines_cents(self.lines) - self.discount_cents

    @property
    def total_cents(self) -> int:
        """The amount that the buyer pays."""
        return self.revenue_cents + self.shipping_cents + self.tax_cents

    def started_properties(self) -> Message:
        """Returns the properties of Checkout Started."""
        value = self.total_cents / 100
        return {"order_id": self.order_id, "value": value, **self._sums(), **self._products()}

    def completed_properties(self) -> Message:
        """Returns the properties of Order Completed."""
        return {
            "checkout_id": self.checkout_id,
            "order_id": self.order_id,
            "total": self.total_cents / 100,
            "subtotal": self.revenue_cents / 100,
            **self._sums(),
            **self._products(),
        }

    def _sums(self) -> Message:
        sums: Message = {
            "revenue": self.revenue_cents / 100,
            "shipping": self.shipping_cents / 100,
            "tax": self.tax_cents / 100,
            "discount": self.discount_cents / 100,
        }
        if self.coupon is not None:
            sums["coupon"] = self.coupon
        sums["currency"] = CURRENCY
        return sums

    def _products(self) -> Message:
        return {"products": [product.line(quantity=quantity) for product, quantity in self.lines]}


def price_order(
    rng: random.Random, order_number: int, checkout_id: str, lines: Lines, tax_permille: int
) -> Order:
    """Returns the order of these lines, with a random coupon, shipping method and payment method."""
    lines_cents = sum_lines_cents(lines)
    coupon = rng.choice(tuple(_COUPONS_PERCENT)) if rng.random() < 0.2 else None
    discount_cents = lines_cents * _COUPONS_PERCENT[coupon] // 100 if coupon is not None else 0
    method = "Express" if rng.random() < 0.15 else "Standard"
    is_free = method == "Standard" and lines_cents - discount_cents >= _FREE_SHIPPING_FROM_CENTS
    return Order(
        order_id=f"o-{order_number:06d}",
        checkout_id=checkout_id,
        lines=lines,
        coupon=coupon,
        discount_cents=discount_cents,
        shipping_cents=0 if is_free else _SHIPPING_CENTS[method],
        tax_cents=(lines_cents - discount_cents) * tax_permille // 1000,
        shipping_method=method,
        payment_method=rng.choice(("Visa", "Mastercard", "PayPal", "Invoice")),
    )


def refund_properties(rng: random.Random, order: Order) -> Message:
    """Returns the properties of Order Refunded: the whole order, or one line at the price that was paid."""
    lines, total_cents = order.lines, order.total_cents
    if len(lines) > 1 and rng.random() < 0.5:
        lines = (rng.choice(lines),)
        paid_cents = order.total_cents - order.shipping_cents
        total_cents = paid_cents * sum_lines_cents(lines) // sum_lines_cents(order.lines)
    return {
        "order_id": order.order_id,
        "total": total_cents / 100,
        "currency": CURRENCY,
        "products": [product.line(quantity=quantity) for product, quantity in lines],
    }


def sum_lines_cents(lines: Lines) -> int:
    """Returns price times quantity, summed, in cents."""
    return sum(product.price_cents * quantity for product, quantity in lines)
