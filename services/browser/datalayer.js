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

  // Fields

  var PLAIN_NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

  function isObject(value) {
    return value !== null && typeof value === "object";
  }

  // A value that is no number stays as it came: the tracking plan can then see it.
  function number(value) {
    if (typeof value === "number") return isFinite(value) ? value : String(value);
    if (typeof value !== "string") return value === null ? undefined : value;
    var trimmed = value.trim();
    if (trimmed === "") return undefined;
    return PLAIN_NUMBER.test(trimmed) && isFinite(trimmed) ? Number(trimmed) : value;
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
    if (!isObject(item)) return item;
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

  // PHP writes a list whose indexes have gaps as an object. Anything else stays as it came, like a number.
  function products(of) {
    var items = of.items === undefined || of.items === null ? [] : of.items;
    if (!isObject(items)) return items;
    return Object.keys(items).map(function (key) {
      return product(items[key], of.currency);
    });
  }

  function each(name) {
    return function (of) {
      var list = products(of);
      if (!Array.isArray(list)) return [[name, { products: list }]];
      return list.map(function (one) {
        return [name, isObject(one) ? one : { products: [one] }];
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

  // Undefined if a part is there but is no number: a sum without it would be wrong.
  function sum(parts) {
    var given = parts.filter(function (part) {
      return part !== undefined;
    });
    var areNumbers = given.every(function (part) {
      return typeof part === "number";
    });
    if (!areNumbers) return undefined;
    var exact = given.reduce(function (one, other) {
      return one + other;
    }, 0);
    return Number(exact.toFixed(6)); // 72.05 + 3.6 + 5.99 is 81.63999999999999
  }

  // GA4's `value` excludes tax and shipping. In Segment's spec `total` includes them, and `revenue` does not.
  function order(of) {
    var value = number(of.value);
    var tax = number(of.tax);
    var shipping = number(of.shipping);
    return {
      order_id: text(of.transaction_id),
      affiliation: text(of.affiliation),
      revenue: value,
      total: value === undefined ? undefined : sum([value, tax, shipping]),
      tax: tax,
      shipping: shipping,
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

  // The SDK, and who is signed in

  // What pages write if they have no id, in any case: the collector and the pipeline ignore the same ids.
  var PLACEHOLDERS = [
    "undefined", "null", "none", "nil", "nan", "true", "false", "0", "-1", "guest", "anonymous", "unknown", "n/a",
    "[object object]", "[]", "{}", "not_authenticated", "00000000-0000-0000-0000-000000000000",
  ];
  var signedIn; // the user's id; null: nobody; undefined: the page has not said it yet
  var waiting = null; // actions that wait until the SDK has loaded

  function isUsable(id) {
    return id.trim() !== "" && PLACEHOLDERS.indexOf(id.toLowerCase()) === -1;
  }

  function withSdk(action) {
    if (waiting) waiting.push(action);
    else action(window.analytics || window.rudderanalytics);
  }

  // RudderStack's SDK keeps the anonymous id without the argument, and later events would still be the user's.
  function reset(sdk) {
    sdk.reset(true);
  }

  // analytics.js returns its user, or a promise of it, depending on how the page loads it.
  function withUserId(sdk, action) {
    if (!sdk.user) return action(sdk.getUserId && sdk.getUserId());
    var user = sdk.user();
    if (typeof user.then !== "function") return action(user.id());
    user.then(function (found) {
      action(found.id());
    });
  }

  // A reset makes a new visitor, so it is left out if the SDK says that it remembers no user of an earlier page.
  function resetUserOfEarlierPage(sdk) {
    if (typeof sdk.ready !== "function") return reset(sdk);
    waiting = [];
    sdk.ready(
      safely(function () {
        var loaded = window.analytics || window.rudderanalytics;
        withUserId(
          loaded,
          safely(function (id) {
            var actions = waiting;
            waiting = null;
            if (id) reset(loaded);
            actions.forEach(safely(withSdk));
          })
        );
      })
    );
  }

  function takeUser(id) {
    if (id === null) {
      if (signedIn) withSdk(reset);
      else if (signedIn === undefined) withSdk(resetUserOfEarlierPage);
      signedIn = null;
    } else if (id !== undefined && isUsable(String(id)) && String(id) !== signedIn) {
      withSdk(function (sdk) {
        sdk.identify(String(id));
      });
      signedIn = String(id);
    }
  }

  // Orders, once in a session of the page: a reload of the thank-you page pushes its order again

  var ORDERS = "liveSegments.orders";
  var MOST_ORDERS = 100;
  var orders = [];

  function knownOrders() {
    try {
      var kept = JSON.parse(window.sessionStorage.getItem(ORDERS));
      if (Array.isArray(kept)) orders = kept;
    } catch (error) {
      // the browser allows no storage: the page remembers its own orders
    }
    return orders;
  }

  function rememberOrder(key) {
    orders = orders.concat(key).slice(-MOST_ORDERS);
    try {
      window.sessionStorage.setItem(ORDERS, JSON.stringify(orders));
    } catch (error) {
      // as above
    }
  }

  // Undefined for what may be sent again. An order may have several refunds, but no two with the same content.
  function orderKey(name, properties) {
    var id = properties.order_id;
    if (id === undefined || !isUsable(id)) return undefined;
    if (name === "Order Completed") return id;
    return name === "Order Refunded" ? name + JSON.stringify(properties) : undefined;
  }

  function track(name, properties) {
    withSdk(function (sdk) {
      var key = orderKey(name, properties);
      if (key !== undefined && knownOrders().indexOf(key) !== -1) return;
      sdk.track(name, properties);
      if (key !== undefined) rememberOrder(key);
    });
  }

  // Entries of the dataLayer

  var UNIVERSAL_ACTIONS = [
    "purchase", "refund", "add", "remove", "detail", "click", "checkout", "checkout_option", "impressions", "promoView",
    "promoClick",
  ];
  var hasWarned = false;

  function has(object, name) {
    return Object.prototype.hasOwnProperty.call(object, name);
  }

  // Universal Analytics, the predecessor of GA4, has other fields: a mapping of them would give empty orders.
  function isUniversal(entry) {
    var of = isObject(entry.ecommerce) ? entry.ecommerce : entry;
    if (has(of, "items") || has(of, "transaction_id")) return false;
    if (has(entry, "transactionId") || has(entry, "transactionProducts")) return true;
    return (
      of !== entry &&
      UNIVERSAL_ACTIONS.some(function (action) {
        return isObject(of[action]);
      })
    );
  }

  function warnOnce() {
    if (hasWarned) return;
    hasWarned = true;
    say("warn", "entries of Universal Analytics are ignored, because only those of Google Analytics 4 are converted");
  }

  function say(level, what) {
    var out = window.console[level] || window.console.error;
    out.call(window.console, "dataLayer to Segment's spec:", what);
  }

  // gtag() pushes its arguments: "event", name, fields; "config", tag, fields; "set", fields; "set", field, value.
  function fieldsOf(entry) {
    if (entry[0] === "event" || entry[0] === "config") return entry[2] || {};
    if (entry[0] !== "set") return entry.ecommerce || entry;
    return isObject(entry[1]) ? entry[1] : { user_id: entry[1] === "user_id" ? entry[2] : undefined };
  }

  function take(entry) {
    if (!isObject(entry)) return;
    var name = entry[0] === "event" ? entry[1] : entry.event;
    var fields = fieldsOf(entry);
    takeUser(entry.user_id === undefined ? fields.user_id : entry.user_id);
    if (isUniversal(entry)) warnOnce();
    else if (has(MAPPING, name)) {
      MAPPING[name](fields).forEach(function (event) {
        track(event[0], event[1]);
      });
    }
  }

  function safely(action) {
    return function (argument) {
      try {
        action(argument);
      } catch (error) {
        // an error here must not disturb the page's own events
        say("error", error);
      }
    };
  }

  Array.prototype.forEach.call(layer, safely(take));
  var push = layer.push;
  layer.push = function () {
    Array.prototype.forEach.call(arguments, safely(take));
    return push.apply(layer, arguments);
  };
})();
