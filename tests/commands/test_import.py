"""`evtool import` writes the rules of a rule source into a routes.yaml that other commands can use."""

import json
from pathlib import Path

import pytest

from evtool import Routes
from tests.conftest import ROOT, Evtool

CASES = ROOT / "tests/cases/interchange"
RULES = {"Rules": [{"Name": "paid", "EventPattern": '{"source": ["shop"]}', "EventBusName": "orders"}]}
TARGETS = {
    "Targets": [
        {"Id": "q", "Arn": "arn:aws:sqs:eu-west-1:123456789012:orders", "InputPath": "$.detail"},
    ]
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The output of `aws events list-rules`."""
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    return tmp_path


@pytest.mark.parametrize(
    "case",
    ["cloudformation/sam.yaml", "cloudformation/short-tags.yaml", "terraform/rules.tf", "serverless/serverless.yml"],
)
def test_the_imported_file_can_be_loaded(evtool: Evtool, tmp_path: Path, case: str) -> None:
    """Every rule is a route. Those with an unknown condition are disabled, and a finding reports them."""
    ran = evtool("import", CASES / case, "-o", "json")
    routes = Routes.load(tmp_path / "routes.yaml")

    assert ran.code == 0
    assert [route["name"] for route in ran.json["routes"]] == list(routes.routes)
    disabled = {finding["route"] for finding in ran.json["findings"] if "as disabled" in finding["message"]}
    assert disabled <= {name for name, route in routes.routes.items() if not route.enabled}
    assert not routes.has_unknown_values


def test_a_rule_with_an_unknown_condition_is_disabled(evtool: Evtool, tmp_path: Path) -> None:
    """The finding has the location in the template, and says what to do."""
    ran = evtool("import", CASES / "cloudformation/known-parts.yaml")

    assert ran.code == 0
    assert "known-parts.yaml:3:3: EV024 warning: the route Sub is imported as disabled" in ran.err
    assert "Sub  disabled  to Charge" in ran.out
    assert not Routes.load(tmp_path / "routes.yaml").routes["Sub"].enabled


def test_different_inputs_of_targets_are_a_finding(evtool: Evtool, tmp_path: Path) -> None:
    """A route has one input and one retry policy for all its handlers."""
    targets = [
        {"Id": "a", "Arn": "arn:aws:sqs:eu-west-1:111122223333:a", "Input": '{"a":1}'},
        {"Id": "b", "Arn": "arn:aws:sqs:eu-west-1:111122223333:b", "RetryPolicy": {"MaximumRetryAttempts": 3}},
    ]
    rule = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["x"]}, "Targets": targets}}
    (tmp_path / "template.json").write_text(json.dumps({"Resources": {"Orders": rule}}))

    ran = evtool("import", "template.json")

    assert ran.code == 0
    assert "EV023 warning: the targets of Orders have different inputs" in ran.err
    assert "EV023 warning: the targets of Orders have different retry policies" in ran.err


def test_an_existing_file_is_refused(evtool: Evtool, rules: Path) -> None:
    """It stays unchanged, and the message names the options."""
    (rules / "routes.yaml").write_text("mine")
    ran = evtool("import", "rules.json")

    assert ran.code == 2
    assert "routes.yaml exists already: --merge adds to it, --to FILE writes another file" in ran.err
    assert (rules / "routes.yaml").read_text() == "mine"


def test_targets_come_from_files(evtool: Evtool, rules: Path) -> None:
    """The output of list-targets-by-rule gives a rule its targets, and its input."""
    (rules / "targets.json").write_text(json.dumps(TARGETS))
    ran = evtool("import", "rules.json", "--targets", "paid=targets.json", "--to", "out.yaml")
    route = Routes.load(rules / "out.yaml").routes["paid"]

    assert ran.code == 0
    assert route.to == ("q",)
    assert route.event_bus == "orders"
    assert route.input is not None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("paid", "write RULE=FILE"),
        ("piad=t.json", 'there is no rule piad; did you mean "paid"?'),
        ("paid=no.json", "cannot read no.json"),
        ("paid=rules.json", "has no Targets"),
    ],
)
def test_mistakes_in_targets_are_exit_code_2(evtool: Evtool, rules: Path, entry: str, message: str) -> None:
    """No file is written."""
    ran = evtool("import", "rules.json", "--targets", entry)

    assert ran.code == 2
    assert message in ran.err
    assert not (rules / "routes.yaml").exists()


def test_a_rule_without_targets_gets_a_placeholder(evtool: Evtool, rules: Path) -> None:
    """`export` leaves the placeholder out."""
    evtool("import", "rules.json")
    ran = evtool("export", "-o", "eventbridge")

    assert Routes.load(rules / "routes.yaml").routes["paid"].to == ("no-target",)
    assert ran.json["Rules"][0]["Targets"] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\n# mine\nhandlers:\n    a: {command: [cat]}  # kept\n\n"
        "routes:\n    x: {pattern: {source: [y]}, to: [a]}\n",
        "version: 1\nroutes: {}\nhandlers:\n  a: {command: [cat]}  # kept\n# mine\nsamples: .\n",
        "# mine\nversion: 1\nhandlers: {}  # kept",
    ],
)
def test_merge_adds_entries_and_keeps_all_lines(evtool: Evtool, rules: Path, text: str) -> None:
    """Comments stay, too. A second merge changes nothing."""
    file = rules / "routes.yaml"
    file.write_text(text)
    first = evtool("import", "rules.json", "--merge")
    merged = file.read_text()
    second = evtool("import", "rules.json", "--merge")

    assert (first.code, second.code) == (0, 0)
    assert "paid" in Routes.load(file).routes
    assert "# mine" in merged
    assert "# kept" in merged
    assert file.read_text() == merged
    assert "1 there already" in second.out


def test_merge_reports_another_route_of_the_same_name(evtool: Evtool, rules: Path) -> None:
    """The route of the file stays, and the exit code is 1."""
    file = rules / "routes.yaml"
    file.write_text(
        "version: 1\nhandlers:\n  a: {command: [cat]}\nroutes:\n  paid: {pattern: {source: [y]}, to: [a]}\n"
    )
    before = file.read_text()
    ran = evtool("import", "rules.json", "--merge")

    assert ran.code == 1
    assert "has another route paid, which was not changed" in ran.err
    assert file.read_text() == before


def test_merge_refuses_routes_on_one_line(evtool: Evtool, rules: Path) -> None:
    """They would have to be rewritten."""
    text = "{version: 1, handlers: {a: {command: [cat]}}, routes: {x: {pattern: {source: [y]}, to: [a]}}}\n"
    (rules / "routes.yaml").write_text(text)
    ran = evtool("import", "rules.json", "--merge")

    assert ran.code == 2
    assert "nothing can be added" in ran.err
    assert (rules / "routes.yaml").read_text() == text


def test_terraform_beside_a_routes_file_is_imported(evtool: Evtool, tmp_path: Path) -> None:
    """A folder may have the routes.yaml of an earlier import; `$${x}` is a string without a warning."""
    rule = 'resource "aws_cloudwatch_event_rule" "r" {\n  event_pattern = jsonencode({ source = ["$${x}"] })\n}\n'
    (tmp_path / "main.tf").write_text(rule)
    first = evtool("import", ".")
    (tmp_path / "more.tf").write_text(rule.replace('"r"', '"second"'))
    again = evtool("import", ".", "--merge")

    assert (first.code, first.err) == (0, "")
    assert (again.code, again.err) == (0, "")
    assert "1 route imported into routes.yaml, 1 there already" in again.out


def test_conflict_in_a_folder_names_the_folder(evtool: Evtool, tmp_path: Path) -> None:
    """Two files of Terraform with the same rule are reported as a problem of their folder."""
    (tmp_path / "infra").mkdir()
    for name in ("a.tf", "b.tf"):
        rule = (
            f'resource "aws_cloudwatch_event_rule" "r" {{\n  event_pattern = "{{\\"source\\": [\\"{name}\\"]}}"\n}}\n'
        )
        (tmp_path / "infra" / name).write_text(rule)
    ran = evtool("import", "infra")

    assert ran.code == 2
    assert "infra/b.tf:1:1: EV022 the route r is in infra/a.tf, too" in ran.err
    assert "the folder infra cannot be used" in ran.err


def test_a_routes_file_is_refused_as_a_source(evtool: Evtool, shop: Path) -> None:
    """It has routes already."""
    ran = evtool("import", "routes.yaml", "--to", "other.yaml", cwd=shop)

    assert ran.code == 2
    assert "routes.yaml is a routes.yaml already" in ran.err
