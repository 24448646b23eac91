import java.util.Map;

/** A function with Java's official client; a JDK compiles it without any package. */
public class Order {
    public Object handle(Map<String, Object> event) {
        if ("fail".equals(event.get("do"))) {
            throw new IllegalStateException("no stock");
        }
        return event.get("total");
    }
}
