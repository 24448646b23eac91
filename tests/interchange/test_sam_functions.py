"""Functions of a SAM template run without a change if their code is in local folders."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Table: {Type: String}
Globals:
  Function:
    Runtime: python3.13
    Timeout: 20
    Environment: {Variables: {STAGE: test, TABLE: !Ref Table, CURRENCY: EUR}}
Resources:
  ChargeCard:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/charge/
      Handler: app.handler
      MemorySize: 512
      Environment: {Variables: {LIMIT: 1000, CURRENCY: USD, LITERAL: "a ${HOME}"}}
      Events:
        Placed: {Type: EventBridgeRule, Properties: {Pattern: {detail-type: [order.created]}}}
  Confirm:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/confirm, Handler: app.handler}
  Paid:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [payments]}
      Targets: [{Arn: !GetAtt Confirm.Arn, Id: confirm}, {Arn: !GetAtt Audit.Arn, Id: audit}]
  Audit: {Type: AWS::SQS::Queue}
"""
CHARGE = """
import json, os
import boto3

def handler(event, context):
    print(json.dumps({name: os.environ.get(name) for name in ("STAGE", "TABLE", "LIMIT", "CURRENCY", "LITERAL")}))
    print(context.memory_limit_in_mb)
    boto3.client("events").put_events(Entries=[{"Source": "payments", "DetailType": "paid", "Detail": "{}"}])
"""
CONFIRM = "def handler(event, context):\n    print('confirmed', event['detail-type'])\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A SAM project with two functions, and an event."""
    for name, code in (("charge", CHARGE), ("confirm", CONFIRM)):
        (tmp_path / "functions" / name).mkdir(parents=True)
        (tmp_path / "functions" / name / "app.py").write_text(code)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "order.json").write_text('{"id": "1", "source": "shop", "detail-type": "order.created", "detail": {}}')
    return tmp_path


@pytest.mark.usefixtures("project")
def test_functions_run_and_the_chain_goes_on(evtool: Evtool) -> None:
    """The template alone is enough: both functions are called, the queue is shown."""
    ran = evtool("publish", "order.json", "--routes", "template.yaml", "-o", "json", "-o", "text=out.txt")
    assert ran.code == 0, ran.err
    states = {
        delivery["handler"]: delivery["state"] for event in ran.json["events"] for delivery in event["deliveries"]
    }
    assert states == {"ChargeCard": "done", "Confirm": "done", "Audit": "external"}


@pytest.mark.usefixtures("project")
def test_a_function_has_the_settings_of_its_template(evtool: Evtool) -> None:
    """Variables and sizes of the template and of `Globals`. Unknown values are omitted, with a note."""
    ran = evtool("handlers", "run", "ChargeCard", "order.json", "--routes", "template.yaml", "-v", "-o", "json")
    lines = ran.json["output"].splitlines()
    assert json.loads(lines[-2]) == {
        "STAGE": "test",
        "TABLE": None,
        "LIMIT": "1000",
        "CURRENCY": "USD",
        "LITERAL": None,
    }
    assert lines[-1] == "512"
    assert "template.yaml:12:3: EV023 note: the variable TABLE of ChargeCard is left out" in ran.err


def test_built_functions_come_first(evtool: Evtool, project: Path) -> None:
    """`sam build` writes a template with the built folders: these are used."""
    build = project / ".aws-sam/build"
    (build / "Confirm").mkdir(parents=True)
    (build / "Confirm/app.py").write_text(CONFIRM.replace("confirmed", "built"))
    (build / "template.yaml").write_text(TEMPLATE.replace("functions/confirm", "Confirm"))
    ran = evtool("handlers", "run", "Confirm", "order.json", "--routes", "template.yaml")
    assert "| built order.created" in ran.out


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("functions/confirm", "functions/gone", "there is no folder functions/gone: correct CodeUri"),
        ("functions/confirm", "s3://bucket/key", "its CodeUri is not a folder of this machine"),
        ("functions/confirm", "!Sub 'functions/${Table}'", "CodeUri"),
        ("Handler: app.handler}", "Handler: !Ref Table}", "its Handler is missing, or known only after deployment"),
        ("Handler: app.handler}", "Handler: app.handler, Runtime: dotnet8}", "does not know how to start dotnet8"),
        ("Handler: app.handler}", "Handler: app.handler, Runtime: !Ref Table}", "its Runtime is missing, or known"),
        ("CodeUri: functions/confirm, ", "InlineCode: 'x = 1', ", "its code is inline"),
        ("CodeUri: functions/confirm, ", "PackageType: Image, ", "its code is a container image"),
    ],
)
def test_other_functions_stay_external(old: str, new: str, reason: str, evtool: Evtool, project: Path) -> None:
    """A function whose code, handler or runtime is not here is shown with the reason, and never called."""
    assert old in TEMPLATE
    (project / "template.yaml").write_text(TEMPLATE.replace(old, new))
    ran = evtool("handlers", "--routes", "template.yaml", "-o", "json")
    confirm = next(handler for handler in ran.json["handlers"] if handler["name"] == "Confirm")
    assert confirm["state"] == "external"
    assert reason in confirm["reason"]


def test_reason_of_a_template_that_routes_yaml_names(evtool: Evtool, project: Path) -> None:
    """The reason is shown for a template among the `rules` of routes.yaml, too."""
    (project / "functions/confirm").rename(project / "functions/moved")
    (project / "routes.yaml").write_text("version: 1\nrules: [template.yaml]\n")
    assert (
        "Confirm  external  external\n    there is no folder functions/confirm: correct CodeUri"
        in evtool("handlers").out
    )


def test_functions_of_a_template_that_routes_yaml_names(evtool: Evtool, project: Path) -> None:
    """A routes.yaml with the template in `rules` runs them, too, from another folder."""
    (project / "events").mkdir()
    (project / "events/routes.yaml").write_text("version: 1\nrules: [../template.yaml]\n")
    ran = evtool("publish", "order.json", "--routes", "events/routes.yaml")
    assert ran.code == 0, ran.err
    assert "Confirm  done" in ran.out


def test_check_loads_no_function_of_a_template(evtool: Evtool, project: Path) -> None:
    """The packages of a function need not be installed where its template is checked."""
    (project / "functions/confirm/app.py").write_text("import not_installed_here\n")
    assert "EV50" not in evtool("check", "template.yaml").out
