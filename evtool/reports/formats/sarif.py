"""The sarif report: SARIF 2.1.0 as GitHub code scanning and other viewers read it, written while the records arrive."""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from evtool import __version__
from evtool.errors import EvtoolError
from evtool.findings.codes import CODES
from evtool.findings.examples import EXAMPLES
from evtool.findings.phrases import shorten
from evtool.reports.base import Subject, dump_json
from evtool.reports.checks import Check, CheckReport, Problem, list_problems
from evtool.reports.formats.line_hash import LineHashes
from evtool.reports.formats.repository import find_repository, to_repository_path
from evtool.routes.project import ROUTES_FILE, find_routes_file
from evtool.terminal.sanitize import sanitize

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# A package URL does not depend on where the project is hosted.
PACKAGE_URI = "pkg:pypi/evtool-workbench"
# Code scanning refuses a file with more results.
MOST_RESULTS = 25_000
# Characters.
MAX_MESSAGE = 8_000
HEAD = f"""{{"$schema": "{SCHEMA_URI}", "version": "2.1.0", "runs": [
{{"columnKind": "unicodeCodePoints", "results": ["""

# The meanings of the rules that are not codes of findings.
MEANINGS = {
    "failed-scenario": "An expectation of a scenario does not hold; the message says what happened instead, and why.",
    "coverage": "The scenarios cover less of the alternatives in patterns than `evtool test --fail-under` demands.",
    "failed-delivery": "A handler failed; the delivery is attempted again.",
    "dead-delivery": "evtool gave a delivery up; `evtool dlq show` has its history, `evtool dlq redrive` repeats it.",
    "lost-deliveries": "The routes deliver less than those that they were compared with.",
    "gained-deliveries": "The routes deliver more than those that they were compared with.",
}


class Sarif(CheckReport):
    """One run. The results come before the rules, since only the rules that results name are written."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        super().__init__(subject.command)
        self._subject, self._file = subject, file
        self._root = find_repository()
        self._default_file = _find_default_file()
        self._hashes = LineHashes()
        # By id, in the order of their index.
        self._rules: dict[str, dict[str, Any]] = {}
        self._results = self._omitted = 0
        file.write(HEAD)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the remaining results, the rules, and a notification if there were too many results."""
        super().end(tail)
        invocation: dict[str, Any] = {"executionSuccessful": True}
        if self._omitted:
            text = f"{self._omitted} more results were left out: code scanning reads {MOST_RESULTS} of a run"
            invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
        driver = {
            "name": "evtool",
            "version": __version__,
            "semanticVersion": __version__,
            "informationUri": PACKAGE_URI,
            "rules": list(self._rules.values()),
        }
        properties = {
            "automationDetails": {"id": f"evtool-{self._subject.command.replace(' ', '-')}/"},
            "invocations": [invocation],
            "tool": {"driver": driver},
        }
        self._file.write("\n]")
        for name, value in properties.items():
            self._file.write(f",\n{dump_json(name)}: {dump_json(value)}")
        self._file.write("\n}]}\n")

    def _take(self, checks: Iterable[Check]) -> None:
        for problem in list_problems(checks):
            if self._results == MOST_RESULTS:
                self._omitted += 1
                continue
            separator = "\n"
            if self._results:
                separator = ",\n"
            self._file.write(separator + dump_json(self._build_result(problem)))
            self._results += 1

    def _build_result(self, problem: Problem) -> dict[str, Any]:
        rule = problem.title.replace(" ", "-")
        if rule not in self._rules:
            self._rules[rule] = _build_rule(rule, problem)
        file, line, column = problem.file or self._default_file, problem.line or 1, problem.column or 1
        region = {
            "startLine": line,
            "startColumn": column,
            "endLine": line,
            "endColumn": column + max(1, problem.width),
        }
        location = {"artifactLocation": self._build_location(file), "region": region}
        result = {
            "ruleId": rule,
            "ruleIndex": list(self._rules).index(rule),
            "level": problem.severity,
            "message": {"text": escape_message(shorten(problem.advice, MAX_MESSAGE))},
            "locations": [{"physicalLocation": location}],
        }
        fingerprint = self._hashes.get(Path(file), line)
        if fingerprint:
            result["partialFingerprints"] = {"primaryLocationLineHash": fingerprint}
        return result

    def _build_location(self, file: str) -> dict[str, str]:
        """Builds the location of a file: relative to the root of the repository, from which code scanning counts."""
        path = to_repository_path(file, self._root)
        if path is None:
            # Unlike Path.resolve(), this does not resolve links.
            return {"uri": "file://" + _encode_path(os.path.abspath(file))}  # noqa: PTH100
        return {"uri": _encode_path(path), "uriBaseId": "%SRCROOT%"}


def _build_rule(rule: str, problem: Problem) -> dict[str, Any]:
    """Builds a rule, which code scanning shows with its results: the meaning of its code, and examples."""
    title = CODES.get(rule, problem.title)
    if rule in CODES:
        text = f"{rule}: {title}. `evtool explain {rule}` shows more."
    else:
        text = MEANINGS.get(rule, title)
    markdown = text
    example = EXAMPLES.get(rule)
    if example:
        text += f"\n\nBad:\n{example.bad}\n\nGood:\n{example.good}"
        markdown += f"\n\nBad:\n\n```\n{example.bad}\n```\n\nGood:\n\n```\n{example.good}\n```\n"
    return {
        "id": rule,
        "name": "".join(word.capitalize() for word in re.findall(r"\w+", title)),
        "shortDescription": {"text": _to_sentence(title)},
        "fullDescription": {"text": MEANINGS.get(rule, f"{_to_sentence(title)} Reported by evtool as {rule}.")},
        "help": {"text": text, "markdown": markdown},
        "helpUri": f"{PACKAGE_URI}#docs/findings.md",
        "defaultConfiguration": {"level": problem.severity},
    }


def _to_sentence(title: str) -> str:
    return title[:1].upper() + title[1:] + "."


def escape_message(text: str) -> str:
    """Escapes a text for a message of SARIF."""
    # In a message `{0}` is a placeholder, and `[text](target)` a link.
    return sanitize(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _encode_path(path: str) -> str:
    return quote(path, safe="/", errors="surrogatepass")


def _find_default_file() -> str:
    # Code scanning requires a location of each result, also of one without a file.
    with suppress(EvtoolError):
        return str(find_routes_file(None) or ROUTES_FILE)
    return ROUTES_FILE
