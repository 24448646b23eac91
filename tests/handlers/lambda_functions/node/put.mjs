import { EventBridgeClient, ListRulesCommand, PutEventsCommand } from "@aws-sdk/client-eventbridge";

const events = new EventBridgeClient({});

export const handler = async (event) => {
  if (event.do === "list") await events.send(new ListRulesCommand({}));
  const response = await events.send(new PutEventsCommand({ Entries: event.entries }));
  console.log(JSON.stringify(response.Entries));
};
