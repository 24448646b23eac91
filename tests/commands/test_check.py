"""`evtool check` as a user calls it: its findings, --select and --ignore, its baseline and its changes of files."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.conftest import Evtool

ROUTES = """\
version: 1
handlers:
  mail: {command: [cat]}
  sms: {command: [cat]}
routes:
  orders: {pattern: {source: [shop]}, to: [mail]}
  again: {pattern: {source: [shop]}, to: [mail]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A routes.yaml with an unused handler (EV404) and two equal routes (EV401), both warnings."""
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES)
    return file


def list_codes(evtool: Evtool, *arguments: str) -> list[str]:
    """Returns the codes that a run of `evtool check` reports."""
    return [finding["code"] for finding in evtool("check", "-o", "json", *arguments).json["findings"]]


# --- what is reported ------------------------------------------------------------------------------------------------


def test_the_shop_has_no_findings(evtool: Evtool, shop: Path) -> None:
    """The sample project has no errors and no warnings."""
    ran = evtool("check", "--strict", cwd=shop)

    assert (ran.code, ran.out, ran.err) == (0, "checked 5 routes: nothing found\n", "")


def test_a_fraction_for_an_integer_names_the_type(evtool: Evtool, tmp_path: Path) -> None:
    """The bounds allow the fraction; the type excludes it."""
    pattern = {"detail-type": ["made"], "detail": {"quantity": [1.5]}}
    routes = {"orders": {"pattern": pattern, "to": ["mail"]}}
    project = {"version": 1, "schemas": "schemas", "handlers": {"mail": {"command": ["cat"]}}, "routes": routes}
    (tmp_path / "routes.yaml").write_text(json.dumps(project))
    (tmp_path / "schemas").mkdir()
    quantity = {"type": "integer", "minimum": 1, "maximum": 9}
    schema = {"type": "object", "additionalProperties": False, "properties": {"quantity": quantity}}
    (tmp_path / "schemas/made.json").write_text(json.dumps(schema))

    (finding,) = evtool("check", "--select", "EV3", "-o", "json").json["findings"]
    assert finding["code"] == "EV303"
    assert finding["message"].endswith('the schema of made has type "integer", minimum 1, maximum 9')


def test_text_shows_each_finding_with_a_caret_and_a_last_line_with_counts(evtool: Evtool, project: Path) -> None:
    """Each finding is shown with its source line and a caret, and the sum is the last line."""
    ran = evtool("check")

    assert ran.code == 0
    assert ran.out == (
        "routes.yaml:4:3: EV404 warning: no route names the handler sms\n"
        "    4 |   sms: {command: [cat]}\n"
        "      |   ^^^ name it in `to` of a route, or remove it\n"
        "routes.yaml:7:3: EV401 warning: route again has the same pattern and handlers as route orders\n"
        "    7 |   again: {pattern: {source: [shop]}, to: [mail]}\n"
        "      |   ^^^^^ each event is delivered twice: remove one of them\n"
        "2 warnings\n"
    )


def test_json_has_the_common_shape_of_findings_and_counts_by_severity(evtool: Evtool, project: Path) -> None:
    """The findings have the shape that all commands share, and the summary counts them by severity."""
    document = evtool("check", "-o", "json").json

    assert document["summary"] == {"errors": 0, "warnings": 2, "notes": 0, "ignored": 0}
    assert document["findings"][1] == {
        "code": "EV401",
        "severity": "warning",
        "message": "route again has the same pattern and handlers as route orders",
        "file": "routes.yaml",
        "line": 7,
        "column": 3,
        "pointer": "/routes/again",
        "event_id": None,
        "event_type": None,
        "route": "again",
        "suggestion": "each event is delivered twice: remove one of them",
    }


def test_github_and_junit_follow_the_severity(evtool: Evtool, project: Path) -> None:
    """GitHub annotations have the level of the severity; a JUnit report fails for errors only."""
    project.write_text(ROUTES.replace("to: [mail]}\n  again", "to: [mial]}\n  again"))
    ran = evtool("check", "-o", "github", "-o", "junit=report.xml", "-o", "jsonl=report.jsonl")
    lines = [json.loads(line) for line in (project.parent / "report.jsonl").read_text().splitlines()]

    assert "::warning file=routes.yaml,line=4,col=3,title=EV404::" in ran.out
    assert "::error file=routes.yaml,line=6" in ran.out
    assert (project.parent / "report.xml").read_text().count("<failure") == 1
    assert [line.get("code") for line in lines] == ["EV404", "EV403", None]
    assert lines[-1]["summary"]["errors"] == 1


def test_a_junit_report_without_findings_has_one_passed_test(evtool: Evtool, shop: Path) -> None:
    """CI systems may treat a report without a test case as an error."""
    assert 'tests="1" failures="0"' in evtool("check", "-o", "junit", cwd=shop).out


def test_quiet_prints_only_findings(evtool: Evtool, project: Path) -> None:
    """With -q only findings are printed."""
    assert evtool("check", "-q").out.endswith("remove one of them\n")


def test_routes_of_different_files_are_not_compared(evtool: Evtool, project: Path) -> None:
    """Several files are several projects."""
    other = project.with_name("other.yaml")
    other.write_text(ROUTES.replace("  again", "  # again").replace("  sms: {command: [cat]}\n", ""))
    found = evtool("check", "routes.yaml", "other.yaml", "-o", "json").json["findings"]

    assert {finding["file"] for finding in found} == {"routes.yaml"}
    assert evtool("check", "other.yaml").out == "checked 1 route: nothing found\n"


def test_a_folder_next_to_a_template_is_not_read_as_scenarios(evtool: Evtool, tmp_path: Path) -> None:
    """Many programs have a folder `scenarios`."""
    (tmp_path / "template.yaml").write_text(
        "Resources: {R: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [a]}}}}\n"
    )
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/load.yml").write_text("config: {target: http://localhost}\nscenarios: [{flow: []}]\n")
    (tmp_path / "scenarios/load.yaml").write_text("config: {target: http://localhost}\nscenarios: [{flow: []}]\n")

    assert evtool("check", "template.yaml").out == "checked 1 route: nothing found\n"


def test_an_unreadable_file_is_exit_code_2_and_the_others_are_checked(evtool: Evtool, project: Path) -> None:
    """A file that cannot be read in its own format is exit 2; the findings of the others are reported."""
    project.with_name("broken.yaml").write_text("routes: {")
    ran = evtool("check", "broken.yaml", "routes.yaml", "-o", "json")

    assert ran.code == 2
    assert [finding["code"] for finding in ran.json["findings"]] == ["EV020", "EV404", "EV401"]


def test_without_a_project_check_says_what_to_do(evtool: Evtool) -> None:
    """Exit code 2."""
    ran = evtool("check")

    assert ran.code == 2
    assert "no routes.yaml" in ran.err


def test_a_missing_schema_folder_does_not_stop_the_other_checks(evtool: Evtool, project: Path) -> None:
    """A schema folder that is not there does not prevent the other checks."""
    project.write_text(ROUTES.replace("handlers:", "schemas: nowhere\nhandlers:", 1))

    assert list_codes(evtool) == ["EV022", "EV404", "EV401"]


def test_an_unreadable_sample_is_reported_with_the_other_findings(evtool: Evtool, project: Path) -> None:
    """The findings about the other samples are reported, too."""
    project.write_text(ROUTES.replace("handlers:", "samples: samples\nhandlers:", 1))
    folder = project.parent / "samples"
    folder.mkdir()
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text('{"id": 1}')

    assert list_codes(evtool) == ["EV404", "EV401", "EV002", "EV009"]


def test_check_calls_no_handler_and_creates_no_store(evtool: Evtool, project: Path) -> None:
    """No handler is called, and no store is created."""
    project.write_text(ROUTES.replace("[cat]", "[touch, called]"))
    evtool("check")

    assert sorted(path.name for path in project.parent.iterdir()) == ["routes.yaml"]


# --- what is selected and ignored ------------------------------------------------------------------------------------


def test_warnings_fail_only_with_strict(evtool: Evtool, project: Path) -> None:
    """Warnings are exit 0, with --strict exit 1."""
    assert (evtool("check").code, evtool("check", "--strict").code) == (0, 1)


def test_select_and_ignore_take_codes_and_starts_of_codes(evtool: Evtool, project: Path) -> None:
    """Ignored findings are counted."""
    assert list_codes(evtool, "--select", "EV404") == ["EV404"]
    assert list_codes(evtool, "--select", "EV2,EV401") == ["EV401"]
    assert list_codes(evtool, "--select", "EV4", "--ignore", "EV401") == ["EV404"]
    assert evtool("check", "--ignore", "EV4", "-o", "json").json["summary"]["ignored"] == 2


def test_an_unknown_code_suggests_the_most_similar_one(evtool: Evtool, project: Path) -> None:
    """A code that does not exist is a usage error with the nearest one."""
    ran = evtool("check", "--select", "EV411")

    assert ran.code == 2
    assert "there is no code EV411" in ran.err
    assert "did you mean" in ran.err


def test_settings_ignore_codes_and_change_severities(evtool: Evtool, project: Path) -> None:
    """`check` of routes.yaml, also for a single route."""
    project.write_text(ROUTES + "check: {ignore: [EV401:again, EV402], severity: {EV404: error}}\n")
    ran = evtool("check", "-o", "json")

    assert [(f["code"], f["severity"]) for f in ran.json["findings"]] == [("EV404", "error")]
    assert (ran.code, ran.json["summary"]["ignored"]) == (1, 1)


def test_a_finding_ignored_for_one_route_is_reported_for_another(evtool: Evtool, project: Path) -> None:
    """An ignored finding of one route is still reported for other routes."""
    project.write_text(ROUTES + "check: {ignore: [EV401:orders]}\n")

    assert list_codes(evtool) == ["EV404", "EV401"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("{ignor: [EV401]}", "unknown key check.ignor"),
        ("{severity: {EV401: fatal}}", "check.severity.EV401: should be 'error', 'warning' or 'note'"),
        ("{select: [401]}", "check.select.0: should be a string"),
    ],
)
def test_invalid_settings_are_findings_with_their_location(
    evtool: Evtool, project: Path, settings: str, line: str
) -> None:
    """The rest is checked."""
    project.write_text(ROUTES + f"check: {settings}\n")
    ran = evtool("check")

    assert ran.code == 1
    assert line in ran.out
    assert "EV404" in ran.out


def test_select_does_not_report_comments_for_other_codes_as_useless(evtool: Evtool, project: Path) -> None:
    """A comment for a code that was not selected is not reported as useless."""
    project.write_text(ROUTES.replace("  sms:", "  # evtool: ignore[EV404] it comes back\n  sms:"))

    assert list_codes(evtool, "--select", "EV401,EV9") == ["EV401"]
    assert list_codes(evtool) == ["EV401"]


def test_add_ignores_writes_comments_and_leaves_no_finding(evtool: Evtool, project: Path) -> None:
    """Each comment has the indentation of its line, and the YAML keeps its meaning."""
    ran = evtool("check", "--add-ignores")
    lines = project.read_text().splitlines()

    assert ran.code == 0
    assert "added ignore comments to routes.yaml" in ran.err
    assert lines[3].startswith("  # evtool: ignore[EV404] ")
    assert lines[7].startswith("  # evtool: ignore[EV401] ")
    assert [line for line in lines if "evtool:" not in line] == ROUTES.splitlines()
    assert evtool("check", "--strict").out == "checked 2 routes: nothing found, 2 ignored\n"


def test_add_ignores_does_not_write_into_a_string(evtool: Evtool, project: Path) -> None:
    """No comment is added where it would become a part of a string."""
    text = ROUTES.replace(
        "{pattern: {source: [shop]}, to: [mail]}\n", "\n    pattern: |\n      {}\n    to: [mail]\n", 1
    )
    project.write_text(text)
    ran = evtool("check", "--select", "EV2", "--add-ignores")

    assert project.read_text() == text
    assert "1 of 1 finding cannot have a comment" in ran.err


def test_add_ignores_does_not_write_into_a_heredoc(evtool: Evtool, project: Path) -> None:
    """In Terraform a comment is added above a line."""
    text = """\
resource "aws_cloudwatch_event_rule" "a" {
  event_pattern = <<JSON
{
  "Source": ["shop"]
}
JSON
}
resource "aws_cloudwatch_event_rule" "b" {
  event_pattern = jsonencode({
    Source = ["shop"]
  })
}
"""
    (project.parent / "main.tf").write_text(text)
    ran = evtool("check", "main.tf", "--add-ignores")

    changed = (project.parent / "main.tf").read_text().splitlines()
    assert [line for line in changed if "evtool:" not in line] == text.splitlines()
    assert [number for number, line in enumerate(changed, 1) if "evtool: ignore[EV306]" in line] == [10]
    assert "1 of 2 findings cannot have a comment; use `check: {ignore: [CODE:ROUTE]}`" in ran.err


# --- baseline --------------------------------------------------------------------------------------------------------


def test_findings_of_the_baseline_are_omitted_also_on_other_lines(evtool: Evtool, project: Path) -> None:
    """A new finding is reported."""
    written = evtool("check", "--baseline", "known.json", "--write-baseline")
    project.write_text("# moved\n" + ROUTES.replace("  sms", "  # moved\n  sms"))
    same = evtool("check", "--strict", "--baseline", "known.json")
    project.write_text(ROUTES.replace("  sms:", "  sms: {command: [cat]}\n  fax:"))

    assert written.out == "checked 2 routes: nothing found, 2 ignored\n"
    assert (same.code, same.out) == (0, "checked 2 routes: nothing found, 2 ignored\n")
    assert list_codes(evtool, "--baseline", "known.json") == ["EV404"]


def test_a_baseline_works_from_any_current_folder(evtool: Evtool, project: Path) -> None:
    """It does not matter in which folder evtool is started."""
    evtool("check", "--baseline", "known.json", "--write-baseline")
    folder = project.parent / "deep"
    folder.mkdir()

    assert (
        evtool("check", "--baseline", "../known.json", cwd=folder).out == "checked 2 routes: nothing found, 2 ignored\n"
    )


def test_outdated_baseline_entries_are_counted(evtool: Evtool, project: Path) -> None:
    """The note says how to write the file again."""
    evtool("check", "--baseline", "known.json", "--write-baseline")
    project.write_text(ROUTES.replace("  sms: {command: [cat]}\n", ""))

    assert "1 finding of known.json no longer found" in evtool("check", "--baseline", "known.json").err
    assert not evtool("check", "--baseline", "known.json", "--select", "EV5").err  # what is not selected says nothing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write-baseline"], "--write-baseline needs --baseline FILE"),
        (["--baseline", "missing.json"], "--baseline missing.json: No such file"),
        (["--baseline", "routes.yaml"], "it is not well-formed JSON"),
        (["--baseline", "other.json"], "it is not a file that --write-baseline wrote"),
    ],
)
def test_a_missing_or_invalid_baseline_is_a_usage_error(
    evtool: Evtool, project: Path, arguments: list[str], message: str
) -> None:
    """A baseline that is missing or something else is a usage error."""
    (project.parent / "other.json").write_text("[]")
    ran = evtool("check", *arguments)

    assert ran.code == 2
    assert message in ran.err


# --- fixes -----------------------------------------------------------------------------------------------------------

BROKEN = """\
# orders of the shop
version: 1
samle: events   # a comment
handlers:
  'charge-card': {command: [cat]}
routes:
  a: {pattern: {source: shop,   detail-type: "order.created"}, to: [charge-crad]}
  b:
    pattern:
      account: [0123]
      source: [{"prefx": shop.}]
      detail: {total: [{numeric: [">", "5"]}]}
    to: ["charge-card"]
    retry: {max_atempts: 3}
  c: {pattern: {source: [web]}, to: charge-card}
"""
FIXED = """\
# orders of the shop
version: 1
samples: events   # a comment
handlers:
  'charge-card': {command: [cat]}
routes:
  a: {pattern: {source: [shop],   detail-type: ["order.created"]}, to: [charge-card]}
  b:
    pattern:
      account: ["0123"]
      source: [{"prefix": shop.}]
      detail: {total: [{numeric: [">", 5]}]}
    to: ["charge-card"]
    retry: {max_attempts: 3}
  c: {pattern: {source: [web]}, to: [charge-card]}
"""


def test_fix_corrects_names_quotes_and_lists_and_keeps_the_layout(evtool: Evtool, project: Path) -> None:
    """The remaining findings are reported."""
    project.write_text(BROKEN)
    ran = evtool("check", "--fix", "-o", "json")

    assert project.read_text() == FIXED
    assert ran.err == "fixed 9 findings in routes.yaml\n"
    assert [finding["code"] for finding in ran.json["findings"]] == ["EV001"]  # samples: there is no folder `events`


def test_fix_keeps_line_ends_and_permissions(evtool: Evtool, project: Path) -> None:
    """Windows line ends, a byte order mark and the permissions of the file stay."""
    text = "\ufeff" + ROUTES.replace("again: {pattern: {source: [shop]}", "again: {pattern: {source: shop}")
    project.write_bytes(text.replace("\n", "\r\n").encode())
    project.chmod(0o640)
    evtool("check", "--fix")

    assert project.read_bytes() == ("\ufeff" + ROUTES).replace("\n", "\r\n").encode()
    assert project.stat().st_mode & 0o777 == 0o640


def test_fix_corrects_a_pattern_that_is_json_text(evtool: Evtool, project: Path) -> None:
    """The correction is made inside the string."""
    text = ROUTES.replace(
        "{pattern: {source: [shop]}, to: [mail]}\n",
        """
    pattern: |
      {"source": "shop",
       "detail": {"a": [{"prefx": "x"}]}}
    to: [mail]
""",
        1,
    )
    project.write_text(text)
    evtool("check", "--fix")

    assert project.read_text() == text.replace('"shop"', '["shop"]').replace("prefx", "prefix")


def test_fix_adds_and_removes_quotes(evtool: Evtool, project: Path) -> None:
    """Values that an operator accepts stay unchanged."""
    schema = {"properties": {"total": {"type": "number"}, "paid": {"type": "boolean"}, "id": {"type": "string"}}}
    (project.parent / "schemas").mkdir()
    (project.parent / "schemas/made.json").write_text(json.dumps(schema))
    detail = '{total: [TOTAL, {prefix: "3"}], paid: [PAID], id: [ID]}'
    pattern = f"{{detail-type: [made], account: [ACCOUNT], detail: {detail}}}"
    text = ROUTES.replace("{source: [shop]}", pattern, 1).replace("version: 1", "version: 1\nschemas: schemas")

    def fill(account: str, total: str, paid: str, identity: str) -> str:
        values = {"ACCOUNT": account, "TOTAL": total, "PAID": paid, "ID": identity}
        return re.sub("|".join(values), lambda match: values[match[0]], text)

    project.write_text(fill("123456789012", '"300"', '"true"', "5"))
    evtool("check", "--fix")

    assert project.read_text() == fill('"123456789012"', "300", "true", '"5"')


def test_fix_corrects_names_in_terraform(evtool: Evtool, project: Path) -> None:
    """Names before an equals sign are corrected, too."""
    text = 'resource "aws_cloudwatch_event_rule" "a" {\n  event_pattern = jsonencode({ detailType = ["a"] })\n}\n'
    (project.parent / "main.tf").write_text(text)
    evtool("check", "main.tf", "--fix")

    assert (project.parent / "main.tf").read_text() == text.replace("detailType", "detail-type")


@pytest.mark.parametrize(
    "route",
    [
        "{pattern: {source: my shop}, to: [mail]}",
        "{pattern: {source: {prefix: shop}}, to: [mail]}",
        "{pattern: {source: [shop]}, to: [fax]}",
        "{pattern: {source: [{matches: shop}]}, to: [mail]}",
        "{pattern: {source: &a [shop]}, to: [mail]}",
    ],
)
def test_fix_leaves_uncertain_and_longer_changes_alone(evtool: Evtool, project: Path, route: str) -> None:
    """A correction of more than one token is never made."""
    text = ROUTES.replace("{pattern: {source: [shop]}, to: [mail]}", route, 1)
    project.write_text(text)
    ran = evtool("check", "--fix")

    assert project.read_text() == text
    assert ran.code in (1, 2)


def test_fix_restores_files_if_a_correction_causes_other_errors(evtool: Evtool, project: Path) -> None:
    """If a correction causes other errors, the file is as before."""
    text = ROUTES.replace("handlers:", "sample: here\nsamples: samples\nhandlers:", 1)
    project.write_text(text)
    ran = evtool("check", "--fix")

    assert project.read_text() == text
    assert "nothing was fixed" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_fix_of_a_file_that_cannot_be_written_is_a_usage_error(evtool: Evtool, project: Path) -> None:
    """A folder without permission is a usage error that names the file."""
    project.write_text(BROKEN)
    project.parent.chmod(0o500)
    ran = evtool("check", "--fix", cwd=Path("/"), env={"EVTOOL_ROUTES": str(project)})
    project.parent.chmod(0o700)

    assert ran.code == 2
    assert "cannot write" in ran.err
