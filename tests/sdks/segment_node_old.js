// Sends one call of each type with analytics-node, Segment's former SDK: node segment_node_old.js URL WRITE_KEY USER
const Analytics = require("analytics-node");

const [url, writeKey, userId] = process.argv.slice(2);
const analytics = new Analytics(writeKey, {
  host: url,
  errorHandler: (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
});
analytics.identify({ userId, traits: { plan: "pro" } });
analytics.track({ userId, event: "Product Added", properties: { product_id: "p1", price: 18.99 } });
analytics.page({ userId, name: "Home", properties: { url: "https://shop.example/" } });
analytics.screen({ userId, name: "Basket" });
analytics.group({ userId, groupId: "g1", traits: { size: 3 } });
analytics.alias({ userId, previousId: "before" });
analytics.flush();
