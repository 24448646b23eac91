"""How long it takes to find the routes of an event, parsed already, beside parsing it and beside trying every route.

Each mix of routes is measured with more and more of them; all but a few have nothing to do with an event.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from evtool.leaves import leaves_of
from evtool.pattern import Pattern
from evtool.routes import Route, Routes

SIZES = (100, 1_000, 10_000)
EVENTS = 200
TRIES = 2_000  # of a route, for the time that trying every route takes

Rule = dict[str, Any]
dice = random.Random(1)


def event(number: int) -> Rule:
    """An order of one of a thousand customers, by one of 400 services."""
    items = [
        {"sku": f"SKU-{dice.randrange(100_000):05}", "quantity": dice.randrange(1, 9), "price": 9.95, "gift": False}
        for _ in range(3)
    ]
    return {
        "version": "0",
        "id": f"{dice.getrandbits(128):032x}",
        "source": f"service-{number % 400}",
        "detail-type": f"order.{number % 5}",
        "account": "123456789012",
        "time": "2026-10-01T10:00:00Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::bucket-{number % 50}/in/{dice.randrange(100_000)}.csv"],
        "detail": {
            "orderId": f"o-{dice.randrange(1_000_000)}",
            "status": dice.choice(["new", "paid", "sent", "back"]),
            "channel": dice.choice(["web", "app", "shop"]),
            "total": dice.randrange(10_000),
            "currency": "EUR",
            "customer": {
                "id": f"c-{dice.randrange(10_000)}",
                "tier": dice.choice(["gold", "blue"]),
                "mail": "joe@x.test",
            },
            "address": {"street": "Main St 1", "city": "Springfield", "zip": "12345", "country": "DE"},
            "items": items,
        },
    }


def exact(number: int) -> Rule:
    """By source, type and two fields with few values."""
    detail = {
        "status": [dice.choice(["new", "paid", "sent", "back"])],
        "channel": [dice.choice(["web", "app", "shop"])],
    }
    return {"source": [f"service-{number % 400}"], "detail-type": [f"order.{dice.randrange(5)}"], "detail": detail}


def ids(number: int) -> Rule:
    """By the id of a customer."""
    return {"detail-type": ["order.1"], "detail": {"customer": {"id": [f"c-{number}"]}}}


def prefixes(number: int) -> Rule:
    """By the beginning of something in a list."""
    return {"detail": {"items": {"sku": [{"prefix": f"SKU-{number % 10_000:04}"}]}}}


def ranges(number: int) -> Rule:
    """By a range of numbers."""
    return {"source": [{"prefix": "service-"}], "detail": {"total": [{"numeric": [">=", number, "<", number + 3]}]}}


def wildcards(number: int) -> Rule:
    """By a wildcard."""
    return {"resources": [{"wildcard": f"arn:aws:s3:::*/in/{number:05}*"}]}


def others(number: int) -> Rule:
    """By what only narrows a source: anything but, and a field that is there or not."""
    detail = [
        {"status": [{"anything-but": "new"}], "customer": {"tier": ["gold"]}},
        {"channel": [{"exists": True}], "refund": [{"exists": False}]},
        {"$or": [{"total": [{"numeric": ["<", 100]}]}, {"status": ["back"]}]},
    ]
    return {"source": [f"service-{number % 400}"], "detail": detail[number % 3]}


def mixed(number: int) -> Rule:
    """As routes may be: most by exact values."""
    kinds = [exact] * 60 + [ids] * 10 + [prefixes] * 8 + [ranges] * 8 + [others] * 11 + [wildcards] * 3
    return dice.choice(kinds)(number)


MIXES: Sequence[Callable[[int], Rule]] = (exact, ids, prefixes, ranges, wildcards, others, mixed)


def microseconds(work: Callable[[Any], object], events: Sequence[Any]) -> float:
    """The time that some work takes for an event, in the best of three rounds."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        for one in events:
            work(one)
        times.append(time.perf_counter() - begun)
    return min(times) / len(events) * 1e6


def main() -> None:
    """Prints the table."""
    events = [event(number) for number in range(EVENTS)]
    parsing = microseconds(json.loads, [json.dumps(one) for one in events])
    print(f"json.loads of an event takes {parsing:.1f} us, the unit of what follows")
    print(f"{'routes':<10}{'':>8}{'match':>10}{'trying all':>12}{'factor':>9}{'taken':>8}{'ready in':>11}")
    for mix in MIXES:
        for size in SIZES:
            patterns = [Pattern(mix(number)) for number in range(size)]
            paths = frozenset(path for pattern in patterns for path in pattern.paths)
            routes = Routes([Route(f"r{number}", pattern, ("h",)) for number, pattern in enumerate(patterns)])

            def scan(one: Rule, patterns: Sequence[Pattern] = patterns, paths: frozenset[str] = paths) -> list[Pattern]:
                leaves = leaves_of(one, paths)
                return [pattern for pattern in patterns if pattern.holds(leaves)]

            begun = time.perf_counter()
            taken = sum(len(routes.match(one)) for one in events) / len(events)
            ready = time.perf_counter() - begun
            took = microseconds(routes.match, events) / parsing
            all_tried = microseconds(scan, events[: max(1, TRIES // size)]) / parsing
            print(
                f"{mix.__name__:<10}{size:>8,}{took:>10.1f}{all_tried:>12.1f}{all_tried / took:>9.1f}"
                f"{taken:>8.1f}{ready * 1000:>8.0f} ms"
            )


if __name__ == "__main__":
    main()
