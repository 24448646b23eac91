import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";

const events = new EventBridgeClient({});

export const handler = async (event) => {
  const { id, total } = event.detail;
  const detail = JSON.stringify({ orderId: id, risk: total > 1000 ? "high" : "low" });
  const entry = { Source: "fraud", DetailType: "order.scored", Detail: detail };
  await events.send(new PutEventsCommand({ Entries: [entry] }));
};
