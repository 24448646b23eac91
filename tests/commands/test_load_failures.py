"""A handler that cannot be loaded is an error finding of each command that meets it; the delivery waits."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

ROUTES = """version: 1
handlers:
  charge-card: {python: "pay.py:charge"}
  printer: {command: [./print.sh]}
  ledger: {python: "ledger.py:book"}
routes:
  all: {pattern: {source: [shop]}, to: [charge-card, printer, ledger]}
"""
PRINTER = {
    "code": "EV501",
    "severity": "error",
    "file": "routes.yaml",
    "line": 4,
    "column": 13,
    "pointer": "/handlers/printer/command",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in which one handler works, one has no program, and the module of one raises an exception."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "pay.py").write_text("def charge(event, context): print('called')")
    (tmp_path / "ledger.py").write_text("def book(event, context): pass\nbooks['all']")
    for number in "12":
        event = {"id": number, "source": "shop", "detail-type": "order.created", "detail": {}}
        (tmp_path / f"{number}.json").write_text(json.dumps(event))
    return tmp_path


def test_publish_reports_a_handler_that_cannot_be_loaded_and_the_delivery_waits(evtool: Evtool, project: Path) -> None:
    """One finding for each handler, located in routes.yaml. No attempt is used, and the other handlers are called."""
    ran = evtool("publish", "1.json", "2.json", "-o", "json")
    printer, ledger = ran.json["findings"]

    assert ran.code == 1
    assert printer.items() >= {**PRINTER, "event_id": "1", "event_type": "order.created", "route": "all"}.items()
    assert ledger["message"].endswith("NameError: name 'books' is not defined (ledger.py:2)")
    deliveries = ran.json["events"][0]["deliveries"]
    assert [(delivery["state"], delivery["attempts"]) for delivery in deliveries] == [
        ("done", 1),
        ("waiting", 0),
        ("waiting", 0),
    ]
    assert "routes.yaml:4:13: EV501 handler printer: " in ran.err


@pytest.mark.parametrize(
    "command",
    [["publish", "2.json"], ["deliver"], ["replay", "1", "--deliver"], ["publish", "2.json", "--dry-run"]],
    ids=" ".join,
)
def test_every_command_reports_a_handler_that_cannot_be_loaded_each_time(
    evtool: Evtool, project: Path, command: list[str]
) -> None:
    """Not only the first command that meets it."""
    evtool("publish", "1.json")
    ran = evtool(*command, "-o", "json")

    assert ran.code == 1
    assert {finding["code"] for finding in ran.json["findings"]} == {"EV501"}
    assert {finding["pointer"] for finding in ran.json["findings"]} == {
        "/handlers/printer/command",
        "/handlers/ledger/python",
    }


def test_a_dry_run_loads_handlers_but_calls_and_stores_nothing(evtool: Evtool, project: Path) -> None:
    """Each handler is loaded once."""
    ran = evtool("publish", "1.json", "2.json", "--dry-run", "-o", "json")

    assert ran.code == 1
    assert len(ran.json["findings"]) == 2
    assert not (project / ".evtool").exists()


def test_a_repaired_handler_gets_the_waiting_deliveries(evtool: Evtool, project: Path) -> None:
    """The next `deliver` attempts them, and reports nothing."""
    evtool("publish", "1.json")
    (project / "ledger.py").write_text("def book(event, context): pass")
    (project / "print.sh").write_text("#!/bin/sh\n")
    (project / "print.sh").chmod(0o755)
    ran = evtool("deliver", "-o", "json")

    assert (ran.code, ran.json["findings"], ran.json["summary"]["done"]) == (0, [], 2)


def test_unreachable_and_removed_handlers_are_not_findings(evtool: Evtool, project: Path) -> None:
    """A refused connection, exit 75, and a handler that was removed from routes.yaml wait, with exit code 0."""
    (project / "ledger.py").write_text("def book(event, context): raise ConnectionRefusedError('ledger is down')")
    (project / "print.sh").write_text("#!/bin/sh\nexit 75\n")
    (project / "print.sh").chmod(0o755)
    published = evtool("publish", "1.json", "-o", "json")
    (project / "routes.yaml").write_text(
        ROUTES.replace("  printer: {command: [./print.sh]}\n", "").replace("printer, ", "")
    )
    delivered = evtool("deliver", "-o", "json")

    assert (published.code, published.json["findings"], published.json["summary"]["waiting"]) == (0, [], 2)
    assert (delivered.code, delivered.json["findings"], delivered.json["summary"]["waiting"]) == (0, [], 2)
    errors = [delivery["error"] for delivery in delivered.json["deliveries"]]
    assert "there is no handler printer in routes.yaml" in errors


def test_text_without_json_ends_with_the_findings_on_standard_error(evtool: Evtool, project: Path) -> None:
    """`deliver` shows the delivery on standard output, and what to do on standard error."""
    evtool("publish", "1.json")
    ran = evtool("deliver")

    assert ran.code == 1
    assert "printer  waiting" in ran.out
    assert "correct this, then run `evtool deliver`" in ran.err
