"""The mapping of a page's dataLayer, in a real browser, with an SDK that notes what it is called with."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from segmentation.identifiers import DEFAULT_IGNORED_IDS
from stores.tracking_plan import read_tracking_plan
from tests.integration.collector.shop_page import ROOT, ShopPages, visitor

PLAN = read_tracking_plan("definitions/tracking_plan").plan
# Its calls are kept over reloads. `user` is the user whom a real SDK would remember from an earlier page.
SDK = """<script>
  const note = name => (...args) => {
    const calls = JSON.parse(name_of_calls.get());
    name_of_calls.set(JSON.stringify([...calls, [name, ...args]]));
  };
  const name_of_calls = {get: () => window.name || "[]", set: text => { window.name = text }};
  const earlier = new URLSearchParams(location.search).get("user");
  let loaded;
  window.load = () => loaded();
  window.analytics = {
    identify: note("identify"), track: note("track"), reset: note("reset"),
    ready: then => { loaded = then }, user: () => ({id: () => earlier}),
  };
</script>"""
DATALAYER = "<script src='/js/datalayer.js'></script>"


class Shop:
    """A page with the mapping, and what it made of its dataLayer."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.said: list[tuple[str, str]] = []
        page.on("console", lambda message: self.said.append((message.type, message.text)))
        page.goto(address)

    def push(self, *entries: Any) -> None:
        self.page.evaluate("entries => { dataLayer.push(...entries) }", list(entries))

    def gtag(self, *arguments: Any) -> None:
        self.page.evaluate(
            "given => { (function () { dataLayer.push(arguments) })(...given) }", list(arguments)
        )

    def load_sdk(self) -> None:
        self.page.evaluate("load()")

    @property
    def calls(self) -> list[list[Any]]:
        found: list[list[Any]] = json.loads(self.page.evaluate("window.name || '[]'"))
        return found

    @property
    def tracked(self) -> list[tuple[str, dict[str, Any]]]:
        return [(call[1], call[2]) for call in self.calls if call[0] == "track"]


@pytest.fixture
def open_shop(browser: Browser, shop_pages: ShopPages) -> Iterator[Callable[..., Shop]]:
    """Opens a page whose dataLayer has entries before the mapping is loaded."""
    with visitor(browser) as context:

        def opened(*entries: Any, user: str = "", before: str = "") -> Shop:
            layer = f"<script>dataLayer = {json.dumps(list(entries))}</script>"
            address = shop_pages.put("/mapped", before + SDK + layer + DATALAYER)
            return Shop(context.new_page(), f"{address}?user={user}" if user else address)

        yield opened


def purchase(**fields: Any) -> dict[str, Any]:
    order = {
        "transaction_id": "T1",
        "value": 1299.5,
        "tax": 10,
        "shipping": 5,
        "currency": "EUR",
        "items": [{"item_id": "p1", "price": 1299.5, "quantity": 1}],
    }
    return {"event": "purchase", "ecommerce": {**order, **fields}}


def test_a_value_that_is_no_number_is_kept_and_in_no_sum(open_shop: Callable[..., Shop]) -> None:
    texts = ["1,299.50", "1299,50", "€1299.50", "0x10", "007", "+5", "12.", ".5"]
    kept = [("value", value) for value in [*texts, True, {"amount": 1}]]
    kept += [("tax", "1,010.00"), ("shipping", "free")]
    orders = (purchase(transaction_id=str(n), **{field: value}) for n, (field, value) in enumerate(kept))
    tracked = open_shop(*orders).tracked
    assert len(tracked) == len(kept)
    for (field, value), (name, properties) in zip(kept, tracked, strict=True):
        assert properties["revenue" if field == "value" else field] == value
        assert "total" not in properties, (field, value)
        assert PLAN.violations(name, {"properties": properties}) != (), (field, value)


def test_a_total_is_the_sum_of_its_parts(open_shop: Callable[..., Shop]) -> None:
    totals: list[tuple[dict[str, Any], float | None]] = [
        ({}, 1314.5),
        ({"value": "1299.50", "tax": " 10.0 ", "shipping": "5"}, 1314.5),
        ({"value": 72.05, "tax": 3.6, "shipping": 5.99}, 81.64),
        ({"tax": None, "shipping": ""}, 1299.5),
        ({"value": -50, "tax": None, "shipping": None}, -50),
        ({"value": 0, "tax": 0, "shipping": 0}, 0),
        ({"value": None}, None),
        ({"value": "  "}, None),
    ]
    orders = (purchase(transaction_id=str(n), **fields) for n, (fields, _) in enumerate(totals))
    tracked = open_shop(*orders).tracked
    assert [properties.get("total") for _, properties in tracked] == [total for _, total in totals]
    for name, properties in tracked:
        assert PLAN.violations(name, {"properties": properties}) == ()


def test_numbers_that_are_none_stay_visible(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    for value in ("NaN", "-Infinity", "'1e999'"):
        shop.page.evaluate(f"dataLayer.push({{event: 'begin_checkout', ecommerce: {{value: {value}}}}})")
    assert [properties["value"] for _, properties in shop.tracked] == ["NaN", "-Infinity", "1e999"]


def test_prices_and_quantities_of_items_are_kept_like_amounts(open_shop: Callable[..., Shop]) -> None:
    items = [{"item_id": "p1", "price": "1,299.50", "quantity": "2", "index": "1st"}]
    shop = open_shop({"event": "add_to_cart", "ecommerce": {"items": items}})
    assert shop.tracked == [
        ("Product Added", {"product_id": "p1", "price": "1,299.50", "quantity": 2, "position": "1st"})
    ]


@pytest.mark.parametrize(
    "items, products",
    [
        ({"1": {"item_id": "p1"}, "3": {"item_id": "p3"}}, [{"product_id": "p1"}, {"product_id": "p3"}]),
        ('[{"item_id":"p1"}]', '[{"item_id":"p1"}]'),
        (["p1"], ["p1"]),
        (None, []),
    ],
)
def test_items_are_lists_or_stay_as_they_came(
    open_shop: Callable[..., Shop], items: Any, products: Any
) -> None:
    (order,) = open_shop(purchase(items=items, currency=None)).tracked
    assert order[1]["products"] == products
    added = open_shop({"event": "add_to_cart", "ecommerce": {"items": items}}).tracked
    if products in ([], [{"product_id": "p1"}, {"product_id": "p3"}]):
        assert [properties for _, properties in added] == products
    else:
        ((name, properties),) = added
        assert properties == {"products": products}
        assert PLAN.violations(name, {"properties": properties}) != ()


def test_an_order_is_sent_once_in_a_session_of_the_page(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(purchase(), purchase(transaction_id="T2"))
    shop.push(purchase())
    shop.gtag("event", "purchase", purchase(value=1)["ecommerce"])
    shop.page.reload()
    shop.push(purchase(transaction_id="T3"))
    assert [properties["order_id"] for _, properties in shop.tracked] == ["T1", "T2", "T3"]
    assert [properties["order_id"] for _, properties in open_shop(purchase()).tracked] == ["T1"], (
        "another session"
    )


def test_an_order_is_sent_once_on_a_page_without_storage(open_shop: Callable[..., Shop]) -> None:
    forbidden = "{get() { throw new Error('forbidden') }}"
    shop = open_shop(
        purchase(),
        purchase(),
        before=f"<script>Object.defineProperty(window, 'sessionStorage', {forbidden})</script>",
    )
    assert len(shop.tracked) == 1
    assert shop.said == []


def test_an_order_that_the_sdk_did_not_take_may_be_sent_again(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.page.evaluate(
        "order => { const sdk = analytics; analytics = undefined; dataLayer.push(order); analytics = sdk }",
        purchase(),
    )
    assert shop.said[0][0] == "error"
    shop.push(purchase())
    assert len(shop.tracked) == 1


def test_orders_without_a_usable_id_are_not_taken_for_one(open_shop: Callable[..., Shop]) -> None:
    orders = [purchase(transaction_id=id) for id in (None, "", "undefined", 0)]
    assert len(open_shop(*orders, *orders).tracked) == 8


def test_equal_refunds_are_one_and_parts_of_an_order_are_several(open_shop: Callable[..., Shop]) -> None:
    refunds = [
        {"event": "refund", "ecommerce": {"transaction_id": "T1", "value": value}} for value in (50, 20, 50)
    ]
    shop = open_shop(purchase(), *refunds)
    shop.page.reload()
    assert [(name, properties["revenue"]) for name, properties in shop.tracked] == [
        ("Order Completed", 1299.5),
        ("Order Refunded", 50),
        ("Order Refunded", 20),
    ]


def test_a_placeholder_identifies_nobody(open_shop: Callable[..., Shop]) -> None:
    """The ids that the collector and the pipeline ignore by default, in any case, and those that are no text."""
    others = [0, -1, True, False, {}, "", "  ", "\t\n", "Guest", "[object Object]", "NULL"]
    shop = open_shop(*({"event": "login", "user_id": id} for id in [*sorted(DEFAULT_IGNORED_IDS), *others]))
    assert shop.calls == []
    shop.push({"user_id": "ada"}, {"user_id": "guest"}, {"user_id": "ada"}, {"user_id": 17})
    assert shop.calls == [["identify", "ada"], ["identify", "17"]]


def test_the_placeholders_are_the_ids_that_collector_and_pipeline_ignore() -> None:
    source = (ROOT / "services/browser/datalayer.js").read_text(encoding="utf-8")
    listed = re.search(r"var PLACEHOLDERS = \[(.*?)\];", source, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"([^"]*)"', listed[1])) == set(DEFAULT_IGNORED_IDS)


def test_a_user_id_of_null_resets_once(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop({"event": "login", "user_id": "ada"})
    shop.push({"event": "logout", "user_id": None}, purchase(), {"user_id": None}, {"user_id": "bob"})
    assert [call[:2] for call in shop.calls] == [
        ["identify", "ada"],
        ["reset", True],
        ["track", "Order Completed"],
        ["identify", "bob"],
    ]


def test_the_forms_of_gtag_name_the_user_too(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.gtag("config", "G-1", {"user_id": "ada"})
    shop.gtag("set", {"user_id": None})
    shop.gtag("set", "user_id", "bob")
    shop.gtag("set", "currency", "EUR")
    shop.gtag("config", "G-1")
    shop.gtag("event", "search", {"search_term": "hats", "user_id": "cid"})
    assert shop.calls == [
        ["identify", "ada"],
        ["reset", True],
        ["identify", "bob"],
        ["identify", "cid"],
        ["track", "Products Searched", {"query": "hats"}],
    ]


@pytest.mark.parametrize("user", ["ada", ""])
def test_null_on_a_new_page_resets_only_a_user_of_an_earlier_page(
    open_shop: Callable[..., Shop], user: str
) -> None:
    """Without a user a reset would make each page's visitor a new one. The order of calls is kept."""
    shop = open_shop({"user_id": None}, purchase(), user=user)
    shop.push({"user_id": "bob"}, {"user_id": None})
    assert shop.calls == [], "what the SDK knows is known when it is loaded"
    shop.load_sdk()
    shop.push({"event": "search", "search_term": "hats"})
    resets = [["reset", True]] if user else []
    assert [call[:2] for call in shop.calls] == [
        *resets,
        ["track", "Order Completed"],
        ["identify", "bob"],
        ["reset", True],
        ["track", "Products Searched"],
    ]


def test_null_resets_an_sdk_that_cannot_say_whom_it_remembers(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.page.evaluate("delete analytics.ready")
    shop.push({"user_id": None}, {"user_id": None}, {"event": "search", "search_term": "hats"})
    assert [call[0] for call in shop.calls] == ["reset", "track"]


UNIVERSAL: list[dict[str, Any]] = [
    {"event": "purchase", "ecommerce": {"purchase": {"actionField": {"id": "T9"}, "products": []}}},
    {"event": "gtm4wp.orderCompletedEEC", "ecommerce": {"purchase": {"actionField": {"id": "T9"}}}},
    {"event": "refund", "ecommerce": {"refund": {"actionField": {"id": "T9"}}}},
    {"event": "view_item_list", "ecommerce": {"currencyCode": "EUR", "impressions": [{"id": "p1"}]}},
    {"event": "add_to_cart", "ecommerce": {"add": {"products": [{"id": "p1"}]}}},
    {"event": "view_promotion", "ecommerce": {"promoView": {"promotions": []}}},
    {"event": "begin_checkout", "ecommerce": {"checkout": {"products": []}}},
    {"event": "purchase", "transactionId": "T9", "transactionTotal": 5, "transactionProducts": []},
]


def test_nothing_is_made_of_universal_analytics(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(*UNIVERSAL)
    shop.push(*UNIVERSAL, {**UNIVERSAL[0], "user_id": "ada"})
    assert shop.calls == [["identify", "ada"]]
    ((kind, text),) = shop.said
    assert kind == "warning"
    assert "Universal Analytics" in text


def test_an_event_of_universal_analytics_without_a_counterpart_is_told_of(
    open_shop: Callable[..., Shop],
) -> None:
    ((kind, _),) = open_shop(UNIVERSAL[1]).said
    assert kind == "warning"


def test_a_page_that_writes_both_forms_is_read_in_that_of_ga4(open_shop: Callable[..., Shop]) -> None:
    both = purchase(purchase={"actionField": {"id": "T1"}})
    shop = open_shop({**both, "transactionId": "T1", "transactionProducts": []})
    assert [name for name, _ in shop.tracked] == ["Order Completed"]
    assert shop.said == []
