"""The SDKs of AWS for four languages, inside functions, send events to evtool with one result."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evtool.handlers.base import Call, Done, Emitted, Failed, Handler
from evtool.handlers.registry import KINDS
from tests.handlers.test_lambda import FUNCTIONS, installed

pytestmark = pytest.mark.slow

ENTRY = {"Source": "fraud", "DetailType": "order.scored", "Detail": '{"risk":"low"}'}
ENTRIES = [
    ENTRY,
    {**ENTRY, "Detail": "[]"},
    {**ENTRY, "Source": "aws.s3"},
    {"Source": "fraud", "Detail": "{}"},
    {**ENTRY, "DetailType": "order.held"},
]
CODES = [None, "MalformedDetail", "NotAuthorizedForSourceException", "InvalidArgument", None]


def call(do: str, entries: list[dict[str, str]]) -> Call:
    """An attempt at an event that asks to send entries."""
    return Call(json.dumps({"do": do, "entries": entries}).encode(), "e-1", "order.created", "pay", 1, 7, "shop")


def find_function(sdk: str, folder: Path) -> dict[str, str]:
    """The options of a function that sends events with the SDK for a language."""
    match sdk:
        case "python":
            shutil.copy(FUNCTIONS / "python/put.py", folder)
            return {"lambda": str(folder), "runtime": "python", "interpreter": sys.executable, "handler": "put.handler"}
        case "node":
            return {"lambda": installed("node"), "runtime": "node", "handler": "put.handler"}
        case "go":
            return {"lambda": installed("go"), "runtime": "go"}
    return {"lambda": installed("java"), "runtime": "java", "handler": "Put::handle"}


@pytest.fixture(params=["python", "node", "go", "java"])
def function(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Handler]:
    """A function with the SDK for a language."""
    options = {**find_function(request.param, tmp_path), "timeout": "120s", "init_timeout": "120s"}
    handler = KINDS["lambda"].open("fraud", KINDS["lambda"].options.model_validate(options), tmp_path)
    yield handler
    handler.close()


def read_results(outcome: object) -> list[dict[str, Any]]:
    """The results of the entries that a function has printed."""
    assert isinstance(outcome, Done), outcome
    return json.loads(outcome.output[outcome.output.index("[{") :].splitlines()[0])


def test_entries_are_checked_one_by_one(function: Callable[[Call], object]) -> None:
    """Valid entries are emitted events of the call; the response has AWS's codes for the others."""
    outcome = function(call("put", ENTRIES))
    results = read_results(outcome)
    assert [result.get("ErrorCode") for result in results] == CODES
    assert [bool(result.get("EventId")) for result in results] == [code is None for code in CODES]
    assert isinstance(outcome, Done)
    assert outcome.emitted == (
        Emitted("order.scored", b'{"risk":"low"}', "fraud"),
        Emitted("order.held", b'{"risk":"low"}', "fraud"),
    )


def test_a_refused_request_raises_an_exception(function: Callable[[Call], object]) -> None:
    """The exceptions of the SDK have the names and messages of AWS, or name the supported operations."""
    outcome = function(call("put", [ENTRY] * 11))
    assert isinstance(outcome, Failed), outcome
    assert "Member must have length less than or equal to 10" in outcome.error
    outcome = function(call("list", []))
    assert isinstance(outcome, Failed), outcome
    assert "evtool does not support AWSEvents.ListRules here, only AWSEvents.PutEvents" in outcome.error
