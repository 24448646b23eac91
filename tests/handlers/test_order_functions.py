"""The order function of samples/functions gives the same result in Python, JavaScript, Go and shell."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evtool.handlers.base import Call, Done, Failed, Handler, Outcome
from evtool.routes.routes import Routes
from tests.conftest import ROOT, Evtool
from tests.support.prerequisites import report_missing

FUNCTIONS = ROOT / "samples/functions"
LANGUAGES = ("python", "node", "go", "shell")
ORDER = json.loads((ROOT / "samples/events/order-created.json").read_text())["detail"]
SUMMARY = {
    "orderId": "314919ab8aed637123f804eb",
    "pieces": 4,
    "totalCents": 18840,
    "label": "John Smith, 1250 main street, HAVRE DE GRACE, MD 21078-3213, US",
}


def change_order(street: str, *items: tuple[float, int]) -> dict[str, Any]:
    """The order with another street and other items: price and quantity."""
    to = {"address": {**ORDER["shipTo"][0]["address"], "street1": street}}
    return {**ORDER, "shipTo": [to], "items": [{"price": price, "quantity": quantity} for price, quantity in items]}


# a street and items that are easily written or rounded in different ways -> total in cents
STREETS = {
    'Plac "Trzech Krzyży" 5\\7': ([(0.07, 1), (1.15, 3)], 352),
    "<b>Straße</b> & Söhne $HOME 'x' `y` %s": ([(19.99, 100)], 199900),
    "東京 😀": ([(0, 1), (4.35, 2), (99999.99, 1)], 10000869),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the functions, with the packages that `make functions` or `make clients` installed."""
    skipped = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in ("events", "schemas"):
        shutil.copytree(ROOT / "samples" / name, tmp_path / name)
    shutil.copytree(FUNCTIONS, tmp_path / "functions", ignore=skipped)
    return tmp_path / "functions"


def require(language: str, folder: Path) -> None:
    """Skips the test of a language whose tools are missing, or fails it in CI."""
    if language == "node":
        packages = [FUNCTIONS / "order/node/node_modules", ROOT / ".clients/node/node_modules"]
        found = next((path for path in packages if (path / "@aws-sdk/client-eventbridge").is_dir()), None)
        if not (found and shutil.which("node")):
            report_missing("the packages for Node.js are missing; install them: make functions")
        (folder / "order/node/node_modules").symlink_to(found)
    if language == "go" and not (folder / "order/go/bootstrap").exists():
        report_missing("the bootstrap of Go is missing; build it: make functions")
    if language == "shell" and not (shutil.which("curl") and shutil.which("jq")):
        report_missing("curl or jq is missing; install them: apt install curl jq")


def call(handler: Handler, detail: dict[str, Any]) -> Outcome:
    """The outcome of the function for an order."""
    return handler(Call(json.dumps({"detail": detail}).encode(), "e-1", "order.created", "all", 1, 7, "shop"))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sample_order_has_its_summary(evtool: Evtool, folder: Path, language: str) -> None:
    """`evtool handlers run` shows the summary as an emitted event, which fits its schema."""
    require(language, folder)
    ran = evtool("handlers", "run", f"order-{language}", "order-created", "-o", "json", cwd=folder)

    assert (ran.code, ran.json["outcome"]) == (0, "done"), ran.out
    [event] = ran.json["emitted"]
    assert (event["source"], event["detail-type"], event["detail"]) == ("shop.orders", "order.summarized", SUMMARY)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_odd_orders_have_the_same_summary_in_each_language(folder: Path, language: str) -> None:
    """Odd characters and prices have the same result, all in one process. An empty order is an error."""
    require(language, folder)
    with closing(Routes.load(folder / "routes.yaml").handlers[f"order-{language}"].open()) as function:
        for street, (items, total) in STREETS.items():
            outcome = call(function, change_order(street, *items))
            assert isinstance(outcome, Done), outcome
            detail = json.loads(outcome.emitted[0].detail)
            assert (detail["label"].split(", HAVRE")[0], detail["totalCents"]) == (f"John Smith, {street}", total)
        empty = call(function, change_order("x"))

    assert isinstance(empty, Failed)
    assert empty.outcome == "failed"
    assert "order 314919ab8aed637123f804eb has no items" in empty.error
