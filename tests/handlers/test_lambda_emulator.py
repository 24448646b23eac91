"""Official clients meet the same contract here as under AWS's own emulator: the same successes, errors and exits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evtool.handlers import aws_lambda
from evtool.handlers.base import Call, Done, Failed
from tests.handlers.test_lambda import FUNCTIONS, PYTHON, installed

EVENTS = ["work", "fail", "exit", "work", "date", "nan", "long log", "work"]

pytestmark = pytest.mark.slow


def ask_emulator(folder: Path, command: list[str]) -> list[dict[str, Any]]:
    """Returns the answer of the emulator to each event."""
    emulator = Path(installed("emulator"), "aws-lambda-rie")
    program = [sys.executable, str(FUNCTIONS / "emulator.py"), str(emulator), json.dumps(command)]
    events = [json.dumps({"do": do}) for do in EVENTS]
    ran = subprocess.run([*program, *events], cwd=folder, capture_output=True, timeout=120)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def ask_evtool(options: dict[str, Any], project: Path) -> list[Done | Failed]:
    """The outcome of each event."""
    handler = aws_lambda.KIND.open("fraud", aws_lambda.KIND.options.model_validate(options), project)
    try:
        outcomes = [handler(Call(json.dumps({"do": do}).encode(), "e", "t", "r", 1)) for do in EVENTS]
    finally:
        handler.close()
    return [outcome for outcome in outcomes if isinstance(outcome, Done | Failed)]


def compare(answers: list[dict[str, Any]], outcomes: list[Done | Failed]) -> None:
    """A success there is a success here; an error has the same type and message; an exit is an exit."""
    assert len(answers) == len(outcomes) == len(EVENTS)
    for do, answer, outcome in zip(EVENTS, answers, outcomes, strict=True):
        error = json.loads(answer["body"]) if answer["body"].startswith("{") else {}
        if answer["status"] == 502 or error.get("errorType") == "Runtime.ExitError":
            assert isinstance(outcome, Failed), do
            assert outcome.outcome == "crashed", do
        elif "errorType" in error:
            assert isinstance(outcome, Failed), do
            assert outcome.code == error["errorType"], do
            assert outcome.error.startswith(f"{error['errorType']}: {error['errorMessage']}"[:400]), do
        else:
            assert isinstance(outcome, Done), do


def test_python_has_the_outcomes_of_the_emulator(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PYTHON, encoding="utf-8")
    answers = ask_emulator(tmp_path, [sys.executable, "-m", "awslambdaric", "app.handler"])
    compare(answers, ask_evtool({"lambda": ".", "runtime": "python", "handler": "app.handler"}, tmp_path))


def test_node_has_the_outcomes_of_the_emulator(tmp_path: Path) -> None:
    folder = Path(installed("node"))
    answers = ask_emulator(folder, ["node", "node_modules/aws-lambda-ric/index.mjs", "app.handler"])
    compare(answers, ask_evtool({"lambda": str(folder), "runtime": "node", "handler": "app.handler"}, tmp_path))


def test_go_has_the_outcomes_of_the_emulator(tmp_path: Path) -> None:
    folder = Path(installed("go"))
    answers = ask_emulator(folder, ["./bootstrap"])
    compare(answers, ask_evtool({"lambda": str(folder), "runtime": "go"}, tmp_path))


def test_java_has_the_outcomes_of_the_emulator(tmp_path: Path) -> None:
    folder = Path(installed("java"))
    client = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
    answers = ask_emulator(folder, ["java", "-XX:+UseSerialGC", "-cp", ".:lib/*", client, "Order::handle"])
    compare(answers, ask_evtool({"lambda": str(folder), "runtime": "java", "handler": "Order::handle"}, tmp_path))
