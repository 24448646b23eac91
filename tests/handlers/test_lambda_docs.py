"""The functions in docs/lambda.md equal those of the tests, in each language, and behave as the page describes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from evtool.handlers.base import Call, Done
from evtool.handlers.registry import KINDS
from tests.conftest import ROOT
from tests.handlers.test_lambda import FUNCTIONS, installed
from tests.support.prerequisites import report_missing
from tests.test_docs import Block, blocks

PAGE = ROOT / "docs/lambda.md"
# the folder of the compiled function, in that of the clients of its language
FOLDERS = {"node": ".", "java": ".", "go": "score", "rust": "score"}


def shown_functions() -> Iterator[tuple[str, Block, Block]]:
    """Each function of the page: its file among those of the tests, its block, and the handlers that name it."""
    page_blocks = blocks(PAGE)
    for number, block in enumerate(page_blocks):
        if "function" in block.marks:
            yield block.marks["function"], block, page_blocks[number + 1]


def test_the_page_shows_the_functions_that_the_tests_run() -> None:
    """Every function of the page is a file of the tests, word for word."""
    shown = {file: block.text for file, block, _ in shown_functions()}
    assert shown == {file: (FUNCTIONS / file).read_text() for file in shown}
    assert {file.partition("/")[0] for file in shown} == set(FOLDERS)


@pytest.mark.slow
@pytest.mark.parametrize("language", FOLDERS)
def test_a_function_of_the_page_runs(language: str, tmp_path: Path) -> None:
    """With the options of the page, the function scores an order."""
    [handlers] = [block.text for file, _, block in shown_functions() if file.startswith(f"{language}/")]
    options: dict[str, Any] = yaml.safe_load(handlers)["handlers"]["fraud-score"]
    options |= {"lambda": str(Path(installed(language), FOLDERS[language])), "timeout": "120s", "init_timeout": "120s"}
    handler = KINDS["lambda"].open("fraud-score", KINDS["lambda"].options.model_validate(options), tmp_path)
    event = {"detail-type": "order.created", "source": "shop.checkout", "detail": {"id": "A1", "total": 1880}}
    try:
        outcome = handler(Call(json.dumps(event).encode(), "e-1", "order.created", "score", 1, 7, "shop.checkout"))
    finally:
        handler.close()
    assert isinstance(outcome, Done), outcome
    if language == "rust":
        assert 'order "A1": high' in outcome.output
    else:
        [emitted] = outcome.emitted
        assert (emitted.type, emitted.source) == ("order.scored", "fraud")
        assert json.loads(emitted.detail) == {"orderId": "A1", "risk": "high"}


@pytest.mark.slow
def test_the_bootstrap_of_the_page_runs(tmp_path: Path) -> None:
    """The shell script of the page handles one event after the other."""
    if not shutil.which("curl"):
        report_missing("curl is missing; install it: apt install curl")
    [script] = [block.text for block in blocks(PAGE) if block.text.startswith("#!/bin/sh")]
    (tmp_path / "bootstrap").write_text(script)
    (tmp_path / "bootstrap").chmod(0o755)
    options = KINDS["lambda"].options.model_validate({"lambda": ".", "timeout": "120s", "init_timeout": "120s"})
    handler = KINDS["lambda"].open("count-items", options, tmp_path)
    try:
        for _ in range(2):
            outcome = handler(Call(b'{"detail": {}}', "e-1", "order.created", "count", 1, 7, "shop.checkout"))
            assert isinstance(outcome, Done), outcome
            assert "got 14 characters" in outcome.output
    finally:
        handler.close()
