"""The commands explain, publish, replay, validate and events with rules of templates."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evtool import Routes
from evtool.patterns.unknown import Unknown
from evtool.routes.project import require_project
from tests.conftest import ROOT, Evtool
from tests.interchange.test_rule_sources import CASES

ORDER = ROOT / "samples/events/order-created.json"
SCHEMAS = ROOT / "samples/schemas"
TEMPLATE = """
Resources:
  Created:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {detail-type: [order.created], source: [shop.checkout]}
      Targets: [{Arn: !GetAtt Charge.Arn, Id: charge}, {Arn: !Ref Queue, Id: queue}]
  Open:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {detail-type: [order.created], source: [!Ref Source]}
      Targets: [{Arn: !Ref Queue, Id: queue}]
  Off:
    Type: AWS::Events::Rule
    Properties: {State: DISABLED, EventPattern: {source: [shop.checkout]}, Targets: [{Arn: !Ref Queue, Id: queue}]}
  Charge: {Type: AWS::Lambda::Function}
  Queue: {Type: AWS::SQS::Queue}
"""
ROUTES = """
version: 1
rules: [template.yaml]
handlers:
  Charge: {command: [cat]}
routes:
  own: {pattern: {source: [shop.checkout]}, to: [Charge]}
"""
DEEP = f'resource "a" "b" {{\n  c = {"[" * 3000}{"]" * 3000}\n}}\n'


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template with a rule that matches, one that is undecided, and one that is disabled."""
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    return file


@pytest.mark.parametrize(
    ("case", "matching"),
    [
        ("cloudformation/text-patterns.yaml", {"Folded", "Quoted", "SubWithoutVariable"}),
        ("cloudformation/cdk.template.json", set()),
        ("terraform/targets.tf", {"orders"}),
        ("terraform/main.tf.json", set()),
        ("terraform-plan/state-file.json", set()),
        ("serverless/lists.yml", {"charge-rule-1"}),
        ("serverless/serverless.json", {"charge-rule-1"}),
        ("eventbridge/rules.yaml", {"paid"}),
    ],
)
def test_explain_and_publish_agree_about_every_form(
    evtool: Evtool, tmp_path: Path, case: str, matching: set[str]
) -> None:
    """The routes that explain shows as matching are those by which a dry run delivers, to external handlers."""
    file = CASES / case
    explained = evtool("explain", ORDER, "--routes", file, "-o", "json")
    published = evtool("publish", ORDER, "--dry-run", "--routes", file, "--schemas", SCHEMAS, "-o", "json")
    deliveries = published.json["events"][0]["deliveries"]

    assert {route["route"] for route in explained.json["routes"] if route["matches"] is True} == matching
    assert {delivery["route"] for delivery in deliveries} <= matching
    assert {delivery["state"] for delivery in deliveries} <= {"external"}
    assert (explained.code, published.code) == (0 if matching else 1, 0)


def test_a_condition_with_an_intrinsic_function_is_undecided(evtool: Evtool, template: Path) -> None:
    """In JSON it is null, like its route, which delivers nothing."""
    explained = evtool("explain", ORDER, "--routes", template, "-o", "json")
    routes = {route["route"]: route for route in explained.json["routes"]}
    source = next(entry for entry in routes["Open"]["conditions"] if entry["path"] == "source")
    published = evtool("publish", ORDER, "--routes", template, "--schemas", SCHEMAS, "-o", "json")

    assert (routes["Created"]["matches"], routes["Open"]["matches"], source["ok"]) == (True, None, None)
    assert [delivery["route"] for delivery in published.json["events"][0]["deliveries"]] == ["Created", "Created"]


def test_publish_stores_the_event_and_no_delivery_to_targets(evtool: Evtool, template: Path, tmp_path: Path) -> None:
    """The store is in the current folder; targets are shown as external, and nothing waits for them."""
    published = evtool("publish", ORDER, "--routes", template, "--schemas", SCHEMAS)
    listed = evtool("events", "--routes", template, "-o", "json")
    due = evtool("deliver", "--routes", template)

    assert published.code == 0
    assert "Charge  external  by Created" in published.out
    assert listed.json["events"][0]["states"] == {}
    assert (tmp_path / ".evtool/store.db").exists()
    assert (due.code, due.out) == (0, "nothing is due\n")


def test_replay_plans_with_a_template(evtool: Evtool, template: Path) -> None:
    """A plan names the targets of the rules that match now."""
    planned = evtool("replay", "--from", ORDER, "--routes", template, "-o", "json")

    assert planned.code == 0
    assert planned.json["handlers"] == {"Charge": 1, "Queue": 1}


def test_validate_needs_no_routes_yaml(evtool: Evtool, template: Path, tmp_path: Path) -> None:
    """--schemas names the schemas, with a template and without any project."""
    for options in (["--routes", template], []):
        assert evtool("validate", ORDER, "--schemas", SCHEMAS, *options).code == 0
    (tmp_path / "schemas").mkdir()
    assert evtool("validate", ORDER, "--schemas", "schemas").code == 1
    assert evtool("validate", ORDER, "--schemas", "schemas", "--schemas", SCHEMAS).code == 0


def test_rules_of_a_template_in_a_project(evtool: Evtool, template: Path, tmp_path: Path) -> None:
    """A target with the name of a handler is delivered to it; the other targets are external."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    published = evtool("publish", ORDER, "-o", "json")
    deliveries = published.json["events"][0]["deliveries"]
    states = {(delivery["route"], delivery["handler"]): delivery["state"] for delivery in deliveries}

    assert published.code == 0
    assert states == {("own", "Charge"): "done", ("Created", "Charge"): "done", ("Created", "Queue"): "external"}


def test_routes_of_a_project_are_located_in_their_template(evtool: Evtool, template: Path, tmp_path: Path) -> None:
    """explain names the file that has a route, and the line of each condition, also inside JSON text."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    template.write_text(
        TEMPLATE + "  Text:\n    Type: AWS::Events::Rule\n    Properties:\n      EventPattern: |\n"
        '        {"source": ["shop.checkout"],\n         "detail": {"a": [1]}}\n'
    )
    routes = {route["route"]: route for route in evtool("explain", ORDER, "-o", "json").json["routes"]}
    condition = next(entry for entry in routes["Text"]["conditions"] if entry["path"] == "detail.a")

    assert {name: route["file"] for name, route in routes.items()} == {
        **dict.fromkeys(("Created", "Open", "Off", "Text"), "template.yaml"),
        "own": "routes.yaml",
    }
    assert (condition["line"], condition["column"]) == (23, 26)


def test_wrong_rules_in_a_project_are_located(evtool: Evtool, template: Path, tmp_path: Path) -> None:
    """Mistakes of a template have its name; a missing file and a name that is taken are reported where they are."""
    routes = tmp_path / "routes.yaml"
    routes.write_text(ROUTES.replace("own:", "Created:"))
    assert (
        "template.yaml:3:3: EV022 the route Created is in routes.yaml, too"
        in evtool("explain", ORDER, "--route", "x").err
    )

    routes.write_text(ROUTES)
    template.write_text(
        TEMPLATE.replace("Id: charge}, {Arn: !Ref Queue, Id: queue}]", "Id: charge, InputPath: detail}]")
    )
    assert "template.yaml:7:17: EV022 routes.Created.input.path" in evtool("explain", "order-created").err

    routes.write_text(ROUTES.replace("template.yaml", "nowhere.yaml"))
    assert "routes.yaml:3:9: EV022 rules: cannot read nowhere.yaml" in evtool("explain", "order-created").err

    (tmp_path / "other.json").write_text('{"id": 1}')
    routes.write_text(ROUTES.replace("template.yaml", "other.json"))
    assert "routes.yaml:3:9: EV022 rules: other.json has no rules" in evtool("explain", "order-created").err

    routes.write_text(ROUTES.replace("template.yaml", "routes.yaml"))
    assert "routes.yaml:3:9: EV022 rules: routes.yaml is a routes.yaml" in evtool("explain", "order-created").err

    routes.write_text(ROUTES)
    template.write_text(TEMPLATE.replace("[!Ref Source]", "shop"))
    result = evtool("explain", "order-created")
    assert (result.code, result.err.splitlines()[0]) == (
        2,
        'template.yaml:11:60: EV201 route Open: "source" must be an object or an array',
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"id": 1}', 'it is JSON with the keys "id". evtool reads rules from routes.yaml (routes), a Cloud'),
        ("a.yaml", "- 1", "it is YAML with a list"),
        ("a.txt", "hello", "it is YAML with a single value"),
        ("a.yaml", "a: [", "a.yaml cannot be used. evtool reads rules from"),
        pytest.param(
            "deep.tf", f'resource "a" "b" {{\n  c = {"[" * 3000}{"]" * 3000}\n}}\n', "EV007", marks=pytest.mark.slow
        ),
        ("a.tf", "a = 1\n", "it is Terraform's language with the keys"),
        ("empty.yaml", "", "empty.yaml cannot be used"),
    ],
)
def test_other_files_are_refused_with_the_forms(
    evtool: Evtool, tmp_path: Path, name: str, content: str, message: str
) -> None:
    """The message describes the file and lists the forms."""
    (tmp_path / name).write_text(content)
    result = evtool("explain", ORDER, "--routes", name)

    assert result.code == 2
    assert message in result.err


def test_routes_format_names_the_form_of_a_file(evtool: Evtool, tmp_path: Path) -> None:
    """The content of the file does not matter then."""
    (tmp_path / "odd.yaml").write_text(TEMPLATE.replace("Resources:", "handlers: {}\nversion: 1\nResources:"))

    assert evtool("explain", ORDER, "--routes", "odd.yaml", "--routes-format", "cloudformation").code == 0
    assert "a tag is not allowed" in evtool("explain", ORDER, "--routes", "odd.yaml", "--routes-format", "routes").err
    assert evtool("explain", ORDER, "--routes", "odd.yaml", "--routes-format", "yaml").code == 2


def test_a_folder_of_terraform_files(evtool: Evtool, tmp_path: Path) -> None:
    """Rules and targets may be in different files; a mistake has the name of its file."""
    shutil.copytree(CASES / "terraform-folder", tmp_path / "infra")
    result = evtool("explain", ORDER, "--routes", "infra")
    assert result.err.splitlines()[0].startswith("infra/targets.tf:7:14: EV201 route second")

    file = tmp_path / "infra/targets.tf"
    file.write_text(file.read_text().replace('"shop.checkout"', '["shop.cart"]'))
    published = evtool("publish", ORDER, "--dry-run", "--routes", "infra", "--schemas", SCHEMAS, "-o", "json")
    assert [delivery["handler"] for delivery in published.json["events"][0]["deliveries"]] == ["charge"]


def test_modules_in_folders_are_followed(evtool: Evtool, tmp_path: Path) -> None:
    """A module gets the literals and defaults of its call. Other values are unknown, also as targets."""
    shutil.copytree(CASES / "terraform-modules", tmp_path / "infra")
    project = require_project(str(tmp_path / "infra/prod"))
    routes = project.document.value["routes"]
    explained = evtool("explain", ORDER, "--routes", "infra/prod", "-o", "json").json["routes"]

    assert routes["orders.this"]["pattern"] == {
        "source": ["shop.checkout"],
        "detail-type": ["order.created"],
        "detail": {"stage": [Unknown("${var.stage}")]},
    }
    assert routes["orders.this"]["event-bus"] == Unknown("${var.bus}")
    assert routes["payments.this"]["pattern"] == {
        "source": ["shop.payments"],
        "detail-type": ["payment.declined"],
        "detail": {"stage": ["inner"]},
    }
    assert routes["payments.this"]["event-bus"] == "default"
    assert routes["orders.this"]["to"] != routes["payments.this"]["to"]
    assert {(route["file"], route["line"]) for route in explained} == {("infra/rule/main.tf", 2)}
    assert [note.message.split(":")[0] for note in project.notes] == ["module network is not followed"]


def test_modules_that_call_themselves_end(evtool: Evtool, tmp_path: Path) -> None:
    """A module that calls its own folder is followed a few times only."""
    (tmp_path / "main.tf").write_text(
        'module "m" { source = "./" }\n'
        'resource "aws_cloudwatch_event_rule" "r" {\n  event_pattern = jsonencode({ source = ["a"] })\n}\n'
    )
    assert evtool("check", "--routes", ".").code == 0


def test_files_without_rules_do_not_spoil_a_folder(evtool: Evtool, tmp_path: Path) -> None:
    """Files with nothing in them, with comments and with blocks of other kinds are read; local values are shared."""
    (tmp_path / "empty.tf").write_text("")
    (tmp_path / "comment.tf").write_text("# resource {\n")
    (tmp_path / "moved.tf").write_text("moved {\n  from = a.b\n  to = a.c\n}\n")
    (tmp_path / "locals.tf").write_text('locals { source = "shop.checkout" }\n')
    (tmp_path / "rules.tf").write_text(
        'resource "aws_cloudwatch_event_rule" "r" {\n  event_pattern = jsonencode({ source = [local.source] })\n}\n'
    )
    checked = evtool("check", "--routes", ".")
    explained = evtool("explain", ORDER, "--routes", ".")

    assert (checked.code, checked.out) == (0, "checked 1 route: nothing found\n")
    assert "r  matches  rules.tf:1:1" in explained.out


def test_parts_that_are_not_read_have_a_note(evtool: Evtool, tmp_path: Path) -> None:
    """Files without rules, and parts that may contain rules."""
    (tmp_path / "template.yaml").write_text("Resources:\n  Queue: {Type: AWS::SQS::Queue}\n")
    (tmp_path / "serverless.yml").write_text(
        "service: s\nprovider: {name: aws}\nfunctions:\n  a: ${file(a.yml)}\n"
        "  b: {events: [{eventBridge: {pattern: {source: [shop]}}}]}\n"
    )
    (tmp_path / "main.tf").write_text(
        'module "bus" {\n  source = "./bus"\n  rules = { a = { event_pattern = jsonencode({ source = ["a"] }) } }\n}\n'
        'module "network" { source = "./network" }\n'
    )
    empty = evtool("check", "template.yaml")
    serverless = evtool("check", "serverless.yml")
    terraform = evtool("check", "main.tf")
    explained = evtool("explain", ORDER, "--routes", "serverless.yml")

    assert "EV023 note: no rules with an event pattern found in template.yaml" in empty.out
    assert "serverless.yml:4:3: EV023 note: functions.a is in another file, which is not read" in serverless.out
    assert "functions.a is in another file" in explained.err
    assert "main.tf:1:1: EV023 note: module bus is not followed" in terraform.out
    assert "module network" not in terraform.out
    assert "module network" in evtool("check", "main.tf", "-v").out
    assert {empty.code, serverless.code, terraform.code} == {0}


def test_an_incomplete_list_is_said(evtool: Evtool, tmp_path: Path) -> None:
    """A list that the AWS CLI has cut has more rules than the file."""
    rules = {"Rules": [{"Name": "a", "EventPattern": '{"source": ["shop"]}'}], "NextToken": "x"}
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    checked = evtool("check", "rules.json")

    assert "EV023 note: the list is not complete: it ends with a NextToken" in checked.out
    assert checked.code == 0


def test_check_describes_a_file_of_no_form(evtool: Evtool, tmp_path: Path) -> None:
    """A list of other things is not called a routes.yaml."""
    (tmp_path / "log.json").write_text('{"@level": "info"}\n{"@level": "info"}\n')
    checked = evtool("check", "log.json")

    assert checked.code == 2
    assert "log.json has no rules in a form that evtool reads: it is JSON with a list" in checked.err


def test_the_rule_source_of_the_folder_is_suggested(evtool: Evtool, template: Path, tmp_path: Path) -> None:
    """Without a routes.yaml, the message has the option that uses the template that is there."""
    assert "`--routes template.yaml` uses the rules of this folder" in evtool("explain", ORDER).err
    template.rename(tmp_path / "main.tf")
    assert "`--routes .` uses the rules of this folder" in evtool("check").err


def test_mistakes_in_text_with_variables_are_located(evtool: Evtool, tmp_path: Path) -> None:
    """A variable whose value has another length moves no location; without one, the text itself is the location."""
    rule = 'resource "aws_cloudwatch_event_rule" "r" {\n  event_pattern = %s\n}\n'
    text = '<<EOT\n{"source": ["${local.source}"],\n "detail": {"a": [{"numerik": [">", 5]}]}}\nEOT'
    local_values = """locals {
      source = "shop.checkout.with.a.long.name"
      text   = "{\\"source\\": [{\\"numerik\\": 1}]}"
    }"""
    for pattern, location in ((text, "4:20"), ("local.text", "2:19")):
        (tmp_path / "main.tf").write_text(rule % pattern + local_values)
        assert evtool("check", "main.tf").out.startswith(f"main.tf:{location}: EV202 route r: Unrecognized match type")


def test_terraform_files_need_a_package(evtool: Evtool, tmp_path: Path) -> None:
    """Without it, the message has the line that installs it; JSON needs no package."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/hcl2.py").write_text("raise ImportError")
    env = {"PYTHONPATH": f"{tmp_path}/lib:{ROOT}"}
    result = evtool("explain", ORDER, "--routes", CASES / "terraform/targets.tf", env=env)

    assert result.code == 2
    assert "pip install 'evtool-workbench[terraform]'" in result.err
    assert evtool("explain", ORDER, "--routes", CASES / "terraform-plan/state.json", env=env).code == 1


def test_aliases_do_not_multiply(evtool: Evtool, tmp_path: Path) -> None:
    """Aliases of aliases that would be millions of values are refused at once."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    (tmp_path / "t.yaml").write_text(f"Resources: {{}}\nl0: &l0 [a]\n{levels}")
    result = evtool("explain", ORDER, "--routes", "t.yaml")

    assert result.code == 2
    assert "with its aliases, the file has more than 1,000,000 values" in result.err


def test_a_mapping_that_refers_to_itself_is_unknown(evtool: Evtool, tmp_path: Path) -> None:
    """Values of `Mappings` are not resolved any further."""
    text = "Mappings: {A: {b: {c: !FindInMap [A, b, c]}}}\n" + TEMPLATE.lstrip()
    (tmp_path / "t.yaml").write_text(text.replace("!Ref Source", "!FindInMap [A, b, c]"))
    explained = evtool("explain", ORDER, "--routes", "t.yaml", "--route", "Open", "-o", "json")

    assert explained.json["routes"][0]["matches"] is None


def test_hostile_templates_are_refused_without_a_traceback(evtool: Evtool, tmp_path: Path) -> None:
    """Values of other types than the form has are passed over or reported."""
    odd: list[Any] = [None, 1, [], {}, "x", [None], {"Type": 5}, {"Type": "AWS::Events::Rule", "Properties": []}]
    for index, value in enumerate(odd):
        for form in (
            {"AWSTemplateFormatVersion": value, "Resources": value},
            {
                "Resources": {
                    "A": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": value, "Targets": value}}
                }
            },
            {"Resources": {"A": {"Type": "AWS::Serverless::Function", "Properties": {"Events": {"E": value}}}}},
            {"service": "s", "provider": value, "functions": value, "resources": value},
            {"service": "s", "functions": {"f": {"events": [{"eventBridge": value}]}}},
            {"terraform_version": value, "planned_values": value, "configuration": value, "resource_changes": value},
            {"terraform_version": "1", "resources": value},
            {"resource": {"aws_cloudwatch_event_rule": {"a": value}, "aws_cloudwatch_event_target": value}},
            {"Rules": [value], "Targets": value},
            [{"Rules": [{"Name": value, "EventPattern": value}]}, {"Rule": value, "Targets": [value]}],
        ):
            file = tmp_path / f"odd{index}.json"
            file.write_text(json.dumps(form))
            result = evtool("explain", ORDER, "--routes", file.name)
            assert result.code in (1, 2), (form, result.err)


def test_rule_sources_from_python(template: Path, tmp_path: Path) -> None:
    """`Routes.load` reads a template, and a routes.yaml that names one."""
    event = {"source": "shop.checkout", "detail-type": "order.created", "detail": {}}
    (tmp_path / "routes.yaml").write_text(ROUTES)

    assert [route.name for route in Routes.load(template).match(event)] == ["Created"]
    assert [route.name for route in Routes.load(tmp_path / "routes.yaml").match(event)] == ["own", "Created"]
