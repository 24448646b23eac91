// Sends the requests of the test with the SDK of AWS and that of CloudEvents, and prints what comes back as JSON.
import { EventBridgeClient, ListRulesCommand, PutEventsCommand, TestEventPatternCommand } from "@aws-sdk/client-eventbridge";
import { CloudEvent, emitterFor, httpTransport, Mode } from "cloudevents";
import { readFileSync } from "node:fs";

const input = JSON.parse(readFileSync(0, "utf8"));
const client = new EventBridgeClient({});
const results = {};

async function record(name, send) {
  try {
    const { $metadata, ...answer } = await send();
    results[name] = answer;
  } catch (error) {
    results[name] = { error: error.name, message: error.message, status: error.$metadata?.httpStatusCode };
  }
}

await record("put", () => client.send(new PutEventsCommand({ Entries: input.entries })));
await record("time", () => client.send(new PutEventsCommand({ Entries: [{ ...input.entries[0], Time: new Date(1795953600123) }] })));
await record("no-date", () => client.send(new PutEventsCommand({ Entries: [{ ...input.entries[0], Time: new Date("nope") }] })));
await record("object", () => client.send(new PutEventsCommand({ Entries: [{ ...input.entries[0], Detail: {} }] })));
await record("empty", () => client.send(new PutEventsCommand({ Entries: [] })));
await record("many", () => client.send(new PutEventsCommand({ Entries: Array(11).fill(input.entries[0]) })));
await record("test", () => client.send(new TestEventPatternCommand({ EventPattern: input.pattern, Event: input.event })));
await record("bad-pattern", () => client.send(new TestEventPatternCommand({ EventPattern: "{}", Event: input.event })));
await record("other", () => client.send(new ListRulesCommand({})));

for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
  const emit = emitterFor(httpTransport(process.env.AWS_ENDPOINT_URL_EVENTBRIDGE), { mode });
  const event = new CloudEvent({ id: `js-${mode}`, source: "shop", type: "order.created", data: { total: 1.5, note: "é" } });
  await record(mode, async () => ({ body: (await emit(event)).body }));
}
console.log(JSON.stringify(results));
