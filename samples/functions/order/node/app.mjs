// Summarizes an order: a function for AWS Lambda.
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";

const events = new EventBridgeClient({});

// The pieces of an order, its price in cents and the address of its first parcel.
export function summarize(order) {
  if (order.items.length === 0) throw new Error(`order ${order.orderId} has no items`);
  const to = order.shipTo[0].address;
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  return {
    orderId: order.orderId,
    pieces: sum(order.items.map((item) => item.quantity)),
    totalCents: sum(order.items.map((item) => Math.floor(item.price * 100 + 0.5) * item.quantity)),
    label: `${to.name.first} ${to.name.last}, ${to.street1}, ${to.city}, ${to.state} ${to.zipCode}, ${to.country}`,
  };
}

export const handler = async (event) => {
  const summary = summarize(event.detail);
  const entry = { Source: "shop.orders", DetailType: "order.summarized", Detail: JSON.stringify(summary) };
  const response = await events.send(new PutEventsCommand({ Entries: [entry] }));
  if (response.FailedEntryCount) throw new Error(response.Entries[0].ErrorMessage);
  return summary;
};
