"""The unmodified browser SDKs in a real browser, by the documented snippets, and the mapping of the dataLayer."""

import json
import re
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from segmentation.events import parse_event
from stores.tracking_plan import read_tracking_plan
from tests.integration.collector.collector_process import CollectorProcess, new_user
from tests.integration.collector.faults import Faults
from tests.integration.collector.sdks import events_of
from tests.integration.collector.shop_page import DOC, ROOT, ShopPages, snippet, visitor
from tests.integration.live_job import Topic
from tests.waiting import until

WRITE_KEY = "page-write-key"
SETTINGS = f"version: 1\nsources:\n  - {{name: page, write_key: {WRITE_KEY}, allowed_origins: ['*']}}\n"
SDKS = {"analytics.js": "analytics", "rudderstack.js": "rudderanalytics"}
"""The name of each snippet, and that of its object on the page."""
PRODUCT = {"product_id": "p1", "price": 18.99}


@pytest.fixture(scope="module")
def page_collector(
    new_topic: Callable[[], Topic], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CollectorProcess]:
    """A collector that takes events of any page."""
    folder = tmp_path_factory.mktemp("page-collector")
    (folder / "settings.yaml").write_text(SETTINGS)
    process = CollectorProcess(folder, new_topic(), new_topic(), f"--settings={folder}/settings.yaml")
    yield process
    process.kill()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor without cookies."""
    with visitor(browser) as context:
        yield context


class Visit:
    """A page of the shop, with an SDK, in a browser."""

    def __init__(self, context: BrowserContext, address: str, sdk: str) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self._object = SDKS[sdk]
        with self.page.expect_request(lambda request: request.method == "POST"):
            self.page.goto(address)  # the snippet's own call of page() is on its way, before anybody is known

    def call(self, method: str, *arguments: Any) -> None:
        """Calls the SDK, and does not wait for what comes of it."""
        self.page.evaluate(
            "([object, method, args]) => { window[object][method](...args) }",
            [self._object, method, arguments],
        )


@pytest.fixture
def visit(context: BrowserContext, shop_pages: ShopPages) -> Callable[..., Visit]:
    """Opens a page with an SDK that sends to a collector."""

    def opened(sdk: str, collector: str, more: str = "") -> Visit:
        return Visit(context, shop_pages.put("/", snippet(sdk, collector, WRITE_KEY) + more), sdk)

    return opened


@pytest.mark.parametrize("sdk", SDKS)
def test_every_call_arrives_once_and_nothing_else_is_asked(
    visit: Callable[..., Visit], page_collector: CollectorProcess, shop_pages: ShopPages, sdk: str
) -> None:
    user = new_user()
    opened = visit(sdk, page_collector.url)
    opened.call("identify", user, {"plan": "pro"})
    opened.call("track", "Product Added", PRODUCT)
    opened.call("page", "Catalogue", "Shoes")
    opened.call("group", "g1", {"size": 3})
    opened.call("alias", user, "before")
    calls = {"identify", "track", "page", "group", "alias"}
    if sdk == "analytics.js":  # the other has no such call
        opened.call("screen", "Basket")
        calls |= {"screen"}
    events = events_of(page_collector, user, calls)
    assert set(events) == calls
    assert events["track"]["properties"]["price"] == 18.99
    assert events["page"]["name"] == "Shoes"
    assert events["group"]["groupId"] == "g1"
    assert events["alias"]["previousId"] == "before"
    context = events["track"]["context"]
    assert context["page"]["title"] == "Shop"
    assert "HeadlessChrome" in context["userAgent"]
    assert context["ip"] == "127.0.0.1"
    own = (shop_pages.origin, page_collector.url)
    assert [address for address in opened.asked if not address.startswith(own)] == []


def test_rudderstack_asks_no_other_server_in_a_browser_that_lacks_something(
    context: BrowserContext,
    visit: Callable[..., Visit],
    page_collector: CollectorProcess,
    shop_pages: ShopPages,
) -> None:
    """By itself the SDK would load what the browser lacks from another server, and wait for it."""
    context.add_init_script("Object.defineProperty(navigator, 'sendBeacon', {value: undefined})")
    user = new_user()
    opened = visit("rudderstack.js", page_collector.url)
    opened.call("identify", user)
    events_of(page_collector, user, {"identify"})
    own = (shop_pages.origin, page_collector.url)
    assert [address for address in opened.asked if not address.startswith(own)] == []


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("refusal", [503, 429])
def test_what_is_refused_is_sent_again(
    visit: Callable[..., Visit], page_collector: CollectorProcess, sdk: str, refusal: int
) -> None:
    user = new_user()
    with Faults(page_collector.url, [refusal] * 2) as faults:
        opened = visit(sdk, faults.url)
        opened.call("identify", user)
        opened.call("track", "Product Added", PRODUCT)
        assert set(events_of(page_collector, user, {"identify", "track"})) >= {"identify", "track"}
        until(lambda: [request.status for request in faults.sent].count(refusal) == 2, "two refusals")
        opened.page.close()


def leave(opened: Visit, sdk: str) -> None:
    """Calls the SDK, and leaves the page at once."""
    script = "([object, product]) => { window[object].track('Product Clicked', product); location = 'about:blank' }"
    opened.page.evaluate(script, [SDKS[sdk], PRODUCT])
    opened.page.wait_for_url("about:blank")


def is_track(request: Request) -> bool:
    return request.method == "POST" and '"type":"track"' in (request.post_data or "")


def test_a_request_of_analytics_js_ends_although_the_page_is_left(
    visit: Callable[..., Visit], page_collector: CollectorProcess
) -> None:
    """The collector stands still until the page is gone, so no answer can come before."""
    user = new_user()
    opened = visit("analytics.js", page_collector.url)
    opened.call("identify", user)
    events_of(page_collector, user, {"identify"})
    page_collector.signal(signal.SIGSTOP)
    try:
        with opened.page.expect_request(is_track):
            opened.call("track", "Product Clicked", PRODUCT)
        opened.page.goto("about:blank")
    finally:
        page_collector.signal(signal.SIGCONT)
    assert events_of(page_collector, user, {"track"})["track"]["event"] == "Product Clicked"


def test_what_rudderstack_is_told_when_the_page_is_left_arrives_with_the_next_page(
    visit: Callable[..., Visit], page_collector: CollectorProcess
) -> None:
    user = new_user()
    with Faults(page_collector.url) as faults:
        opened = visit("rudderstack.js", faults.url)
        opened.call("identify", user)
        events_of(page_collector, user, {"identify"})
        leave(opened, "rudderstack.js")
        opened.page.go_back()
        assert events_of(page_collector, user, {"track"})["track"]["event"] == "Product Clicked"
        opened.page.close()


def test_what_rudderstack_collects_for_a_beacon_is_sent_when_the_page_is_left(
    context: BrowserContext, page_collector: CollectorProcess, shop_pages: ShopPages
) -> None:
    user = new_user()
    documented = snippet("rudderstack.js", page_collector.url, WRITE_KEY)
    address = shop_pages.put("/", documented.replace("configUrl", "useBeacon: true, configUrl"))
    page = context.new_page()
    page.goto(address)
    page.evaluate(
        "user => new Promise(done => rudderanalytics.ready(() => done(rudderanalytics.identify(user))))", user
    )
    page.evaluate("product => { rudderanalytics.track('Product Clicked', product) }", PRODUCT)
    page.goto("about:blank")
    assert set(events_of(page_collector, user, {"identify", "track"})) == {"identify", "track"}


# The dataLayer of Google Analytics 4

ITEMS = [
    {
        "item_id": "SKU_1",
        "item_name": "Tee",
        "item_brand": "Google",
        "item_category": "Apparel",
        "item_category2": "Adult",
        "item_variant": "green",
        "price": "10.01",
        "quantity": 3,
        "index": 0,
        "coupon": "SUMMER",
        "discount": 2.22,
    },
    {"item_id": "SKU_2", "item_name": "Grey Tee", "price": 21.01, "quantity": 2},
]
TEE = {
    "product_id": "SKU_1",
    "name": "Tee",
    "brand": "Google",
    "category": "Apparel/Adult",
    "variant": "green",
    "price": 10.01,
    "quantity": 3,
    "coupon": "SUMMER",
    "position": 0,
    "currency": "USD",
}
GREY_TEE = {"product_id": "SKU_2", "name": "Grey Tee", "price": 21.01, "quantity": 2, "currency": "USD"}
PURCHASE = {
    "transaction_id": "T_12345",
    "value": 72.05,
    "tax": 3.6,
    "shipping": 5.99,
    "currency": "USD",
    "coupon": "SUMMER_SALE",
    "items": ITEMS,
}
ORDER = {
    "order_id": "T_12345",
    "revenue": 72.05,
    "total": 81.64,
    "tax": 3.6,
    "shipping": 5.99,
    "coupon": "SUMMER_SALE",
    "currency": "USD",
    "products": [TEE, GREY_TEE],
}
GA4: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "search": ({"search_term": "shoes"}, [("Products Searched", {"query": "shoes"})]),
    "view_search_results": ({"search_term": "hats"}, [("Products Searched", {"query": "hats"})]),
    "view_item_list": (
        {"currency": "USD", "item_list_id": "deals", "item_list_name": "Deals", "items": ITEMS},
        [("Product List Viewed", {"list_id": "deals", "category": "Deals", "products": [TEE, GREY_TEE]})],
    ),
    "select_item": ({"currency": "USD", "items": ITEMS[:1]}, [("Product Clicked", TEE)]),
    "view_promotion": (
        {"promotion_id": "P1", "promotion_name": "Sale", "creative_name": "banner", "creative_slot": "top"},
        [
            (
                "Promotion Viewed",
                {"promotion_id": "P1", "name": "Sale", "creative": "banner", "position": "top"},
            )
        ],
    ),
    "select_promotion": ({"promotion_id": "P1"}, [("Promotion Clicked", {"promotion_id": "P1"})]),
    "view_item": ({"currency": "USD", "value": 10.01, "items": ITEMS[:1]}, [("Product Viewed", TEE)]),
    "add_to_cart": (
        {"currency": "USD", "items": ITEMS},
        [("Product Added", TEE), ("Product Added", GREY_TEE)],
    ),
    "remove_from_cart": ({"currency": "USD", "items": ITEMS[1:]}, [("Product Removed", GREY_TEE)]),
    "view_cart": ({"currency": "USD", "items": ITEMS}, [("Cart Viewed", {"products": [TEE, GREY_TEE]})]),
    "add_to_wishlist": ({"currency": "USD", "items": ITEMS[:1]}, [("Product Added to Wishlist", TEE)]),
    "begin_checkout": (
        {"currency": "USD", "value": "72.05", "items": ITEMS},
        [("Checkout Started", {"value": 72.05, "currency": "USD", "products": [TEE, GREY_TEE]})],
    ),
    "add_payment_info": ({"payment_type": "Visa"}, [("Payment Info Entered", {"payment_method": "Visa"})]),
    "purchase": (PURCHASE, [("Order Completed", ORDER)]),
    "refund": (
        {"transaction_id": "T_12345", "value": 10, "currency": "USD", "items": []},
        [
            (
                "Order Refunded",
                {"order_id": "T_12345", "revenue": 10, "total": 10, "currency": "USD", "products": []},
            )
        ],
    ),
}
DATALAYER = "<script src='/js/datalayer.js'></script>"
BEFORE = "<script>dataLayer = [{event: 'gtm.js'}, {event: 'view_cart', ecommerce: {items: []}}]</script>"


@pytest.mark.parametrize("sdk", SDKS)
def test_ga4_events_become_those_of_segments_spec(
    visit: Callable[..., Visit], page_collector: CollectorProcess, sdk: str
) -> None:
    """By `dataLayer.push` and by `gtag`, what stood there before the tag, and what is nothing of ours."""
    user = new_user()
    opened = visit(sdk, page_collector.url, BEFORE + DATALAYER * 2)
    opened.page.evaluate(
        """([user, events]) => {
            function gtag() { dataLayer.push(arguments) }
            dataLayer.push({user_id: user})
            for (const [name, fields] of Object.entries(events)) {
                dataLayer.push({ecommerce: null}, {event: name, ecommerce: fields})
                gtag("event", name, fields)
            }
            dataLayer.push({event: "scroll"}, {event: "toString"}, null, "view_item", ["js", new Date()])
            gtag("event", "view_item")
        }""",
        [user, {name: fields for name, (fields, _) in GA4.items()}],
    )
    orders = ("purchase", "refund")  # one of each, however often they are pushed
    expected = [event for name, (_, events) in GA4.items() for event in events * (1 if name in orders else 2)]

    def tracked() -> list[dict[str, Any]]:
        published = {message["messageId"]: message for message in page_collector.published(user)}
        tracks = [message for message in published.values() if message["type"] == "track"]
        return tracks if len(tracks) >= len(expected) else []

    tracks = until(tracked, "events of the dataLayer")
    plan = read_tracking_plan("definitions/tracking_plan").plan
    for message in tracks:
        event = parse_event(json.dumps(message).encode())
        assert event.name in plan
        assert plan.violations(event.name, message) == ()
    unmatched = [(message["event"], message["properties"]) for message in tracks]
    for called in expected:
        assert called in unmatched
        unmatched.remove(called)
    assert unmatched == []
    assert opened.said == []
    assert opened.page.evaluate("dataLayer.length") == 2 + 1 + 3 * len(GA4) + 5 + 1


@pytest.mark.parametrize("sdk", SDKS)
def test_a_user_id_of_null_makes_a_visitor_of_whom_the_sdk_remembers(
    visit: Callable[..., Visit], page_collector: CollectorProcess, sdk: str
) -> None:
    """The page after signing out says null; a visitor of whom no user is known stays the same one."""
    user = new_user()
    visit(sdk, page_collector.url).call("identify", user)
    before = events_of(page_collector, user, {"identify"})["identify"]

    def searched() -> dict[str, Any]:
        """Returns the event of a page whose dataLayer says that nobody is signed in."""
        query = uuid.uuid4().hex
        layer = (
            f"<script>dataLayer = [{{user_id: null}}, {{event: 'search', search_term: '{query}'}}]</script>"
        )
        visit(sdk, page_collector.url, layer + DATALAYER)

        def found() -> dict[str, Any]:
            messages = [json.loads(message.data) for message in page_collector.events.taken()]
            return next((one for one in messages if one.get("properties", {}).get("query") == query), {})

        return until(found, "event of the dataLayer")

    first, second = searched(), searched()
    assert not first.get("userId")
    assert not second.get("userId")
    assert first["anonymousId"] != before["anonymousId"]
    assert first["anonymousId"] == second["anonymousId"]


def test_a_fault_of_the_mapping_does_not_reach_the_page(
    visit: Callable[..., Visit], page_collector: CollectorProcess
) -> None:
    opened = visit("analytics.js", page_collector.url, DATALAYER)
    pushed = opened.page.evaluate(
        "() => { window.analytics = {}; return dataLayer.push({event: 'view_cart', ecommerce: {}}) }"
    )
    assert pushed == 1
    until(lambda: opened.said or opened.page.evaluate("1") != 1, "message")
    assert opened.said[0].startswith("dataLayer to Segment's spec: TypeError")


def test_the_documented_mapping_is_that_of_the_file() -> None:
    source = Path(ROOT / "services/browser/datalayer.js").read_text()
    table = DOC.partition("<!-- mapping of datalayer.js -->")[2]
    documented = re.findall(r"^\| `(\w+)` \| ([A-Z][\w ]+) \| (yes)? ?\|$", table, re.MULTILINE)
    assert documented == [
        (name, event, "yes" if kind == "each" else "")
        for name, kind, event in re.findall(r'^    (\w+): (each|once)\("([\w ]+)"', source, re.MULTILINE)
    ]
    assert [name for name, *_ in documented] == list(GA4)
