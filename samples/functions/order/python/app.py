"""Summarizes an order: a function for AWS Lambda."""

import json

import boto3

events = boto3.client("events")


def summarize(order):
    """The pieces of an order, its price in cents and the address of its first parcel."""
    if not order["items"]:
        raise ValueError(f"order {order['orderId']} has no items")
    to = order["shipTo"][0]["address"]
    name = f"{to['name']['first']} {to['name']['last']}"
    return {
        "orderId": order["orderId"],
        "pieces": sum(item["quantity"] for item in order["items"]),
        "totalCents": sum(int(item["price"] * 100 + 0.5) * item["quantity"] for item in order["items"]),
        "label": f"{name}, {to['street1']}, {to['city']}, {to['state']} {to['zipCode']}, {to['country']}",
    }


def handler(event, context):
    summary = summarize(event["detail"])
    entry = {"Source": "shop.orders", "DetailType": "order.summarized", "Detail": json.dumps(summary)}
    response = events.put_events(Entries=[entry])
    if response["FailedEntryCount"]:
        raise RuntimeError(response["Entries"][0]["ErrorMessage"])
    return summary
