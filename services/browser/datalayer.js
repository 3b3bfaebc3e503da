/*
 * Converts the e-commerce events of Google Analytics 4 in a page's dataLayer to Segment's spec, and sends them through
 * the SDK on the page: analytics.js (window.analytics) or RudderStack's (window.rudderanalytics).
 *
 * Put it into a Custom HTML tag of Google Tag Manager, or anywhere after the SDK's snippet. It reads entries that are
 * already in the dataLayer and those that are pushed later, in both forms: {event: "add_to_cart", ecommerce: {…}} and
 * gtag("event", "add_to_cart", {…}). Other events are ignored. docs/browser.md lists the events and their fields.
 */
(function () {
  "use strict";

  var layer = (window.dataLayer = window.dataLayer || []);
  if (layer.liveSegments) return; // a tag may fire twice
  layer.liveSegments = true;

  function number(value) {
    if (typeof value === "string" && value.trim() !== "") value = Number(value);
    return typeof value === "number" && isFinite(value) ? value : undefined;
  }

  function text(value) {
    return value === undefined || value === null || value === "" ? undefined : String(value);
  }

  function category(item) {
    return text(
      [item.item_category, item.item_category2, item.item_category3, item.item_category4, item.item_category5]
        .filter(Boolean)
        .join("/")
    );
  }

  function product(item, currency) {
    return {
      product_id: text(item.item_id) || text(item.item_name),
      name: text(item.item_name),
      brand: text(item.item_brand),
      category: category(item),
      variant: text(item.item_variant),
      price: number(item.price),
      quantity: number(item.quantity),
      coupon: text(item.coupon),
      position: number(item.index),
      currency: text(item.currency) || text(currency),
    };
  }

  function products(of) {
    return (Array.isArray(of.items) ? of.items : []).map(function (item) {
      return product(item, of.currency);
    });
  }

  function each(name) {
    return function (of) {
      return products(of).map(function (one) {
        return [name, one];
      });
    };
  }

  function once(name, properties) {
    return function (of) {
      return [[name, properties(of)]];
    };
  }

  function list(of) {
    return { list_id: text(of.item_list_id), category: text(of.item_list_name), products: products(of) };
  }

  function promotion(of) {
    return {
      promotion_id: text(of.promotion_id),
      name: text(of.promotion_name),
      creative: text(of.creative_name),
      position: text(of.creative_slot),
    };
  }

  function checkout(of) {
    return { value: number(of.value), currency: text(of.currency), coupon: text(of.coupon), products: products(of) };
  }

  function cart(of) {
    return { products: products(of) };
  }

  // GA4's `value` excludes tax and shipping. In Segment's spec `total` includes them, and `revenue` does not.
  function order(of) {
    var value = number(of.value);
    return {
      order_id: text(of.transaction_id),
      affiliation: text(of.affiliation),
      revenue: value,
      total: value === undefined ? undefined : value + (number(of.tax) || 0) + (number(of.shipping) || 0),
      tax: number(of.tax),
      shipping: number(of.shipping),
      coupon: text(of.coupon),
      currency: text(of.currency),
      products: products(of),
    };
  }

  function search(of) {
    return { query: text(of.search_term) || "" };
  }

  function payment(of) {
    return { payment_method: text(of.payment_type) };
  }

  var MAPPING = {
    search: once("Products Searched", search),
    view_search_results: once("Products Searched", search),
    view_item_list: once("Product List Viewed", list),
    select_item: each("Product Clicked"),
    view_promotion: once("Promotion Viewed", promotion),
    select_promotion: once("Promotion Clicked", promotion),
    view_item: each("Product Viewed"),
    add_to_cart: each("Product Added"),
    remove_from_cart: each("Product Removed"),
    view_cart: once("Cart Viewed", cart),
    add_to_wishlist: each("Product Added to Wishlist"),
    begin_checkout: once("Checkout Started", checkout),
    add_payment_info: once("Payment Info Entered", payment),
    purchase: once("Order Completed", order),
    refund: once("Order Refunded", order),
  };

  var userId;

  function take(entry) {
    if (entry === null || typeof entry !== "object") return;
    var name = entry.event;
    var fields = entry.ecommerce || entry;
    if (entry[0] === "event") {
      // gtag() pushes its arguments
      name = entry[1];
      fields = entry[2] || {};
    }
    var sdk = window.analytics || window.rudderanalytics;
    var known = text(entry.user_id || fields.user_id);
    if (known !== undefined && known !== userId) {
      userId = known;
      sdk.identify(userId);
    }
    if (!Object.prototype.hasOwnProperty.call(MAPPING, name)) return;
    MAPPING[name](fields).forEach(function (event) {
      sdk.track(event[0], event[1]);
    });
  }

  function takeSafely(entry) {
    try {
      take(entry);
    } catch (error) {
      // an error here must not disturb the page's own events
      window.console.error("dataLayer to Segment's spec:", error);
    }
  }

  Array.prototype.forEach.call(layer, takeSafely);
  var push = layer.push;
  layer.push = function () {
    Array.prototype.forEach.call(arguments, takeSafely);
    return push.apply(layer, arguments);
  };
})();
