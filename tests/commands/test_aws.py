"""`evtool import aws` and `evtool verify aws`, against responses in the form of AWS's API and `evtool serve`."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from evtool import Routes
from evtool.aws.account import Schema, read_account
from evtool.aws.client import AwsSettings
from evtool.commands.import_aws import write_schemas
from evtool.commands.verify_aws import complete_event
from evtool.errors import UsageError
from evtool.events.envelopes import parse_event
from tests.conftest import Evtool
from tests.support.server import make_project, start_process

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
CONTENT = json.dumps({"x-amazon-events-source": "shop", "x-amazon-events-detail-type": "paid", "type": "object"})
RESPONSES: dict[str, list[dict[str, Any]]] = {
    "ListEventBuses": [{"EventBuses": [{"Name": "default"}], "NextToken": "2"}, {"EventBuses": [{"Name": "orders"}]}],
    "ListRules": [
        {"Rules": [{"Name": "paid", "EventPattern": '{"source": ["shop"]}', "State": "ENABLED"}]},
        {
            "Rules": [
                {"Name": "failed", "EventPattern": '{"source": [{"prefix": "shop"}]}', "State": "DISABLED"},
                {"Name": "replay", "EventPattern": "{}", "ManagedBy": "prod.vhs.events.aws.internal"},
                {"Name": "nightly", "ScheduleExpression": "rate(1 day)", "State": "ENABLED"},
            ]
        },
    ],
    "ListTargetsByRule": [
        {"Targets": [{"Id": "1", "Arn": f"{ARN}bill"}], "NextToken": "2"},
        {"Targets": [{"Id": "2", "Arn": f"{ARN}mail"}]},
        {"Targets": [{"Id": "1", "Arn": f"{ARN}bill", "InputPath": "$.detail"}]},
        {"Targets": []},
        {"Targets": []},
    ],
    "ListArchives": [{"Archives": [{"ArchiveName": "all", "EventSourceArn": "arn:aws:events:::event-bus/orders"}]}],
}


@pytest.fixture
def fake_aws(loopback: None) -> Iterator[tuple[str, dict[str, list[dict[str, Any]]]]]:
    """An endpoint that gives the responses of each operation in their order, and its URL."""
    responses = {operation: list(pages) for operation, pages in RESPONSES.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            pages = responses.get(operation)
            self.reply(200, pages.pop(0) if len(pages) > 1 else pages[0]) if pages else self.do_GET()

        def do_GET(self) -> None:
            self.reply(400, {"__type": "UnknownOperationException", "message": "not here"})

        def reply(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield f"http://127.0.0.1:{server.server_port}", responses
    server.shutdown()
    server.server_close()


def test_rules_of_all_buses_are_imported(evtool: Evtool, tmp_path: Path, fake_aws: Any) -> None:
    """All pages of rules and targets; managed rules, schedules and archives are notes; a bus has a name for --bus."""
    ran = evtool("import", "aws", "--endpoint", fake_aws[0], "--region", "eu-west-1", env=KEYS)
    routes = Routes.load(tmp_path / "routes.yaml").routes

    assert ran.code == 0, ran.err
    assert {name: (route.event_bus, route.to, route.enabled) for name, route in routes.items()} == {
        "paid": ("default", ("bill", "mail"), True),
        "failed": ("orders", ("bill",), False),
    }
    assert "the archive all of arn:aws:events:::event-bus/orders is not imported" in ran.err
    assert "schemas are not imported" in ran.err
    assert "url: eventbridge://orders?region=eu-west-1" in (tmp_path / "routes.yaml").read_text()


def test_merge_adds_buses_and_keeps_the_other_lines(evtool: Evtool, tmp_path: Path, fake_aws: Any) -> None:
    """All lines of an existing routes.yaml stay."""
    text = "version: 1\nhandlers:\n  bill: {command: [cat]}\nroutes: {}  # none yet\n"
    (tmp_path / "routes.yaml").write_text(text)
    ran = evtool("import", "aws", "--merge", "--endpoint", fake_aws[0], env=KEYS)
    merged = (tmp_path / "routes.yaml").read_text()

    assert ran.code == 0, ran.err
    assert "  bill: {command: [cat]}\n" in merged
    assert "buses:\n  orders:\n" in merged
    assert Routes.load(tmp_path / "routes.yaml").routes.keys() == {"paid", "failed"}


def test_schemas_of_all_registries_except_that_of_aws_are_written(tmp_path: Path) -> None:
    """Each registry has its folder. Names cannot lead out of it, and an existing file stays."""
    clients = {
        name: boto3.client(name, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        for name in ("events", "schemas")
    }
    with Stubber(clients["events"]) as events, Stubber(clients["schemas"]) as schemas:
        events.add_response("list_event_buses", {"EventBuses": []})
        events.add_response("list_archives", {"Archives": []})
        names = [{"RegistryName": name} for name in ("aws.events", "shop")]
        schemas.add_response("list_registries", {"Registries": names})
        schemas.add_response("list_schemas", {"Schemas": [{"SchemaName": "a@b"}, {"SchemaName": "../c"}]})
        for name in ("a@b", "../c"):
            parameters = {"RegistryName": "shop", "SchemaName": name}
            response = {"SchemaName": name, "Type": "JSONSchemaDraft4", "Content": CONTENT}
            schemas.add_response("describe_schema", response, parameters)
        account = read_account(AwsSettings(), lambda service: clients[service])
        schemas.assert_no_pending_responses()

    assert account.schemas == [Schema("shop", "a@b", CONTENT), Schema("shop", "../c", CONTENT)]
    assert account.notes == []
    write_schemas(account.schemas, tmp_path)
    (tmp_path / "shop/a@b.json").write_text("mine")
    again = write_schemas(account.schemas, tmp_path)
    assert sorted(file.name for file in tmp_path.rglob("*.json")) == ["-c.json", "a@b.json"]
    assert (again.written, [finding.severity for finding in again.findings]) == ([], ["warning"])


def test_missing_permissions_for_archives_and_schemas_are_notes() -> None:
    """Only the rules are necessary for an import."""
    clients = {
        name: boto3.client(name, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        for name in ("events", "schemas")
    }
    with Stubber(clients["events"]) as events, Stubber(clients["schemas"]) as schemas:
        events.add_response("list_event_buses", {"EventBuses": []})
        events.add_client_error("list_archives", "AccessDeniedException", "no")
        schemas.add_client_error("list_registries", "ForbiddenException", "no")
        notes = read_account(AwsSettings(), lambda service: clients[service]).notes
        events.add_client_error("list_event_buses", "AccessDeniedException", "no")
        with pytest.raises(UsageError, match="their policy does not allow this call"):
            read_account(AwsSettings(), lambda service: clients[service])

    assert [note.partition(":")[0] for note in notes] == ["archives are not imported", "schemas are not imported"]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A project with two samples, one of them a CloudEvent."""
    make_project(tmp_path)
    with (tmp_path / "routes.yaml").open("a") as file:
        file.write("samples: samples\n")
    (tmp_path / "samples").mkdir()
    event = {"source": "shop", "detail-type": "order.created", "detail": {"vip": True}}
    (tmp_path / "samples/order.json").write_text(json.dumps(event))
    cloudevent = {"specversion": "1.0", "id": "1", "source": "shop", "type": "t"}
    (tmp_path / "samples/cloudevent.json").write_text(json.dumps(cloudevent))
    return tmp_path


def test_verify_agrees_with_the_endpoint_of_serve(evtool: Evtool, samples: Path, loopback: None) -> None:
    """The endpoint of evtool answers TestEventPattern with evtool's own matching."""
    with start_process(samples) as server:
        ran = evtool("verify", "aws", "--endpoint", f"http://127.0.0.1:{server.port}", env=KEYS)
        server.end()

    assert ran.code == 0, ran.err
    assert ran.out == "2 routes and 1 event compared: AWS agrees, 1 left out\n"


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"Result": False}, "matches the event .*; for AWS it does not match"),
        ({}, "matches the event .*; the response has no Result"),
        (None, "matches the event .*; AWS refuses it: UnknownOperationException: not here"),
    ],
)
def test_every_disagreement_is_reported(
    evtool: Evtool, samples: Path, fake_aws: Any, response: Any, message: str
) -> None:
    """Each finding has the location of the pattern, and the exit code is 1."""
    url, responses = fake_aws
    if response is not None:
        responses["TestEventPattern"] = [response]
    ran = evtool("verify", "aws", "--endpoint", url, "-o", "json", env=KEYS)

    assert ran.code == 1
    assert ran.json["summary"]["disagreements"] == len(ran.json["disagreements"]) == 2
    assert [item["evtool"] for item in ran.json["disagreements"]] == [True, True]
    for finding in ran.json["findings"]:
        assert (finding["code"], finding["file"], finding["column"] > 1) == ("EV607", "routes.yaml", True)
    assert re.search(message, ran.json["findings"][0]["message"])


def test_missing_envelope_fields_are_added_for_aws() -> None:
    """The existing fields stay unchanged."""
    text = '{ "id": "7", "source": "s", "detail-type": "t", "detail": {"n": 1.50}}'
    completed = complete_event(parse_event(text.encode()))

    assert completed.endswith(text[1:])
    assert json.loads(completed).keys() >= {"id", "account", "time", "region", "resources"}
    assert complete_event(parse_event(completed.encode())) == completed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "aws"], "no region is configured"),
        (["verify", "aws", "--region", "eu-west-1"], "AWS_ACCESS_KEY_ID"),
        (["verify", "aws", "--profile", "nope"], "AWS_PROFILE"),
        (["import", "aws", "--region", "eu-west-1", "--to", "x.yaml"], "AWS_ACCESS_KEY_ID"),
    ],
)
def test_missing_credentials_end_with_exit_code_2(
    evtool: Evtool, samples: Path, arguments: list[str], message: str
) -> None:
    """The message says what to set, and there is no traceback."""
    ran = evtool(*arguments, env={"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(samples)})

    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
