"""evtool publish, deliver, events and dlq, as a user calls them."""

import hashlib
import itertools
import json
import os
import re
import select
import signal
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from evtool.store.store import Store
from tests.conftest import ROOT, Evtool

ORDER = "samples/events/order-created.json"


def project(folder: Path, handler: str, routes: str, **files: str) -> None:
    """A project with one Python handler file and the given routes."""
    (folder / "work.py").write_text(handler, encoding="utf-8")
    (folder / "routes.yaml").write_text(f"version: 1\n{routes}", encoding="utf-8")
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


ONE = """
handlers:
  work: {python: "work.py:work"}
routes:
  all: {pattern: {detail-type: [{prefix: ""}]}, to: [work], retry: {max_attempts: 2, first_delay: 1ms, max_delay: 1ms}}
"""


def test_an_order_fires_payment_and_then_email_and_warehouse(evtool: Evtool, shop: Path) -> None:
    """The order is paid, and the event that the payment emits sends the e-mail and writes the pick list."""
    ran = evtool("publish", ORDER, "-o", "json", cwd=shop)

    assert ran.code == 0, ran.err
    order, paid = ran.json["events"]
    assert [d["handler"] for d in order["deliveries"]] == ["charge-card"]
    assert order["deliveries"][0]["emitted"] == [paid["id"]]
    assert (paid["type"], paid["cause"]) == (
        "payment.authorized",
        {"event": order["id"], "handler": "charge-card"},
    )
    assert {d["handler"]: d["state"] for d in paid["deliveries"]} == {"confirmation-email": "done", "warehouse": "done"}
    assert ran.json["summary"] == {
        "events": 2,
        "deliveries": 3,
        "done": 3,
        "waiting": 0,
        "ready": 0,
        "leased": 0,
        "dead": 0,
    }
    assert list((shop / "samples/.data").rglob("*.eml"))
    assert list((shop / "samples/.data").rglob("*.txt"))


def test_the_tree_shows_the_whole_chain(evtool: Evtool, shop: Path) -> None:
    """The e-mail is below the payment that caused it."""
    lines = evtool("publish", "order-created", cwd=shop).out.splitlines()

    words = ("charge-card", "payment.authorized", "warehouse")
    indent = {word: line.index(word) for line in lines for word in words if word in line}
    assert indent["charge-card"] < indent["payment.authorized"] < indent["warehouse"]
    assert lines[-1] == "2 events, 3 deliveries, 3 done"


def test_the_same_event_again_is_already_stored_and_fires_nothing(evtool: Evtool, shop: Path) -> None:
    """Publishing is idempotent by source and id."""
    evtool("publish", ORDER, cwd=shop)
    again = evtool("publish", ORDER, "-o", "json", cwd=shop)

    assert again.code == 0
    assert [(e["status"], e["deliveries"]) for e in again.json["events"]] == [("duplicate", [])]
    assert "already stored" in evtool("publish", ORDER, cwd=shop).out
    states = [e["states"] for e in evtool("events", "-o", "json", cwd=shop).json["events"]]
    assert states == [{"done": 1}, {"done": 2}]


def test_other_content_under_the_same_id_is_a_conflict(evtool: Evtool, shop: Path) -> None:
    """The stored event stays, and the finding shows both hashes."""
    evtool("publish", ORDER, cwd=shop)
    file = shop / ORDER
    before = evtool("events", "-o", "json", cwd=shop).json
    file.write_text(file.read_text().replace("HAVRE DE GRACE", "BALTIMORE"))
    ran = evtool("publish", ORDER, "-o", "json", cwd=shop)

    assert ran.code == 1
    [finding] = ran.json["findings"]
    assert finding["code"] == "EV010"
    assert finding["line"] == 3
    assert finding["message"].count("sha256") == 1
    assert evtool("events", "-o", "json", cwd=shop).json == before


def test_an_invalid_event_is_refused_and_nothing_is_stored(evtool: Evtool, shop: Path) -> None:
    """Exit code 1, the finding on standard error, and an empty log."""
    ran = evtool("publish", "samples/invalid/order-wrong-type.json", cwd=shop)

    assert ran.code == 1
    assert "samples/invalid/order-wrong-type.json:42:21: EV104" in ran.err
    assert evtool("events", cwd=shop).out == "no events\n"
    assert evtool("publish", "samples/invalid/order-wrong-type.json", "--no-validate", cwd=shop).code == 0


def test_one_bad_line_does_not_lose_the_others(evtool: Evtool, shop: Path) -> None:
    """The valid events of a file are published; each invalid one is reported with its line."""
    ran = evtool("publish", "samples/invalid/orders.jsonl", "--no-deliver", "-o", "jsonl", cwd=shop)

    *stored, last = [json.loads(line) for line in ran.out.splitlines()]
    lines = (shop / "samples/invalid/orders.jsonl").read_text(errors="replace").splitlines()
    assert ran.code == 1
    assert len(stored) + len({f["line"] for f in last["findings"]}) == len(lines)
    assert all(event["deliveries"][0]["state"] == "ready" for event in stored)


def test_a_handler_that_cannot_be_loaded_uses_no_attempt(evtool: Evtool, shop: Path) -> None:
    """While the payment module is renamed, the order waits. Afterwards it is delivered in one attempt."""
    module, away = shop / "samples/handlers/payment.py", shop / "samples/handlers/payment_.py"
    module.rename(away)
    ran = evtool("publish", ORDER, "-o", "json", cwd=shop)
    [event] = ran.json["events"]
    [delivery] = event["deliveries"]

    assert ran.code == 1
    assert [finding["code"] for finding in ran.json["findings"]] == ["EV501"]
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 0)
    assert "payment" in delivery["error"]
    assert evtool("deliver", "-o", "json", cwd=shop).json["summary"]["waiting"] == 1

    away.rename(module)
    delivered = evtool("deliver", "-o", "json", cwd=shop)

    assert delivered.code == 0
    assert delivered.json["summary"] == {"deliveries": 3, "done": 3, "waiting": 0, "ready": 0, "leased": 0, "dead": 0}
    [told] = evtool("events", event["id"], "-o", "json", cwd=shop).json["deliveries"]
    assert (told["state"], told["attempts"], len(told["history"])) == ("done", 1, 1)


def test_a_delivery_of_a_removed_route_waits(evtool: Evtool, tmp_path: Path) -> None:
    """The route defines the input of the handler, so that the handler is not called without it."""
    routes = """
handlers:
  work: {python: "work.py:work"}
routes:
  all: {pattern: {detail-type: [x]}, to: [work], input: {path: $.detail.a}}
"""
    project(tmp_path, "def work(event, context):\n    open('got', 'a').write(repr(event))\n", routes)
    evtool("publish", "-", "--type", "x", "--no-deliver", cwd=tmp_path, stdin=b'{"a": "the input"}')
    (tmp_path / "routes.yaml").write_text(f"version: 1\n{routes}".replace("all:", "every:"))
    away = evtool("deliver", "-o", "json", cwd=tmp_path)

    [delivery] = away.json["deliveries"]
    assert (away.code, delivery["state"], delivery["attempts"]) == (0, "waiting", 0)
    assert "there is no route all in routes.yaml" in delivery["error"]
    assert not (tmp_path / "got").exists()

    (tmp_path / "routes.yaml").write_text(f"version: 1\n{routes}")

    assert evtool("deliver", "-o", "json", cwd=tmp_path).json["summary"]["done"] == 1
    assert (tmp_path / "got").read_text() == "'the input'"


def test_a_delivery_waits_while_the_payment_processor_refuses_connections(evtool: Evtool, shop: Path) -> None:
    """`deliver` charges the card when the processor is back."""
    ran = evtool("publish", ORDER, "-o", "json", cwd=shop, env={"SHOP_PROCESSOR": "down"})
    [delivery] = ran.json["events"][0]["deliveries"]

    assert (ran.code, delivery["state"], delivery["attempts"]) == (0, "waiting", 0)
    assert "does not answer" in delivery["error"]
    assert evtool("deliver", "-o", "json", cwd=shop).json["summary"]["done"] == 3


def test_a_failure_is_tried_again_and_then_becomes_a_dead_letter(evtool: Evtool, tmp_path: Path) -> None:
    """Attempts are counted, the last error is kept with its attempts, and a redrive begins with the first attempt."""
    project(tmp_path, "def work(event, context):\n    raise ValueError('no luck')\n", ONE)
    ran = evtool("publish", "-", "--type", "x", "-o", "json", stdin=b'{"a": 1}')
    identity = ran.json["events"][0]["id"]
    evtool("deliver", "--now")

    assert ran.code == 1
    [letter] = evtool("dlq", "show", "-o", "json").json["deliveries"]
    assert (letter["event"], letter["attempts"], letter["condition"]) == (identity, 2, "MaximumRetryAttempts")
    assert [a["error"] for a in letter["history"]] == ["ValueError: no luck (work.py:2)"] * 2
    assert "no luck" in evtool("dlq", "list").out

    (tmp_path / "work.py").write_text("def work(event, context):\n    print('mended')\n")
    assert evtool("dlq", "redrive", "--dry-run", "-o", "json").json["summary"]["deliveries"] == 1
    assert evtool("dlq", "redrive", "-o", "json").json["summary"]["deliveries"] == 1
    assert evtool("dlq", "redrive", "-o", "json").json["summary"]["deliveries"] == 0
    assert evtool("deliver").code == 0
    [done] = evtool("events", identity, "-o", "json").json["deliveries"]
    assert (done["state"], done["attempts"], done["history"][2]["output"]) == ("done", 3, "mended\n")


def test_a_failure_shows_its_reason_and_the_time_of_the_next_attempt(evtool: Evtool, tmp_path: Path) -> None:
    """Within the limits of its route a failed delivery is ready."""
    project(tmp_path, "def work(event, context):\n    raise ValueError('later')\n", ONE.replace("1ms", "1h"))
    ran = evtool("publish", "-", "--type", "x", stdin=b'{"a": 1}')

    assert ran.code == 1
    assert "ready" in ran.out
    assert "ValueError: later (work.py:2); tried again at" in ran.out
    left = evtool("deliver")
    assert left.out == "nothing is due\n"
    assert re.fullmatch(
        r"to be tried again: 1 delivery, the first at 20\S+Z; `evtool deliver --now` does not wait\n", left.err
    )


def test_a_chain_that_is_too_deep_is_stopped_as_a_loop(evtool: Evtool, tmp_path: Path) -> None:
    """An event deeper than 10 below its root is stored, but its deliveries are dead letters."""
    project(tmp_path, "def work(event, context):\n    context.emit('again', {})\n", ONE)
    ran = evtool("publish", "-", "--type", "again", "-o", "json", stdin=b"{}")

    states = [d["state"] for e in ran.json["events"] for d in e["deliveries"]]
    assert ran.code == 1
    assert states == ["done"] * 11 + ["dead"]
    [letter] = evtool("dlq", "list", "-o", "json").json["deliveries"]
    assert letter["condition"] == "Loop"
    assert letter["attempts"] == 0


def test_an_invalid_emitted_event_makes_the_delivery_dead(evtool: Evtool, shop: Path) -> None:
    """Emitted events are checked like published ones, and none of them is stored."""
    (shop / "samples/handlers/payment.py").write_text(
        "def authorize(event, context):\n    context.emit('payment.declined', {'orderId': 5}, source='shop.payments')\n"
    )
    ran = evtool("publish", ORDER, "-o", "json", cwd=shop)

    [event] = ran.json["events"]
    [delivery] = event["deliveries"]
    assert ran.code == 1
    assert (delivery["state"], delivery["condition"]) == ("dead", "NotRetriable")
    assert "emitted payment.declined, which is not valid: EV10" in delivery["error"]


def test_set_changes_fields_and_gives_the_event_a_new_id(evtool: Evtool, shop: Path) -> None:
    """So it does not conflict with the sample."""
    first = evtool("publish", "order-created", "--no-deliver", "-o", "json", cwd=shop).json["events"][0]
    seven = ("--set", "detail.items[0].quantity=7")
    ran = evtool("publish", "order.created", *seven, "--no-deliver", "-o", "json", cwd=shop)
    second = ran.json["events"][0]

    assert (second["status"], second["id"] != first["id"]) == ("stored", True)
    document = evtool("events", second["id"], "-o", "json", cwd=shop).json["event"]
    assert document["detail"]["items"][0]["quantity"] == 7
    refused = evtool("publish", "order-created", "--set", "detail.orderTotal=free", cwd=shop)
    assert (refused.code, "detail.orderTotal should be number" in refused.err) == (1, True)


@pytest.mark.parametrize(
    "assignment", ["detail", "=5", ".=5", "[]=5", "detail.items[9].price=5", "detail.orderTotal.x=5", "detail=5"]
)
def test_a_field_that_cannot_be_set_is_a_usage_error(evtool: Evtool, shop: Path, assignment: str) -> None:
    """Exit code 2 and one line."""
    ran = evtool("publish", "order-created", "--set", assignment, cwd=shop)

    assert ran.code == 2
    assert ran.err.startswith("evtool: --set")
    assert ran.err.count("\n") == 1


def test_a_dry_run_shows_what_would_fire_and_stores_nothing(evtool: Evtool, shop: Path) -> None:
    """It names what would fire and leaves no trace."""
    ran = evtool("publish", ORDER, "--dry-run", "-o", "json", cwd=shop)

    assert [d["handler"] for d in ran.json["events"][0]["deliveries"]] == ["charge-card"]
    assert not (shop / ".evtool").exists()
    assert not (shop / "samples/.data").exists()


def test_with_no_deliver_the_event_waits_for_deliver(evtool: Evtool, shop: Path) -> None:
    """--no-deliver stores; `evtool deliver` then does the rest."""
    ran = evtool("publish", ORDER, "--no-deliver", "-o", "json", cwd=shop)
    delivered = evtool("deliver", "-o", "json", cwd=shop)

    assert ran.json["summary"]["ready"] == 1
    assert {d["handler"] for d in delivered.json["deliveries"]} == {"charge-card", "confirmation-email", "warehouse"}


def test_the_exact_bytes_are_stored_and_only_the_owner_can_read_them(evtool: Evtool, shop: Path) -> None:
    """The log keeps the bytes of the input, and other users of the machine cannot read it."""
    ran = evtool("publish", "samples/events/order-created.cloudevents.json", "--no-deliver", "-o", "json", cwd=shop)
    told = evtool("events", ran.json["events"][0]["id"], "-o", "json", cwd=shop).json
    file = shop / "samples/events/order-created.cloudevents.json"

    assert told["sha256"] == hashlib.sha256(file.read_bytes().strip()).hexdigest()
    assert stat.S_IMODE((shop / ".evtool/store.db").stat().st_mode) == 0o600


def test_output_of_handlers_does_not_mix_with_that_of_evtool(evtool: Evtool, tmp_path: Path) -> None:
    """It is in the history of the delivery, and the JSON stays valid."""
    project(tmp_path, "def work(event, context):\n    print('{\"noise\": 1}')\n", ONE)
    ran = evtool("publish", "-", "--type", "x", "-o", "json", stdin=b"{}")

    event = ran.json["events"][0]["id"]
    assert evtool("events", event, "-o", "json").json["deliveries"][0]["history"][0]["output"] == '{"noise": 1}\n'


def test_control_characters_do_not_reach_the_terminal(evtool: Evtool, tmp_path: Path) -> None:
    """Neither those of events and handlers nor those of file names."""
    handler = "def work(event, context):\n    print('\\x1b]0;x\\x07')\n    raise ValueError('\\x1b[31m')\n"
    project(tmp_path, handler, ONE)
    outputs = [evtool("publish", "-", "--type", "x\x1b[2J\u202e", stdin=b'{"a": "\\u001b[31m"}')]
    identity = evtool("events", "-o", "json").json["events"][0]["id"]
    outputs += [evtool(*words) for words in (["events"], ["events", identity], ["dlq", "show"], ["replay", "-v"])]

    for ran in outputs:
        assert "\x1b" not in ran.out + ran.err
        assert "\u202e" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["publish", "nothing-like-it"], 2, "there is no file and no sample nothing-like-it"),
        (["publish", "order-craeted"], 2, 'did you mean "order-created"?'),
        (["publish", "missing.json"], 2, "missing.json"),
        (["publish", ORDER, "--routes", "none.yaml"], 2, "none.yaml"),
        (["explain", ORDER, "-o", "junit"], 2, "explain has the formats text, json, jsonl"),
        (["publish", ORDER, "--store", "samples"], 4, "this is a folder"),
        (["publish", ORDER, "--store", "routes.yaml"], 4, "this is not a store of evtool"),
        (["events", "no-such-id"], 2, "there is no store"),
        (["dlq", "list"], 2, "there is no store"),
    ],
)
def test_a_usage_error_is_one_line_with_advice(
    evtool: Evtool, shop: Path, arguments: list[str], code: int, said: str
) -> None:
    """The exit code is the documented one, and there is no traceback."""
    ran = evtool(*arguments, cwd=shop)

    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert ran.err.count("\n") <= 2


def test_without_a_project_publish_says_what_is_missing(evtool: Evtool) -> None:
    """Publishing needs a routes.yaml."""
    ran = evtool("publish", "x.json")

    assert (ran.code, "no routes.yaml here" in ran.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_handlers_and_leaves_the_delivery_ready(tmp_path: Path, number: signal.Signals) -> None:
    """The delivery can be attempted again at once."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: [sh, -c, 'echo $$ > pid; exec sleep 60']}}\n"
        "routes: {r: {pattern: {detail-type: [x]}, to: [h]}}\n"
    )
    (tmp_path / "x.json").write_text("{}")
    arguments = [sys.executable, "-m", "evtool", "publish", "x.json", "--type", "x"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    unignored = partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment, preexec_fn=unignored) as process:  # noqa: PLW1509
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert process.poll() is None
        for _ in range(2):  # the first one would let it work on for a while
            process.send_signal(number)
            os.sched_yield()
    handler = int((tmp_path / "pid").read_text())

    assert process.returncode == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(handler, 0)
    with Store(tmp_path / ".evtool/store.db") as store:
        assert [d.state for d in store.list_deliveries(1)] == ["ready"]


def test_emitted_events_have_the_same_limits_as_published_ones(evtool: Evtool, tmp_path: Path) -> None:
    """Too deep or too long: the delivery is dead, and evtool continues."""
    handler = (
        "def work(event, context):\n    deep = {}\n"
        "    for _ in range(event['detail']['depth']):\n        deep = {'a': deep}\n"
        "    context.emit('emitted', {'deep': deep, 'long': 'x' * event['detail']['length']})\n"
    )
    project(tmp_path, handler, ONE.replace('{prefix: ""}', "x"))
    for depth, length, said in (
        (970, 0, "not a valid event"),
        (260, 0, "not a valid event"),
        (1, 2_000_000, "is too long"),
    ):
        text = json.dumps({"depth": depth, "length": length}).encode()
        ran = evtool("publish", "-", "--type", "x", "-o", "json", stdin=text)

        assert ran.code == 1, ran.err
        [delivery] = ran.json["events"][0]["deliveries"]
        assert delivery["state"] == "dead"
        assert said in delivery["error"]


def test_deliver_ends_while_handlers_stay_unavailable(evtool: Evtool, tmp_path: Path) -> None:
    """A waiting delivery is attempted once, even if its route retries at once."""
    project(tmp_path, "", ONE.replace("work.py:work", "gone:work").replace("1ms", "0s"))
    (tmp_path / "many.jsonl").write_text("".join(f'{{"n": {number}}}\n' for number in range(20)))
    evtool("publish", "many.jsonl", "--type", "x", "--no-deliver")

    assert evtool("deliver", "-o", "json").json["summary"] == {
        "deliveries": 20,
        "done": 0,
        "waiting": 20,
        "ready": 0,
        "leased": 0,
        "dead": 0,
    }


def test_deliver_counts_deliveries_not_attempts(evtool: Evtool, tmp_path: Path) -> None:
    """A delivery that fails first and succeeds in the same run counts as done."""
    handler = (
        "import os\ndef work(event, context):\n"
        "    if not os.path.exists('tried'):\n        open('tried', 'w').close()\n"
        "        raise ValueError('once')\n"
    )
    project(tmp_path, handler, ONE.replace("1ms", "0s"))
    evtool("publish", "-", "--type", "x", "--no-deliver", stdin=b"{}")
    ran = evtool("deliver", "-o", "json")

    assert ran.code == 0
    assert (ran.json["summary"]["deliveries"], ran.json["summary"]["done"]) == (1, 1)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59.9999Z", "0001-01-01T00:00:00+23:59", "2026-11-23", "2026-W47-1"])
def test_an_invalid_time_is_refused(evtool: Evtool, tmp_path: Path, time: str) -> None:
    """An event with it could not be listed later."""
    project(tmp_path, "", ONE)
    event = {"id": "1", "source": "s", "detail-type": "x", "time": time, "detail": {}}
    ran = evtool("publish", "-", stdin=json.dumps(event).encode())

    assert (ran.code, "EV108 time is not an RFC 3339 time" in ran.err) == (1, True)


def test_publishing_a_stored_effect_reports_a_duplicate(evtool: Evtool, shop: Path) -> None:
    """It does not disappear in the tree of the event that caused it."""
    evtool("publish", ORDER, cwd=shop)
    effect = evtool("events", "--type", "payment.authorized", "-o", "json", cwd=shop).json["events"][0]["id"]
    document = evtool("events", effect, "-o", "json", cwd=shop).json["event"]
    (shop / "again.json").write_text(json.dumps(document))
    ran = evtool("publish", "cart-abandoned", "again.json", cwd=shop)

    assert "already stored" in ran.out or "EV010" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["publish order-created", "replay", "events --color always"])
def test_a_closed_pipe_has_its_own_exit_code(shop: Path, command: str) -> None:
    """A reader that ends early is not an error, whatever is being drawn."""
    evtool = f'"{sys.executable}" -m evtool'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(f"{evtool} publish order-created", shell=True, cwd=shop, env=environment, capture_output=True)
    script = f"({evtool} {command}; echo $? > code) | true"
    subprocess.run(f"exec 3>&1; {script}", shell=True, cwd=shop, env=environment, capture_output=True)

    assert (shop / "code").read_text().strip() in ("0", "141")


def test_events_of_a_file_are_stored_together_and_reported_one_by_one(evtool: Evtool, tmp_path: Path) -> None:
    """An invalid event does not affect the others. Results have the order of the file."""
    project(tmp_path, "", ONE)
    lines = [json.dumps({"id": str(n // 2), "source": "s", "detail-type": "x", "detail": {}}) for n in range(250)]
    lines[100], lines[200] = "{", json.dumps({"id": "0", "source": "s", "detail-type": "x", "detail": {"other": 1}})
    (tmp_path / "many.jsonl").write_text("\n".join(lines))
    ran = evtool("publish", "many.jsonl", "--no-deliver", "-o", "jsonl")

    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [record["id"] for record in told[:-1]] == [str(n // 2) for n in range(250) if n not in (100, 200)]
    assert [record["status"] for record in told[:4]] == ["stored", "duplicate", "stored", "duplicate"]
    assert (ran.code, told[-1]["summary"]["ready"]) == (1, 125)
    assert [finding["code"] for finding in told[-1]["findings"]] == ["EV002", "EV010"]


def test_each_event_of_a_stream_is_stored_and_reported_at_once(tmp_path: Path) -> None:
    """The id is printed after the commit, while the pipe is still open."""
    project(tmp_path, "", ONE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "evtool", "publish", "-", "--no-deliver", "-o", "jsonl"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for names in (["first"], ["second", "third", "fourth"]):
            events = [{"id": name, "source": "s", "detail-type": "x", "detail": {}} for name in names]
            running.stdin.write(b"".join(json.dumps(event).encode() + b"\n" for event in events))
            for name in names:
                assert select.select([running.stdout], [], [], 30)[0], "nothing is told while the stream is open"
                assert json.loads(running.stdout.readline())["id"] == name
                with Store(tmp_path / ".evtool/store.db") as store:
                    assert store.find_event("s", name) is not None
        running.communicate(timeout=30)


EMITTING = """
def work(event, context):
    if event["detail-type"] == "x":
        context.emit("y", {})
    with open("begun", "w") as fifo:
        fifo.write(event["id"])
    with open("free") as fifo:
        fifo.read()
"""


def telling(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Starts an evtool whose handlers signal their start, and end only when the test lets them."""
    project(folder, EMITTING, ONE)
    os.mkfifo(folder / "begun")
    os.mkfifo(folder / "free")
    return subprocess.Popen(
        [sys.executable, "-m", "evtool", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )


@pytest.mark.slow
def test_a_tree_of_a_stream_is_printed_when_complete_and_the_totals_after_a_signal(tmp_path: Path) -> None:
    """The reader need not wait for the next event."""
    with telling(tmp_path, "publish", "-", "--type", "x") as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for _ in range(2):
            running.stdin.write(b"{}\n")
            running.stdin.flush()
            for _ in range(2):
                (tmp_path / "begun").read_text()
                (tmp_path / "free").write_text("")
            assert select.select([running.stdout], [], [], 30)[0], "nothing is told while the stream is open"
            tree = [running.stdout.readline().decode() for _ in range(4)]
            assert [line.split()[-1] for line in tree[1::2]] == ["all", "all"]
            assert "y " in tree[2]
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=30)

    assert running.returncode == 143
    assert out.decode() == "4 events, 4 deliveries, 4 done\n"
    assert err.decode() == "evtool: ended by SIGTERM\n"


def pending(pid: int) -> bool:
    """Whether a signal was sent to a process and has not reached it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd")))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stored_events_are_reported_when_a_signal_arrives(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """The call in progress ends. `deliver` does the rest: its emitted events, and the other events of the batch."""
    (tmp_path / "many.jsonl").write_text("{}\n" * 3)
    with telling(tmp_path, "publish", "many.jsonl", "--type", "x", "-o", "jsonl=told.jsonl") as running:
        (tmp_path / "begun").read_text()
        running.send_signal(number)
        while pending(running.pid):
            assert running.poll() is None
        (tmp_path / "free").write_text("")
        _, err = running.communicate(timeout=30)
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]

    assert (running.returncode, err.count(b"\n")) == (code, 1)
    assert [(record["type"], record["deliveries"][0]["state"]) for record in told[:-1]] == [
        ("x", "done"),
        ("y", "ready"),
        ("x", "ready"),
        ("x", "ready"),
    ]
    assert told[-1]["summary"] == {
        "events": 4,
        "deliveries": 4,
        "done": 1,
        "waiting": 0,
        "ready": 3,
        "leased": 0,
        "dead": 0,
    }
    with Store(tmp_path / ".evtool/store.db") as store:
        assert store.last_seq() == 4


@pytest.mark.slow
@pytest.mark.parametrize("command", ["publish", "deliver"])
def test_stored_events_are_reported_when_a_second_signal_arrives(tmp_path: Path, command: str) -> None:
    """The call is ended, and its delivery is reported as ready, with an interrupted attempt."""
    (tmp_path / "many.jsonl").write_text("{}\n" * 3)
    words = ["many.jsonl", "--type", "x"]
    if command == "deliver":
        project(tmp_path, EMITTING, ONE)
        arguments = [sys.executable, "-m", "evtool", "publish", *words, "--no-deliver"]
        subprocess.run(arguments, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    arguments = [command, *(words if command == "publish" else []), "-o", "jsonl=told.jsonl"]
    with telling(tmp_path, *arguments) as running:
        (tmp_path / "begun").read_text()
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            while pending(running.pid):
                pass
        running.communicate(timeout=30)
    *records, tail = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]

    assert running.returncode == 130
    deliveries = [each for record in records for each in record["deliveries"]] if command == "publish" else records
    assert (deliveries[0]["state"], deliveries[0]["attempts"]) == ("ready", 1)
    assert tail["summary"].items() >= {"deliveries": len(deliveries), "ready": len(deliveries), "done": 0}.items()
    with Store(tmp_path / ".evtool/store.db") as store:
        assert store.last_seq() == 3


TAKEN = """
import sqlite3

def work(event, context):
    store = sqlite3.connect(".evtool/store.db")
    with store:
        store.execute("UPDATE delivery SET owner = 'another' WHERE state = 'leased'")
    store.close()
"""


@pytest.mark.parametrize("command", ["publish", "deliver"])
def test_a_delivery_held_by_another_evtool_is_counted_and_is_not_a_failure(
    evtool: Evtool, tmp_path: Path, command: str
) -> None:
    """The totals are complete; the other process reports the result."""
    project(tmp_path, TAKEN, ONE)
    words = ["-", "--type", "x"]
    if command == "deliver":
        evtool("publish", *words, "--no-deliver", stdin=b"{}")
    ran = evtool(command, *(words if command == "publish" else []), "-o", "json", stdin=b"{}")

    summary = ran.json["summary"]
    assert (ran.code, summary["deliveries"], summary["leased"]) == (0, 1, 1)
    assert sum(summary[state] for state in ("done", "waiting", "ready", "leased", "dead")) == 1


@pytest.mark.slow
def test_an_ended_watch_does_not_note_remaining_deliveries(tmp_path: Path) -> None:
    """Another process may hold them."""
    with telling(tmp_path, "deliver", "--watch") as running:
        while not (tmp_path / ".evtool/store.db-wal").exists():
            assert running.poll() is None
        select.select([running.stdout], [], [], 0.2)  # until it watches
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=30)

    assert (running.returncode, out) == (143, b"")


PRINTS = """
handlers:
  work: {python: "work.py:work"}
  fails: {command: [sh, -c, "echo looking; echo 'no such shelf' >&2; exit 3"]}
  silent: {command: ["true"]}
routes:
  all: {pattern: {source: [shop]}, to: [work, fails, silent], retry: {max_attempts: 1}}
  other: {pattern: {source: [bank]}, to: [work]}
"""
PRINTING = (
    "def work(event, context):\n    print('charging', event['id'])\n    context.emit('paid', {}, source='bank-2')\n"
)


def test_v_shows_what_handlers_printed(evtool: Evtool, tmp_path: Path) -> None:
    """Below the handler, before its emitted events. Control characters are escaped."""
    project(tmp_path, PRINTING.replace("'charging'", "'\\x1b[2Jcharging'"), PRINTS)
    events = b"".join(b'{"id": "%d", "source": "shop", "detail-type": "t", "detail": {}}\n' % n for n in (1, 2))
    ran = evtool("publish", "-", "-v", stdin=events)

    for number in (1, 2):
        assert f"│   | \\x1b[2Jcharging {number}\n│   └── paid" in ran.out
    assert ran.out.count("fails  dead") == ran.out.count("│   | looking\n│   | no such shelf\n└── silent") == 2
    assert "not taken by" not in ran.out
    assert " | " not in evtool("publish", "-", stdin=events.replace(b'"id": "', b'"id": "x')).out


def test_vv_also_shows_why_other_routes_do_not_match(evtool: Evtool, tmp_path: Path) -> None:
    """Of all routes that do not take an event."""
    project(tmp_path, PRINTING, PRINTS)
    ran = evtool("publish", "-", "-vv", "--type", "t", "--source", "shop", stdin=b"{}")

    assert "| looking" in ran.out
    assert ran.out.count("not taken by") == 2
    assert "other  does not match" in ran.out


def test_json_is_the_same_with_v(evtool: Evtool, tmp_path: Path) -> None:
    """In JSON, `evtool events ID` has the output of handlers."""
    project(tmp_path, PRINTING, PRINTS)
    ran = evtool("publish", "-", "-v", "-o", "json", "--type", "t", "--source", "shop", stdin=b"{}")

    assert "charging" not in ran.out
    shown = evtool("events", ran.json["events"][0]["id"], "-o", "json").json["deliveries"][0]["history"][0]["output"]
    assert shown.startswith("charging")


def test_deliver_shows_what_handlers_printed_with_v(evtool: Evtool, tmp_path: Path) -> None:
    """Below the line of the delivery."""
    project(tmp_path, PRINTING, PRINTS)
    evtool("publish", "-", "--no-deliver", "--type", "t", "--source", "shop", stdin=b"{}")
    lines = evtool("deliver", "-v").out.splitlines()

    after = {line.split("  ")[2]: following for line, following in itertools.pairwise(lines) if "  by all" in line}
    assert after["work"].startswith("  | charging")
    assert after["fails"] == "  | looking"
    assert not after["silent"].startswith("  |")
