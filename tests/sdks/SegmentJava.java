// Sends one call of each type with Segment's SDK for Java: java -cp 'target/dependency/*' SegmentJava.java URL WRITE_KEY USER
// It ends when the SDK has said of every call that it has arrived; status 1: of one it said that it has not.

import com.segment.analytics.Analytics;
import com.segment.analytics.Callback;
import com.segment.analytics.messages.AliasMessage;
import com.segment.analytics.messages.GroupMessage;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.Message;
import com.segment.analytics.messages.MessageBuilder;
import com.segment.analytics.messages.PageMessage;
import com.segment.analytics.messages.ScreenMessage;
import com.segment.analytics.messages.TrackMessage;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

public class SegmentJava {
  public static void main(String[] arguments) throws Exception {
    String url = arguments[0], writeKey = arguments[1], user = arguments[2];
    List<MessageBuilder<?, ?>> calls =
        List.of(
            IdentifyMessage.builder().userId(user).traits(Map.of("plan", "pro")),
            TrackMessage.builder("Product Added")
                .userId(user)
                .properties(Map.of("product_id", "p1", "price", 18.99)),
            PageMessage.builder("Home").userId(user).properties(Map.of("url", "https://shop.example/")),
            ScreenMessage.builder("Basket").userId(user),
            GroupMessage.builder("g1").userId(user).traits(Map.of("size", 3)),
            AliasMessage.builder("before").userId(user));
    CountDownLatch open = new CountDownLatch(calls.size());
    Analytics analytics = Analytics.builder(writeKey).endpoint(url).callback(new Report(open)).build();
    calls.forEach(analytics::enqueue);
    analytics.flush();
    open.await();
    System.exit(0);
  }

  /** Hears of every call what became of it. */
  record Report(CountDownLatch open) implements Callback {
    @Override
    public void success(Message message) {
      open.countDown();
    }

    @Override
    public void failure(Message message, Throwable error) {
      System.err.println(message.type() + ": " + error);
      System.exit(1);
    }
  }
}
