"""Measures how long evtool takes to find the routes of an event, parsed or as JSON text, in units of `orjson.loads`."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from evtool.patterns.pattern import Pattern
from evtool.routes.routes import Route, Routes

MIXED = {100: "-", 1_000: "1.3", 10_000: "2.2", 100_000: "4.5"}
GROWN = (100, 5_000)
EVENTS = 200
ROUNDS = 20
STATUS, CHANNEL = ("new", "paid", "sent", "back"), ("web", "app", "shop")

Rule = dict[str, Any]
dice = random.Random(1)


def event(number: int, services: int) -> Rule:
    """Returns an order of one of ten thousand customers, sent by one of the services."""
    items = [
        {"sku": f"SKU-{dice.randrange(100_000):05}", "quantity": dice.randrange(1, 9), "price": 9.95, "gift": False}
        for _ in range(3)
    ]
    return {
        "version": "0",
        "id": f"{dice.getrandbits(128):032x}",
        "source": f"service-{number % services}",
        "detail-type": f"order.{number % 5}",
        "account": "123456789012",
        "time": "2026-10-01T10:00:00Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::bucket-{number % 50}/in/{dice.randrange(100_000)}.csv"],
        "detail": {
            "orderId": f"o-{dice.randrange(1_000_000):06}",
            "status": dice.choice(STATUS),
            "channel": dice.choice(CHANNEL),
            "total": dice.randrange(10_000),
            "currency": "EUR",
            "customer": {
                "id": f"c-{dice.randrange(10_000)}",
                "tier": dice.choice(["gold", "blue"]),
                "mail": "joe@x.test",
            },
            "address": {
                "name": {"first": "Joe", "last": "Smith"},
                "phone": {"number": "5555555555", "kind": "mobile"},
                "street": "1250 Main Street",
                "city": "Springfield",
                "state": "MD",
                "zip": "21078-3213",
                "country": "US",
            },
            "shipment": {
                "carrier": "FedEx",
                "kind": "standard",
                "note": "ring twice, then leave it with the neighbours",
            },
            "items": items,
        },
    }


def of_id(number: int, _services: int) -> Rule:
    """Returns a rule for the id of a customer."""
    return {"detail-type": ["order.1"], "detail": {"customer": {"id": [f"c-{number}"]}}}


def prefix(number: int, _services: int) -> Rule:
    """Returns a rule for the beginning of a value in a list."""
    return {"detail": {"items": {"sku": [{"prefix": f"SKU-{number:05}"}]}}}


def suffix(number: int, _services: int) -> Rule:
    """Returns a rule for the end of a string."""
    return {"detail": {"orderId": [{"suffix": f"-{number:06}"}]}}


def any_case(number: int, _services: int) -> Rule:
    """Returns a rule for a string in any case."""
    return {"detail": {"orderId": [{"equals-ignore-case": f"O-{number:06}"}]}}


def numeric(number: int, _services: int) -> Rule:
    """Returns a rule for a range of numbers. The ranges do not overlap."""
    return {"detail": {"total": [{"numeric": [">=", number * 2, "<", number * 2 + 1]}]}}


def wildcard(number: int, _services: int) -> Rule:
    """Returns a rule with a wildcard."""
    return {"resources": [{"wildcard": f"arn:aws:s3:::*/in/{number:05}*"}]}


def anything_but(number: int, _services: int) -> Rule:
    """Returns a rule that excludes a value of a field, for one customer."""
    return {"detail": {"status": [{"anything-but": "new"}], "customer": {"id": [f"c-{number}"]}}}


def mixed(number: int, services: int) -> Rule:
    """Returns a rule as in real routes: most are for one service, one in a hundred is for all services."""
    kinds: Sequence[Callable[[], Rule]] = [
        lambda: {"status": [dice.choice(STATUS)], **({"channel": [dice.choice(CHANNEL)]} if number % 2 else {})},
        lambda: {"customer": {"id": [f"c-{dice.randrange(10_000)}"]}},
        lambda: {"address": {"city": [{"prefix": f"Spring{dice.choice('abcdefgh')}"}]}},
        lambda: {"total": [{"numeric": [">=", number % 10_000, "<", number % 10_000 + 300]}]},
        lambda: {"channel": [{"anything-but": dice.choice(CHANNEL)}]},
        lambda: {"refund": [{"exists": dice.random() < 0.8}]},
        lambda: {"orderId": [dice.choice([{"wildcard": f"o-*{number}"}, {"suffix": f"-{number}"}])]},
    ]
    (kind,) = dice.choices(kinds, [60, 10, 8, 8, 6, 4, 3])
    if number % 100 == 0:
        return {"resources": [{"wildcard": f"arn:aws:s3:::bucket-*/{number:05}*"}], "detail": kind()}
    return {"source": [f"service-{number % services}"], "detail-type": [f"order.{dice.randrange(5)}"], "detail": kind()}


def unrelated(number: int, _services: int) -> Rule:
    """Returns a rule for a service that sends no events."""
    return mixed(number, 400) | {"source": [f"other-{number % 400}"]}


FAMILIES: Sequence[Callable[[int, int], Rule]] = (of_id, prefix, suffix, any_case, numeric, wildcard, anything_but)


def microseconds(work: Callable[[Any], object], events: Sequence[Any]) -> float:
    """Returns the microseconds of the work for an event: the best of several rounds, each over ten events."""
    total = 0.0
    for start in range(0, len(events), 10):
        part = events[start : start + 10]
        best = float("inf")
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for item in part:
                work(item)
            best = min(best, time.perf_counter() - started)
        total += best
    return total / len(events) * 1e6


def measured(rules: Sequence[Rule], services: int) -> tuple[float, float]:
    """Prints a line. Returns the cost of routing a parsed event and its JSON text, in units of `orjson.loads`."""
    events = [event(dice.randrange(services), services) for _ in range(EVENTS)]
    texts = list(map(orjson.dumps, events))
    routes = Routes([Route(f"r{number}", Pattern(rule), ("h",)) for number, rule in enumerate(rules)])
    # The first match builds the index.
    started = time.perf_counter()
    taken = sum(len(routes.match(document)) for document in events) / len(events)
    ready = time.perf_counter() - started
    unit = microseconds(orjson.loads, texts)
    parsed = microseconds(routes.match, events) / unit
    text = microseconds(routes.match_checked, texts) / unit
    print(f"{len(rules):>9,}{parsed:>12.2f}{text:>12.2f}{taken:>10.2f}{ready * 1000:>10.0f} ms", end="")
    return parsed, text


def main() -> None:
    """Prints the table."""
    length = sum(len(orjson.dumps(event(number, 40))) for number in range(100)) // 100
    print(f"routing an event of {length} bytes; the unit is orjson.loads of it")
    print(f"{'rules':<14}{'':>9}{'parsed':>12}{'from text':>12}{'taken by':>10}{'ready in':>13}")
    for size, goal in MIXED.items():
        services = max(4, size // 25)
        print(f"{'mixed':<14}", end="")
        measured([mixed(number, services) for number in range(size)], services)
        print(f"   goal, parsed: {goal}")
    few = [mixed(number, 8) for number in range(200)]
    print(f"{'mixed':<14}", end="")
    alone, _ = measured(few, 8)
    print(f"\n{'and unrelated':<14}", end="")
    among, _ = measured(few + [unrelated(number, 400) for number in range(10_000)], 8)
    print(f"   {among / alone:.2f} x, goal 1.5 x")
    for family in FAMILIES:
        costs = []
        for size in GROWN:
            print(f"{family.__name__:<14}", end="")
            costs.append(measured([family(number, 40) for number in range(size)], 40)[0])
            if size == GROWN[0]:
                print()
            else:
                print(f"   {costs[-1] / costs[0]:.2f} x, goal 2 x")


if __name__ == "__main__":
    main()
