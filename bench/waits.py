"""Measures commands that users wait for, against minimal work or another program, in processor time.

The start of a command is included unless the row says otherwise. The rows are:
explain over many routes, doctor, events --summary, many small files, validate --jobs, publish by many routes, with
delivery, as text.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import jsonschema_rs
import orjson
from routing import event, mixed

from evtool.events.envelopes import parse_event
from evtool.store.rows import NewDelivery
from evtool.store.store import Store

ROUTES = 5_000
STORED = 100_000
PUBLISHED = 5_000
MIXED_ROUTES, SERVICES = 1_000, 40
FILES = 10_000
ROUNDS = 3
HANDLERS = "handlers: {nothing: {python: 'work.py:nothing'}}\n"

# The measured work, its seconds, the compared work, its seconds, and the goal of the ratio.
Row = tuple[str, float, str, float, str]


def processor_time(*command: str) -> float:
    """Returns the processor seconds of a command: the smallest of several rounds."""
    return min(run(command) for _ in range(ROUNDS))


def run(command: tuple[str, ...]) -> float:
    """Returns the processor seconds of a command and its children."""
    process = os.fork()
    if process == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 1), command
    return usage.ru_utime + usage.ru_stime


def evtool(*arguments: str, once: bool = False) -> float:
    """Returns the processor seconds of evtool: of one run, or the smallest of several rounds."""
    command = (str(Path(sys.executable).parent / "evtool"),) + arguments
    if once:
        return run(command)
    return processor_time(*command)


def timed(work: Callable[[], object]) -> float:
    """Returns the processor seconds of work in this process: the smallest of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def orders(count: int) -> Iterator[bytes]:
    """Yields copies of the shop's order with different ids, as JSON."""
    order = json.loads(Path("samples/events/order-created.json").read_text(encoding="utf-8"))
    for number in range(count):
        yield orjson.dumps(order | {"id": f"id-{number}"})


def write_project(folder: Path, routes: int) -> None:
    """Writes routes by total to one handler that does nothing. Two routes match the order."""
    lines = []
    for number in range(routes):
        pattern = {"source": ["shop.checkout"], "detail": {"orderTotal": [{"numeric": [">", number * 100]}]}}
        lines.append(f"  r{number}: {{pattern: {json.dumps(pattern)}, to: [nothing]}}\n")
    schemas = Path("samples/schemas").absolute()
    text = f"version: 1\nschemas: {schemas}\n{HANDLERS}routes:\n{''.join(lines)}"
    (folder / "routes.yaml").write_text(text, encoding="utf-8")
    (folder / "work.py").write_text("def nothing(event, context):\n    pass\n", encoding="utf-8")


def explaining(folder: Path) -> Iterator[Row]:
    """Measures `explain` of one event with many routes, against loading the routes."""
    write_project(folder, ROUTES)
    (folder / "one.json").write_bytes(next(orders(1)))
    routes = str(folder / "routes.yaml")
    explained = evtool("explain", str(folder / "one.json"), "--routes", routes)
    loaded = evtool("publish", "--dry-run", "-q", str(folder / "one.json"), "--routes", routes)
    yield f"explain over {ROUTES:,} routes", explained, "publish --dry-run of the same", loaded, ""


def checking(folder: Path) -> Iterator[Row]:
    """Measures `doctor` against SQLite's check with SHA-256 of all events, and `events --summary` against SQL."""
    file = folder / "store.db"
    with Store(file) as store, store.transaction():
        for number, line in enumerate(orders(STORED)):
            store.insert(parse_event(line), [NewDelivery(f"r{number % 1000}", "nothing")], now=1_790_000_000_000)
    connection = apsw.Connection(str(file))

    def check() -> None:
        assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
        for raw, digest in connection.execute("SELECT raw, sha256 FROM event"):
            assert isinstance(raw, bytes)
            assert hashlib.sha256(raw).digest() == digest

    checked = evtool("doctor", "--store", str(file))
    yield f"doctor, {STORED:,} events", checked, "integrity_check and SHA-256", timed(check), "4"
    grouped = "SELECT state, count(*), route, handler FROM delivery GROUP BY 1, 3, 4"
    counted = timed(lambda: [connection.execute(query).fetchall() for query in (grouped, "SELECT count(*) FROM event")])
    yield "events --summary", evtool("events", "--summary", "--store", str(file)), "the same as SQL", counted, ""


def validating(folder: Path) -> Iterator[Row]:
    """Measures many small files against cat, and two processes against one, in seconds of real time."""
    files = folder / "files"
    files.mkdir()
    for number, line in enumerate(orders(FILES)):
        (files / f"{number}.json").write_bytes(line)
    start = evtool("validate", str(files / "0.json"))
    read = processor_time("sh", "-c", f"cat {files}/*.json")
    yield f"validate {FILES:,} files, without start-up", evtool("validate", str(files)) - start, "cat", read, "1.5"
    lines = folder / "events.jsonl"
    lines.write_bytes(b"\n".join(orders(STORED)))
    command = [str(Path(sys.executable).parent / "evtool"), "validate", str(lines), "--jobs"]
    passed: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(ROUNDS):
        for jobs, seconds in passed.items():
            started = time.perf_counter()
            run(tuple(command) + (jobs,))
            seconds.append(time.perf_counter() - started)
    yield "validate --jobs 2", min(passed["2"]), "--jobs 1", min(passed["1"]), "0.6"


def routing(folder: Path) -> Iterator[Row]:
    """Measures `publish --no-deliver` with many routes, without the start, against parsing and validating in a loop."""
    schema = {"type": "object", "required": ["orderId"], "properties": {"orderId": {"pattern": "^o-[0-9]{6}$"}}}
    (folder / "schemas").mkdir()
    for number in range(5):
        (folder / "schemas" / f"order.{number}.json").write_bytes(orjson.dumps(schema))
    routes = {f"r{number}": {"pattern": mixed(number, SERVICES), "to": ["nothing"]} for number in range(MIXED_ROUTES)}
    project = {"version": 1, "schemas": "schemas", "handlers": {"nothing": {"python": "work.py:nothing"}}}
    (folder / "routes.yaml").write_bytes(orjson.dumps(project | {"routes": routes}))
    events = [orjson.dumps(event(number, SERVICES)) for number in range(PUBLISHED)]
    (folder / "events.jsonl").write_bytes(b"\n".join(events))
    (folder / "one.jsonl").write_bytes(events[0])
    check = jsonschema_rs.validator_for(schema, validate_formats=True).is_valid

    def spend(name: str) -> float:
        store = folder / "store.db"
        store.unlink(missing_ok=True)
        options = ("--routes", str(folder / "routes.yaml"), "--store", str(store))
        return evtool("publish", str(folder / name), "--no-deliver", "-o", "jsonl", *options, once=True)

    took = min(spend("events.jsonl") for _ in range(ROUNDS)) - min(spend("one.jsonl") for _ in range(ROUNDS))
    floor = timed(lambda: [check(orjson.loads(line)["detail"]) for line in events])
    yield f"publish by {MIXED_ROUTES:,} routes, without start-up", took, "parse and validate", floor, "4"


def publishing(folder: Path) -> Iterator[Row]:
    """Measures `publish` with delivery against two separate commands, and text against JSON Lines."""
    write_project(folder, 100)
    lines = folder / "published.jsonl"
    lines.write_bytes(b"\n".join(orders(PUBLISHED)))
    options = ("--routes", str(folder / "routes.yaml"))

    def spend(number: int, *arguments: str) -> float:
        store = str(folder / f"published-{number}.db")
        return run((str(Path(sys.executable).parent / "evtool"), *arguments, *options, "--store", store))

    publish = ("publish", str(lines))
    stored = spend(1, *publish, "--no-deliver", "-o", "jsonl")
    delivered = spend(1, "deliver", "-o", "jsonl")
    whole = spend(2, *publish, "-o", "jsonl")
    yield "publish with delivery", whole, "--no-deliver, then deliver", stored + delivered, "1.3"
    text = spend(3, *publish, "--no-deliver")
    jsonl = spend(4, *publish, "--no-deliver", "-o", "jsonl")
    yield "publish --no-deliver as text", text, "-o jsonl", jsonl, "1.2"


def main() -> None:
    """Prints the table."""
    print(f"{'':<58}{'seconds':>9}{'ratio':>8}{'goal':>7}")
    for part in (explaining, checking, validating, routing, publishing):
        for what, took, than, least, goal in part(Path(tempfile.mkdtemp())):
            print(f"{what:<58}{took:>9.2f}{took / least:>8.2f}{goal:>7}\n{f'  of {than}':<58}{least:>9.2f}{1:>8}")


if __name__ == "__main__":
    main()
