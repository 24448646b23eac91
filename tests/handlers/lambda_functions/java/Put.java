import java.util.List;
import java.util.Map;
import software.amazon.awssdk.services.eventbridge.EventBridgeClient;
import software.amazon.awssdk.services.eventbridge.model.PutEventsRequestEntry;
import software.amazon.awssdk.services.eventbridge.model.PutEventsResultEntry;

/** A function that sends events with the SDK for Java. */
public class Put {
    private final EventBridgeClient events = EventBridgeClient.create();

    public void handle(Map<String, Object> event) {
        if ("list".equals(event.get("do"))) {
            events.listRules(request -> {});
        }
        @SuppressWarnings("unchecked")
        var entries = ((List<Map<String, String>>) event.get("entries")).stream().map(Put::build).toList();
        var results = events.putEvents(request -> request.entries(entries)).entries();
        System.out.println(results.stream().map(Put::format).toList());
    }

    private static PutEventsRequestEntry build(Map<String, String> entry) {
        return PutEventsRequestEntry.builder()
                .source(entry.get("Source"))
                .detailType(entry.get("DetailType"))
                .detail(entry.get("Detail"))
                .build();
    }

    private static String format(PutEventsResultEntry result) {
        return "{\"EventId\": %s, \"ErrorCode\": %s}".formatted(quote(result.eventId()), quote(result.errorCode()));
    }

    private static String quote(String text) {
        return text == null ? "null" : '"' + text + '"';
    }
}
