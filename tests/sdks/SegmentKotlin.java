// Sends calls with analytics-kotlin core: java -cp 'target/dependency/*' SegmentKotlin.java URL WRITE_KEY USER
// It ends when its standard input is closed: until then the SDK tries again what was refused.

import com.segment.analytics.kotlin.core.RequestFactory;
import com.segment.analytics.kotlin.core.compat.ConfigurationBuilder;
import com.segment.analytics.kotlin.core.compat.JavaAnalytics;
import java.net.HttpURLConnection;
import java.util.Map;

public class SegmentKotlin {
  public static void main(String[] arguments) throws Exception {
    String url = arguments[0], writeKey = arguments[1], user = arguments[2];
    String host = url.replace("http://", "") + "/v1";
    JavaAnalytics analytics =
        new JavaAnalytics(
            new ConfigurationBuilder(writeKey)
                .setApplication("shop")
                .setApiHost(host)
                .setCdnHost(host)
                .setFlushAt(5)
                .setFlushInterval(1)
                .setRequestFactory(new WithoutTls())
                .build());
    analytics.identify(user, Map.of("plan", "pro"));
    analytics.track("Product Added", Map.of("product_id", "p1", "price", 18.99));
    analytics.screen("Basket");
    analytics.group("g1", Map.of("size", 3));
    analytics.alias("after " + user);
    analytics.flush();
    while (System.in.read() != -1) {}
    System.exit(0);
  }

  /** The SDK itself would use https, which the collector leaves to its load balancer. */
  static class WithoutTls extends RequestFactory {
    @Override
    public HttpURLConnection openConnection(String url) {
      return super.openConnection(url.replace("https://", "http://"));
    }
  }
}
