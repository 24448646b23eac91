"""evtool replay, as a user calls it."""

from pathlib import Path

import pytest

from tests.conftest import Evtool, Ran


@pytest.fixture
def published(evtool: Evtool, shop: Path) -> Ran:
    """The shop after Joe's order."""
    return evtool("publish", "order-created", "-o", "json", cwd=shop)


def named(ran: Ran) -> set[str]:
    """Returns the handlers in the result of a command."""
    key = "deliveries" if "deliveries" in ran.json["events"][0] else "fires"
    return {entry["handler"] for event in ran.json["events"] for entry in event[key]}


def test_a_plan_names_the_handlers_that_the_publish_fired(evtool: Evtool, shop: Path, published: Ran) -> None:
    """The same events with the same routes fire the same handlers, and no handler is called."""
    mails = len(list((shop / "samples/.data").rglob("*.eml")))
    plan = evtool("replay", "-o", "json", cwd=shop)

    assert plan.code == 0
    assert named(plan) == named(published)
    assert plan.json["handlers"] == {"charge-card": 1, "confirmation-email": 1, "warehouse": 1}
    assert {fire["action"] for event in plan.json["events"] for fire in event["fires"]} == {"would fire"}
    assert plan.json["summary"] == {"events": 2, "effects": 0, "fires": 3}
    marked = [fire for event in plan.json["events"] for fire in event["fires"] if fire.get("on_replay") == "skip"]
    assert [fire["handler"] for fire in marked] == ["charge-card"]
    assert "on_replay: skip, not called by --deliver: charge-card\n" in evtool("replay", cwd=shop).out
    assert len(list((shop / "samples/.data").rglob("*.eml"))) == mails


def test_a_plan_shows_what_fired_and_what_would_fire_now(evtool: Evtool, shop: Path, published: Ran) -> None:
    """With another version of the routes."""
    routes = shop / "routes.yaml"
    routes.write_text(routes.read_text().replace("to: [warehouse]", "to: [email-platform]"))
    ran = evtool("replay", "-o", "json", cwd=shop)
    paid = ran.json["events"][1]

    assert [f["handler"] for f in paid["fired"]] == ["confirmation-email", "warehouse"]
    assert [f["handler"] for f in paid["fires"]] == ["confirmation-email", "email-platform"]
    text = evtool("replay", "-v", cwd=shop).out
    assert "warehouse  would not fire" in text
    assert "email-platform  would fire  by fulfil-order  when published: did not fire" in text
    assert "1 would fire other handlers than when published" in text


def test_a_delivering_replay_calls_all_handlers_except_those_that_skip(
    evtool: Evtool, shop: Path, published: Ran
) -> None:
    """The card is not charged again. The other handlers get the event with the name of the replay."""
    (shop / "samples/handlers/email.py").write_text(
        "def confirm_order(event, context):\n    print(event['replay-name'])\n"
    )
    ran = evtool("replay", "--deliver", "--name", "again", "-o", "json", cwd=shop)

    assert ran.code == 0
    actions = {fire["handler"]: fire["action"] for event in ran.json["events"] for fire in event["fires"]}
    assert actions == {"charge-card": "skipped", "confirmation-email": "done", "warehouse": "done"}
    assert ran.json["replay"] == "again"
    told = evtool("events", published.json["events"][1]["id"], "-o", "json", cwd=shop).json
    [mail] = [d for d in told["deliveries"] if d["replay"] == "again" and d["handler"] == "confirmation-email"]
    assert mail["history"][0]["output"] == "again\n"


def test_events_emitted_in_a_replay_have_its_name(evtool: Evtool, tmp_path: Path) -> None:
    """`replay-name` in their envelope, as on EventBridge."""
    (tmp_path / "work.py").write_text("def work(event, context):\n    context.emit('b', {})\n")
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {work: {python: 'work.py:work'}}\n"
        "routes: {a: {pattern: {detail-type: [a]}, to: [work]}}\n"
    )
    evtool("publish", "-", "--type", "a", stdin=b"{}")
    evtool("replay", "--deliver", "--name", "monday", "--type", "a")
    events = evtool("events", "--type", "b", "-o", "json").json["events"]
    documents = [evtool("events", event["id"], "-o", "json").json["event"] for event in events]

    assert [document.get("replay-name") for document in documents] == [None, "monday"]


def test_a_replay_with_the_same_name_continues_and_repeats_nothing(evtool: Evtool, shop: Path, published: Ran) -> None:
    """So an interrupted replay can be continued."""
    evtool("replay", "--deliver", "--name", "again", cwd=shop)
    identity = published.json["events"][1]["id"]
    before = evtool("events", identity, "-o", "json", cwd=shop).json
    evtool("replay", "--deliver", "--name", "again", cwd=shop)

    assert evtool("events", identity, "-o", "json", cwd=shop).json == before


@pytest.mark.parametrize(
    ("options", "types"),
    [
        (["--type", "order.created"], ["order.created"]),
        (["--source", "shop.payments"], ["payment.authorized"]),
        (["--route", "fulfil-order"], ["payment.authorized"]),
        (["--pattern", '{"detail": {"orderTotal": [{"numeric": [">", 100]}]}}'], ["order.created"]),
        (["--since", "2026-03-02T14:00Z", "--until", "2026-03-03"], ["order.created"]),
        (["--until", "2001-01-01"], []),
        (["--since", "1h"], ["payment.authorized"]),
        (["--limit", "1"], ["order.created"]),
    ],
)
def test_filters_select_events(
    evtool: Evtool, shop: Path, published: Ran, options: list[str], types: list[str]
) -> None:
    """By time, type, source, route and pattern."""
    ran = evtool("replay", *options, "-o", "json", cwd=shop)

    assert [event["type"] for event in ran.json["events"] if event["cause"] is None] == types


def test_events_of_files_are_planned_without_a_store(evtool: Evtool, shop: Path) -> None:
    """--from reads events that were never published."""
    ran = evtool("replay", "--from", "samples/events/orders.jsonl", "-o", "json", cwd=shop)

    assert ran.code == 0
    assert set(ran.json["handlers"]) == {"charge-card"}
    assert {event["fired"] is None for event in ran.json["events"]} == {True}
    assert not (shop / ".evtool").exists()


def test_events_of_files_are_stored_when_they_are_delivered(evtool: Evtool, shop: Path) -> None:
    """A delivering replay of a file leaves its trace in the log."""
    ran = evtool("replay", "--from", "payment-authorized", "--deliver", "-o", "json", cwd=shop)

    assert {fire["action"] for event in ran.json["events"] for fire in event["fires"]} == {"done"}
    [event] = evtool("events", "-o", "json", cwd=shop).json["events"]
    assert event["states"] == {"done": 2}


def test_no_event_beyond_the_limit_is_delivered(evtool: Evtool, shop: Path, published: Ran) -> None:
    """No event beyond the limit is delivered."""
    evtool("publish", "payment-authorized", cwd=shop)
    ran = evtool(
        "replay", "--deliver", "--name", "one", "--route", "confirm-order", "--limit", "1", "-o", "json", cwd=shop
    )
    ids = [event["id"] for event in evtool("events", "-o", "json", cwd=shop).json["events"]]
    told = [evtool("events", identity, "-o", "json", cwd=shop).json["deliveries"] for identity in ids]

    assert ran.json["summary"] == {"events": 1, "effects": 0, "fires": 1}
    assert sum(delivery["replay"] == "one" for deliveries in told for delivery in deliveries) == 1


def test_a_file_with_other_content_than_the_store_is_not_delivered(evtool: Evtool, shop: Path, published: Ran) -> None:
    """The store keeps the first content of a key: the other one is a conflict and calls no handler."""
    file = shop / "samples/events/order-created.json"
    file.write_text(file.read_text().replace("HAVRE DE GRACE", "BALTIMORE"))
    ran = evtool("replay", "--deliver", "--from", "order-created", "-o", "json", cwd=shop)

    assert (ran.code, ran.json["events"], "EV010" in ran.err) == (1, [], True)


def test_events_emitted_in_a_replay_of_one_route_take_all_routes(evtool: Evtool, shop: Path, published: Ran) -> None:
    """--route selects deliveries of the replayed events only."""
    routes = shop / "routes.yaml"
    routes.write_text(routes.read_text().replace("on_replay: skip", "on_replay: run"))
    evtool("replay", "--deliver", "--route", "pay-for-order", cwd=shop)
    events = evtool("events", "--type", "payment.authorized", "-o", "json", cwd=shop).json["events"]

    assert [event["states"] for event in events] == [{"done": 2}, {"done": 2}]
    assert "would fire other handlers" not in evtool("replay", cwd=shop).out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--route", "fulfil-ordr"], 'did you mean "fulfil-order"?'),
        (["--pattern", '{"source": "shop"}'], "must be an object or an array"),
        (["--pattern", "{"], "--pattern"),
        (["--pattern", "@none.json"], "none.json"),
        (["--since", "yesterday"], '"yesterday" is not a time'),
        (["no-such-event"], "there is no event no-such-event"),
    ],
)
def test_an_invalid_filter_is_a_usage_error(
    evtool: Evtool, shop: Path, published: Ran, options: list[str], said: str
) -> None:
    """A filter that can select nothing is refused, with exit code 2."""
    ran = evtool("replay", *options, cwd=shop)

    assert (ran.code, said in ran.err, "Traceback" in ran.err) == (2, True, False)


def test_a_plan_matches_events_with_the_name_of_the_replay(evtool: Evtool, tmp_path: Path) -> None:
    """In both envelopes, unless the event has a `replay-name` already."""
    (tmp_path / "routes.yaml").write_text(
        'version: 1\nhandlers: {h: {command: ["true"]}}\nroutes:\n'
        '  bridge: {pattern: {replay-name: ["monday"]}, to: [h]}\n'
        '  cloud: {pattern: {replayname: ["monday"]}, to: [h]}\n'
    )
    (tmp_path / "some.jsonl").write_text(
        '{"id": "1", "source": "s", "detail-type": "t", "time": "2026-11-23T10:00:00Z", "type": 1, "detail": {}}\n'
        '{"id": "2", "source": "s", "specversion": "1.0", "type": "t"}\n'
        '{"id": "3", "source": "s", "detail-type": "t", "replay-name": "tuesday", "detail": {}}\n'
    )
    evtool("publish", "--no-deliver", "--no-validate", "some.jsonl")
    plan = evtool("replay", "--name", "monday", "-o", "json").json

    assert [[fire["route"] for fire in event["fires"]] for event in plan["events"]] == [["bridge"], ["cloud"], []]
    assert [(event["type"], event["time"]) for event in plan["events"]] == [
        ("t", "2026-11-23T10:00:00Z"),
        ("t", None),
        ("t", None),
    ]


TAKEN = """
import sqlite3

def work(event, context):
    store = sqlite3.connect(".evtool/store.db")
    with store:
        store.execute("UPDATE delivery SET owner = 'another' WHERE state = 'leased'")
    store.close()
"""

WORK = """
version: 1
handlers: {work: {python: "work.py:work"}}
routes: {a: {pattern: {detail-type: [a]}, to: [work]}}
"""


def test_a_delivery_held_by_another_evtool_does_not_fail_the_replay(evtool: Evtool, tmp_path: Path) -> None:
    """The other process reports the result."""
    (tmp_path / "routes.yaml").write_text(WORK)
    evtool("publish", "-", "--type", "a", "--no-deliver", stdin=b"{}")
    (tmp_path / "work.py").write_text(TAKEN)
    ran = evtool("replay", "--deliver", "--name", "monday", "-o", "json")
    again = evtool("replay", "--deliver", "--name", "monday")

    [event] = ran.json["events"]
    assert (ran.code, event["fires"]) == (0, [{"route": "a", "handler": "work", "action": "leased"}])
    assert (again.code, again.out.split("\n")[0].split()) == (
        0,
        ["handler", "fired", "done", "failed", "waiting", "leased", "skipped"],
    )


def test_a_failed_delivery_of_an_emitted_event_fails_the_replay(evtool: Evtool, tmp_path: Path) -> None:
    """The report and the exit code cover all calls of a replay."""
    (tmp_path / "routes.yaml").write_text(WORK.replace("[a]", "[a, b]"))
    (tmp_path / "work.py").write_text(
        "def work(event, context):\n"
        "    if event['detail-type'] == 'b' and 'replay-name' in event: 1 / 0\n"
        "    if event['detail-type'] == 'a': context.emit('b', {})\n"
    )
    evtool("publish", "-", "--type", "a", stdin=b"{}")
    ran = evtool("replay", "--deliver", "--type", "a", "-o", "json")

    assert [(event["type"], event["fires"][0]["action"]) for event in ran.json["events"]] == [
        ("a", "done"),
        ("b", "failed"),
    ]
    assert ran.json["events"][1]["cause"] == {"event": ran.json["events"][0]["id"], "handler": "work"}
    assert (ran.code, ran.json["handlers"]) == (1, {"work": 2})


def test_an_interrupted_replay_reports_what_it_has_done(evtool: Evtool, tmp_path: Path) -> None:
    """The first event was delivered; the handler of the second event ends evtool."""
    (tmp_path / "routes.yaml").write_text(WORK)
    (tmp_path / "work.py").write_text(
        "import os, signal, time\n"
        "def work(event, context):\n"
        "    if 'replay-name' in event and event['detail']['n'] == 2:\n"
        "        os.kill(os.getppid(), signal.SIGTERM)\n"
    )
    for n in (b"1", b"2"):
        evtool("publish", "-", "--type", "a", stdin=b'{"n": ' + n + b"}")
    ran = evtool("replay", "--deliver", "--name", "monday", "-o", "json")

    assert ran.code == 143
    assert ran.json["summary"] == {"events": 1, "effects": 0, "fires": 1}


def test_a_killed_replay_can_continue_at_once(evtool: Evtool, tmp_path: Path) -> None:
    """Recorded answers are settled, and their emitted events are delivered: no handler is called twice."""
    (tmp_path / "routes.yaml").write_text(WORK.replace("[a]", "[a, b]"))
    (tmp_path / "work.py").write_text(
        "import os, signal\n"
        "def work(event, context):\n"
        "    open('calls', 'a').write(event['detail-type'])\n"
        "    if event['detail-type'] == 'a':\n"
        "        context.emit('b', {})\n"
        "        if 'replay-name' in event: os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    evtool("publish", "-", "--type", "a", stdin=b"{}")
    killed = evtool("replay", "--deliver", "--name", "monday", "--type", "a")
    ran = evtool("replay", "--deliver", "--name", "monday", "--type", "a", "-o", "json")

    assert (killed.code, ran.code) == (-9, 0)
    assert [fire["action"] for fire in ran.json["events"][0]["fires"]] == ["done"]
    assert (tmp_path / "calls").read_text() == "abab"


def test_an_unknown_type_in_files_is_noted(evtool: Evtool, shop: Path) -> None:
    """It may be misspelled."""
    arguments = ("replay", "--from", "samples/events/orders.jsonl")
    ran = evtool(*arguments, "--type", "order.creatd", cwd=shop)
    assert ran.code == 0
    expected = "--type order.creatd: no event in the files has this type, so none is selected; did you mean "
    assert expected + '"order.created"?' in ran.err
    assert "no event in the files has this source" in evtool(*arguments, "--source", "none", cwd=shop).err
    assert evtool(*arguments, "--type", "order.created", cwd=shop).err == ""


def test_deliver_shows_what_handlers_printed(evtool: Evtool, tmp_path: Path) -> None:
    """With -v the lines are below the handler; without it they are not shown, and never in JSON."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers:\n"
        "  a: {command: [sh, -c, 'echo packed; echo and sent']}\n  b: {command: [echo, not called], on_replay: skip}\n"
        "routes: {r: {pattern: {source: [s]}, to: [a, b]}}\n"
    )
    event = b'{"id": "1", "source": "s", "detail-type": "t", "detail": {}}'
    evtool("publish", "-", "--no-deliver", stdin=event)
    lines = evtool("replay", "--deliver", "-v").out.splitlines()
    assert [line for line in lines if "|" in line] == ["    | packed", "    | and sent"]
    assert lines.index("    | packed") == next(n for n, line in enumerate(lines) if "a  done" in line) + 1
    assert "packed" not in evtool("replay", "--deliver").out
    assert "packed" not in evtool("replay", "--deliver", "-v", "-o", "json").out
    assert "packed" not in evtool("replay", "-v").out
