"""evtool replay over chains of events: the plan, the report and the calls that handlers get are the same."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.conftest import Evtool, Ran

HANDLERS = """
import json

def {name}(event, context):
    open("calls", "a").write("{name}\\n")
    for type in {emits}.get(event["detail-type"], []):
        context.emit(type, {{}})
"""


class Project:
    """Handlers that append their names to a file, and emit events of fixed types for each type that they get."""

    def __init__(self, folder: Path, evtool: Evtool, emits: dict[str, dict[str, list[str]]], routes: dict[str, Any]):
        self.folder, self.evtool, self.handlers, self.routes = folder, evtool, list(emits), routes
        code = [HANDLERS.format(name=name, emits=by_type) for name, by_type in emits.items()]
        (folder / "work.py").write_text("".join(code))
        self.skip([])

    def skip(self, skipped: list[str]) -> None:
        """Gives handlers `on_replay: skip`, and takes it from the others."""
        self.skipped = set(skipped)
        handlers = {
            name: {"python": f"work.py:{name}", "on_replay": "skip" if name in skipped else "run"}
            for name in self.handlers
        }
        text = json.dumps({"version": 1, "handlers": handlers, "routes": self.routes})
        (self.folder / "routes.yaml").write_text(text)

    def publish(self, type: str) -> str:  # noqa: A002
        """Publishes an event; its id."""
        ran = self.evtool("publish", "-", "--type", type, "-o", "json", stdin=b"{}")
        identity: str = ran.json["events"][0]["id"]
        return identity

    def calls(self, *arguments: str) -> tuple[Ran, Counter[str]]:
        """What a command printed, and which handlers it called how often."""
        (self.folder / "calls").write_text("")
        ran = self.evtool(*arguments, "-o", "json")
        return ran, Counter((self.folder / "calls").read_text().split())

    def check_replay(self, *options: str) -> Any:
        """Plans a replay and delivers it: the plan, the report and the calls must be the same. Returns the report."""
        plan, none = self.calls("replay", *options)
        report, calls = self.calls("replay", "--deliver", *options)

        assert (plan.code, report.code, none) == (0, 0, Counter())
        assert count_fires(plan, {"would fire"}) == plan.json["handlers"]
        assert count_fires(report, {"done"}) == report.json["handlers"] == calls
        assert {name: count for name, count in plan.json["handlers"].items() if name not in self.skipped} == calls
        for key in ("events", "effects"):
            assert plan.json["summary"][key] == report.json["summary"][key]
        assert kinds(plan) == kinds(report)
        return report.json


def count_fires(ran: Ran, actions: set[str]) -> Counter[str]:
    """Counts how often each handler has one of these actions."""
    return Counter(
        fire["handler"] for event in ran.json["events"] for fire in event["fires"] if fire["action"] in actions
    )


def kinds(ran: Ran) -> Counter[tuple[str, bool]]:
    """The types of the events of a replay, and whether they are effects."""
    return Counter((event["type"], event["cause"] is not None) for event in ran.json["events"])


def route(types: list[str], *handlers: str) -> dict[str, Any]:
    """A route of these types to these handlers."""
    return {"pattern": {"detail-type": types}, "to": [*handlers]}


@pytest.fixture
def chain(tmp_path: Path, evtool: Evtool) -> Project:
    """order -> pay -> payment -> pack -> parcel -> ship."""
    emits = {"pay": {"order": ["payment"]}, "pack": {"payment": ["parcel"]}, "ship": {}}
    routes = {"a": route(["order"], "pay"), "b": route(["payment"], "pack"), "c": route(["parcel"], "ship")}
    return Project(tmp_path, evtool, emits, routes)


def test_every_replay_calls_each_handler_of_a_chain_once(chain: Project) -> None:
    """Effects of the publication and of earlier replays are not replayed in addition to the root."""
    chain.publish("order")
    for _ in range(3):
        report = chain.check_replay()

        assert report["handlers"] == {"pay": 1, "pack": 1, "ship": 1}
        assert report["summary"] == {"events": 1, "effects": 2, "fires": 3}


@pytest.mark.parametrize("skipped", [["pay"], ["pack"], ["pay", "pack"]])
def test_stored_events_replace_those_of_a_skipped_handler(chain: Project, skipped: list[str]) -> None:
    """The rest of the chain is replayed, for an event of the store and for one of the replay."""
    chain.publish("order")
    chain.skip(skipped)
    for options in ([], ["--type", "order"]):
        report = chain.check_replay(*options)

        assert report["handlers"] == {name: 1 for name in ("pack", "pay", "ship") if name not in skipped}
        assert report["summary"]["events"] + report["summary"]["effects"] == 3


def test_an_event_stored_by_a_replay_is_replayed_only_by_its_id(chain: Project) -> None:
    """Without its id it is not selected."""
    chain.publish("order")
    chain.check_replay("--name", "monday")
    events = chain.evtool("events", "--type", "payment", "-o", "json").json["events"]

    assert chain.check_replay("--type", "payment")["summary"]["events"] == 1
    assert chain.check_replay(events[1]["id"])["handlers"] == {"pack": 1, "ship": 1}
    assert chain.check_replay(*(event["id"] for event in events))["handlers"] == {"pack": 2, "ship": 2}


def test_an_effect_whose_cause_is_not_repeated_is_replayed_itself(chain: Project) -> None:
    """Without the route that called the handler nothing emits the event again."""
    chain.publish("order")
    del chain.routes["a"]
    chain.skip([])

    assert chain.check_replay()["handlers"] == {"pack": 1, "ship": 1}


def test_a_limit_counts_selected_events(chain: Project) -> None:
    """Events that their handlers emit are replayed, too."""
    chain.publish("order")
    chain.publish("order")

    assert chain.check_replay("--limit", "1")["summary"] == {"events": 1, "effects": 2, "fires": 3}


def test_a_later_delivery_of_a_replay_also_gets_stored_events_for_skipped_handlers(chain: Project) -> None:
    """Another command makes the delivery when the handler is available again."""
    chain.publish("order")
    chain.skip(["pack"])
    code = (chain.folder / "work.py").read_text()
    head = "def pay(event, context):\n"
    (chain.folder / "work.py").write_text(code.replace(head, f"{head}    raise ConnectionRefusedError\n"))
    waiting, _ = chain.calls("replay", "--deliver", "--type", "order")
    (chain.folder / "work.py").write_text(code)
    _, calls = chain.calls("deliver")

    assert waiting.json["events"][0]["fires"] == [{"route": "a", "handler": "pay", "action": "waiting"}]
    assert calls == {"pay": 1, "ship": 1}


@pytest.mark.parametrize("seed", range(6))
def test_plan_report_and_calls_agree_on_random_chains(tmp_path: Path, evtool: Evtool, seed: int) -> None:
    """With several routes to a handler, branches, skipped handlers, filters and repeated replays."""
    random = Random(seed)
    types = [f"t{number}" for number in range(5)]
    names = [f"h{number}" for number in range(5)]
    emits = {
        name: {t: random.choices(types[n + 1 :], k=random.randrange(3)) for n, t in enumerate(types[:-1])}
        for name in names
    }
    routes = {
        f"r{number}": route(random.sample(types, random.randint(1, 3)), *random.sample(names, random.randint(1, 2)))
        for number in range(5)
    }
    project = Project(tmp_path, evtool, emits, routes)
    ids = [project.publish(random.choice(types[:3])) for _ in range(3)]
    for _ in range(3):
        project.skip([name for name in names if random.random() < 0.3])
        event = random.choice(types)
        project.check_replay(*random.choice([[], [], ["--type", event], ["--limit", "2"], ids[:2]]))
