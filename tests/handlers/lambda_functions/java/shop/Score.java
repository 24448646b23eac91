package shop;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;
import software.amazon.awssdk.services.eventbridge.EventBridgeClient;

public class Score implements RequestHandler<Map<String, Object>, Void> {
    private final EventBridgeClient events = EventBridgeClient.create();

    @Override
    public Void handleRequest(Map<String, Object> event, Context context) {
        var order = (Map<?, ?>) event.get("detail");
        var risk = ((Number) order.get("total")).doubleValue() > 1000 ? "high" : "low";
        var detail = "{\"orderId\":\"%s\",\"risk\":\"%s\"}".formatted(order.get("id"), risk);
        events.putEvents(request -> request.entries(
                entry -> entry.source("fraud").detailType("order.scored").detail(detail)));
        return null;
    }
}
