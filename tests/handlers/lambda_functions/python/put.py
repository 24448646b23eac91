import json

import boto3

EVENTS = boto3.client("events")


def handler(event, context):
    if event["do"] == "list":
        EVENTS.list_rules()
    print(json.dumps(EVENTS.put_events(Entries=event["entries"])["Entries"]))
