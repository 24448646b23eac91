"""Tests of the Markdown report, rendered by a Markdown library and read back."""

import html
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from evtool.reports.formats.markdown import MAX_REPORT
from tests.conftest import Evtool
from tests.support.hostile_text import LONE, NAUGHTY, harmless_to_a_terminal, lines, obeyed
from tests.support.reports import CHANGE, SCENARIO, build_delivery, build_result, write_report

TAGS = {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "strong"}


def render(text: str) -> str:
    """Renders a report as HTML. Raw HTML stays, as on GitHub."""
    rendered: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert set(re.findall(r"</?([a-zA-Z0-9]+)", rendered)) <= TAGS
    return rendered


def read_rows(text: str) -> list[list[str]]:
    """Returns the cells of the rows without the heads, as a reader sees them."""
    rows = re.findall(r"<tr>(.*?)</tr>", render(text), re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)).replace("\u200b", "") for cell in row] for row in cells if row]


def test_validate_shows_counts_and_a_row_for_each_finding(evtool: Evtool, shop: Path) -> None:
    ran = evtool("validate", "samples/invalid/order-three-faults.json", "-o", "markdown", cwd=shop)

    assert ran.code == 1
    assert ran.out.startswith("### evtool validate: 3 errors\n\nevents 1 · valid 0 · invalid 1 · files 1\n")
    assert "samples/invalid/order-three-faults.json:12:22" in ran.out
    assert [row[1] for row in read_rows(ran.out)] == [
        "samples/invalid/order-three-faults.json:12:22",
        "samples/invalid/order-three-faults.json:13:19",
        "samples/invalid/order-three-faults.json:23:23",
    ]


def test_a_run_without_problems_is_reported(evtool: Evtool, shop: Path) -> None:
    """The comment of an earlier run with problems has to be replaced."""
    assert evtool("validate", "-o", "markdown", cwd=shop).out.startswith("### evtool validate: no problems\n")


def test_replay_shows_which_handlers_it_calls(evtool: Evtool, shop: Path) -> None:
    """A plan has a table of handlers."""
    evtool("publish", "order-created", cwd=shop)

    assert ["charge-card", "1"] in read_rows(evtool("replay", "-o", "markdown", cwd=shop).out)


def test_scenarios_coverage_and_changes_are_shown() -> None:
    """A failed scenario has the expected and the actual result; lost deliveries of one cause share a row."""
    coverage = {"routes": {"covered": 1, "all": 2, "missed": []}}
    changes = [CHANGE, {**CHANGE, "event": "2"}]
    text = write_report("markdown", "test", [SCENARIO], changes=changes, coverage=coverage)

    assert "Coverage: routes 1 of 2\n" in text
    assert read_rows(text) == [
        [
            "error",
            "scenarios/orders.yaml:3",
            'failed scenario an order is paid for: handlers.charge-card: expected 1, got 0 (source is "shop")',
        ],
        [
            "warning",
            "routes.yaml:12:7",
            "lost deliveries charge-card by pay-for-order: detail.total is 5, for example order.created 1",
        ],
    ]


@pytest.mark.parametrize("text", [*NAUGHTY, *LONE], ids=lambda text: ascii(text)[:40])
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    """No text becomes HTML, a link, a cell, a mention or a command of a runner."""
    output = write_report("markdown", "publish", [build_result(text, file=text or "e.json"), build_delivery(text)])
    rows = read_rows(output)

    assert [len(row) for row in rows] == [3, 3]
    assert harmless_to_a_terminal(output)
    assert not any(map(obeyed, lines(output)))
    if text.isprintable() and "##" not in text and len(text) < 100 and not text.lstrip().startswith("::"):
        assert rows[0][2] == f"EV104 {text}".rstrip()


@pytest.mark.parametrize(
    "text",
    [
        "a | b", "`code`", "``` fence", "**bold** _it_ ~~no~~", "[x](https://evil.example)", "![x](https://evil.example)",
        "https://evil.example www.evil.example", "<https://evil.example>", "\\| \\` \\", "{0} $x$", "a &lt; b",
    ],
)  # fmt: skip
def test_markup_is_shown_as_it_is(text: str) -> None:
    """Text with the syntax of Markdown appears with this syntax."""
    [row] = read_rows(write_report("markdown", "validate", [build_result(text)]))

    assert row == ["error", "e.json:3:5", f"EV104 {text}"]


def test_users_are_not_mentioned_and_issues_not_linked() -> None:
    """GitHub notifies a user whose name follows an @, also in a comment of a bot."""
    output = write_report("markdown", "validate", [build_result("@octocat #12 a@b.example")])

    assert not re.search(r"[@#]\w", html.unescape(output))


def test_a_long_table_is_cut_at_a_row() -> None:
    """A comment holds 65,536 characters. Errors come first, and the last line counts the other problems."""
    warnings = [build_result("x" * 300, severity="warning")] * 1000
    output = write_report("markdown", "check", [*warnings, build_result("the error")])
    rows = read_rows(output)

    assert len(output) <= MAX_REPORT
    assert rows[0][2] == "EV104 the error"
    assert len(rows) > 100
    assert output.endswith(f"\n{1001 - len(rows):,} more of 1,001 are not shown.\n\n")


def test_the_report_is_appended_to_the_job_summary(evtool: Evtool, shop: Path) -> None:
    """All commands of a step write to one file, which GitHub shows as a whole."""
    summary = shop / "summary.md"
    summary.write_text("# before\n")
    for _ in range(2):
        env = {"GITHUB_STEP_SUMMARY": str(summary)}
        assert evtool("validate", "-o", "text", "-o", f"markdown={summary}", cwd=shop, env=env).code == 0

    assert summary.read_text().startswith("# before\n### evtool validate")
    assert summary.read_text().count("### evtool validate: no problems") == 2
