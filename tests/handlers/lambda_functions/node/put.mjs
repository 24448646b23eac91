import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";

const events = new EventBridgeClient({});

export const handler = async () => {
  const entry = { Source: "fraud", DetailType: "order.scored", Detail: JSON.stringify({ risk: "low" }) };
  const result = await events.send(new PutEventsCommand({ Entries: [entry, { ...entry, Detail: "[]" }] }));
  console.log(JSON.stringify(result.Entries));
};
