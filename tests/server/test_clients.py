"""Real clients, unchanged: boto3, the AWS CLI, the SDKs for JavaScript and Go, CloudEvents SDKs, curl."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.support.prerequisites import report_missing
from tests.support.server import RunningServer

ROOT = Path(__file__).parent.parent.parent
CLIENTS = ROOT / ".clients"
NO_CURL = "curl is missing; install it: apt install curl"
GOOD = {"Source": "shop", "DetailType": "order.created", "Detail": '{"total": 1.50, "note": "é 😀"}'}
ENTRIES = [GOOD, {"DetailType": "order.created", "Detail": "{}"}, {**GOOD, "Detail": "[]"}, GOOD]
CODES = [None, "InvalidArgument", "MalformedDetail", None]
EVENT = json.dumps(
    {
        "id": "1",
        "account": "1",
        "source": "shop",
        "time": "2026-11-30T10:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": "x",
    }
)
PATTERN = '{"source": ["shop"]}'
INPUT = json.dumps({"entries": ENTRIES, "pattern": PATTERN, "event": EVENT})


def connect(server: RunningServer, service: str = "events") -> Any:
    """boto3's client."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def environment(server: RunningServer) -> dict[str, str]:
    """The variables that send the calls of SDKs to the server."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL_EVENTBRIDGE": f"http://127.0.0.1:{server.port}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",  # of the AWS CLI
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "PATH": f"{os.environ['PATH']}:/usr/local/go/bin",
    }


def require_client(name: str) -> Path:
    """The folder of a client. Without it the test is skipped, or fails in CI."""
    folder = CLIENTS / name
    if not folder.is_dir():
        report_missing(f"the client {name} is missing; install it: make serve-clients CLIENTS={name}")
    return folder


def run(server: RunningServer, *command: str | Path, cwd: Path | None = None) -> Any:
    """Runs a client and returns the JSON that it prints."""
    done = subprocess.run(
        command, input=INPUT.encode(), cwd=cwd, env=environment(server), capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def check_entries(server: RunningServer, answer: Mapping[str, Any]) -> None:
    """The entries have their results in their places, and the good ones are stored."""
    assert answer["FailedEntryCount"] == 2
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == CODES
    ids = [entry["EventId"] for entry in answer["Entries"] if entry.get("EventId")]
    assert [event.id for event in server.read_events()[: len(ids)]] == ids
    assert b'{"total": 1.50, "note": "\xc3\xa9 \xf0\x9f\x98\x80"}' in server.read_events()[0].raw


def check_sdk(server: RunningServer, results: Mapping[str, Any]) -> None:
    """Asserts the responses that the SDKs for JavaScript and Go received."""
    check_entries(server, results["put"])
    assert results["time"]["FailedEntryCount"] == 0
    times = [json.loads(event.raw).get("time") for event in server.read_events()]
    assert "2026-11-29T12:00:00.123Z" in times
    assert results["no-date"]["error"] == "SerializationException"
    assert results["empty"]["error"] == "ValidationException"
    assert results["many"]["error"] == "ValidationException"
    assert results["test"]["Result"] is True
    assert results["bad-pattern"]["error"] == "InvalidEventPatternException"
    assert results["other"]["error"] == "UnknownOperationException"
    assert "AWSEvents.ListRules" in results["other"]["message"]


def test_boto3(server: RunningServer) -> None:
    """boto3 gets typed exceptions and the codes of EventBridge; the time of a datetime is kept to the millisecond."""
    client = connect(server)
    check_entries(server, client.put_events(Entries=ENTRIES))

    zone = timezone(timedelta(hours=1))
    for time in (datetime(2026, 11, 29, 12, tzinfo=UTC), datetime(2026, 11, 29, 13, 0, 0, 123456, tzinfo=zone)):
        client.put_events(Entries=[{**GOOD, "Time": time}])
    times = [json.loads(event.raw)["time"] for event in server.read_events()]
    assert times[-2:] == ["2026-11-29T12:00:00.000Z", "2026-11-29T12:00:00.123Z"]

    assert client.test_event_pattern(EventPattern=PATTERN, Event=EVENT)["Result"] is True
    with pytest.raises(client.exceptions.InvalidEventPatternException):
        client.test_event_pattern(EventPattern='{"source": "shop"}', Event=EVENT)
    for call, code in (
        (lambda: client.test_event_pattern(EventPattern=PATTERN, Event="{}"), "ValidationException"),
        (lambda: client.put_events(Entries=[GOOD] * 11), "ValidationException"),
        (lambda: client.put_rule(Name="x", EventPattern=PATTERN), "UnknownOperationException"),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    client.close()


def test_boto3_of_eventbridge_v2(server: RunningServer) -> None:
    """boto3's client of EventBridge V2 speaks CBOR; the event has the bus of the ARN."""
    client = connect(server, "eventbridgev2")
    arn = "arn:aws:events:us-east-1:123456789012:event-busv2/vip/abcdefghijklmnopqrstuvwxy"
    entry = {**GOOD, "Time": datetime(2026, 11, 29, 12, 0, 0, 123000, tzinfo=UTC)}
    answer = client.put_events(EventBusArn=arn, Entries=[entry, {**GOOD, "Detail": "["}])

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["SuccessCode"] == "PUBLISHED"
    assert answer["Entries"][1]["ErrorCode"] == "MalformedDetail"
    (event,) = server.read_events()
    assert (event.id, event.bus) == (answer["Entries"][0]["EventId"], "vip")
    assert json.loads(event.raw)["time"] == "2026-11-29T12:00:00.123Z"
    with pytest.raises(client.exceptions.InvalidInputException):
        client.put_events(EventBusArn="nope", Entries=[GOOD])
    with pytest.raises(ClientError, match="UnknownOperationException"):
        client.list_event_buses()
    client.close()


def test_aws_cli(server: RunningServer, tmp_path: Path) -> None:
    """The AWS CLI prints the results; a bad call ends with its exit code for errors of a service."""
    program = require_client("aws-cli") / "venv/bin/aws"
    (tmp_path / "entries.json").write_text(json.dumps(ENTRIES))
    check_entries(
        server, run(server, program, "events", "put-events", "--entries", "file://entries.json", cwd=tmp_path)
    )

    tested = run(server, program, "events", "test-event-pattern", "--event-pattern", PATTERN, "--event", EVENT)
    assert tested == {"Result": True}
    refused = subprocess.run(
        [program, "events", "list-rules"], env=environment(server), capture_output=True, text=True, timeout=300
    )
    assert refused.returncode in (254, 255)
    assert "UnknownOperationException" in refused.stderr


def test_javascript(server: RunningServer, tmp_path: Path) -> None:
    """The SDKs of AWS and of CloudEvents for JavaScript."""
    folder = require_client("javascript")
    script = folder / "client.mjs"
    shutil.copy(ROOT / "tests/server/clients/client.mjs", script)
    results = run(server, "node", script)

    check_sdk(server, results)
    assert results["object"]["error"] == "SerializationException"
    stored = {event.id: json.loads(event.raw) for event in server.read_events()}
    for mode in ("binary", "structured"):
        assert stored[f"js-{mode}"]["data"] == {"total": 1.5, "note": "é"}


def test_go(server: RunningServer) -> None:
    """The SDKs of AWS and of CloudEvents for Go."""
    results = run(server, require_client("go-sdk") / "client")

    check_sdk(server, results)
    assert (results["binary"], results["structured"]) == (True, True)
    stored = {event.id: json.loads(event.raw) for event in server.read_events()}
    for mode in ("binary", "structured"):
        assert stored[f"go-{mode}"]["data"] == {"total": 1.5, "note": "é"}


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_cloudevents_for_python(server: RunningServer, mode: str) -> None:
    """The CloudEvents SDK for Python: the stored event equals the sent one."""
    attributes = {
        "id": f"python-{mode}",
        "source": "shop",
        "type": "order.created",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": 'Euro € 😀 "50%"',
        "time": datetime(2026, 11, 30, 10, tzinfo=UTC),
    }
    convert = {"binary": to_binary_event, "structured": to_structured_event}[mode]
    message: HTTPMessage = convert(CloudEvent(attributes=attributes, data={"total": 1.5, "note": "é"}))
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    reply = server.send("POST", "/", body, message.headers)

    assert reply.status == 202, reply.body
    (event,) = server.read_events()
    document = json.loads(event.raw)
    assert document["data"] == {"total": 1.5, "note": "é"}
    assert document["subject"] == attributes["subject"]
    assert server.send("POST", "/", body, message.headers).status == 200


def list_examples(language: str) -> list[str]:
    """The blocks of a language on the page about the server, for the address of a server in a test."""
    page = (ROOT / "docs/serve.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_examples_of_the_page(server: RunningServer, tmp_path: Path) -> None:
    """The examples for boto3 and curl on the page store events."""
    (boto,) = (block for block in list_examples("python") if "boto3" in block)
    variables = {**environment(server), "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", boto], env=variables, check=True, timeout=300)
    assert [event.type for event in server.read_events()] == ["cart.abandoned"]

    (curl,) = (block for block in list_examples("sh") if block.startswith("curl"))
    if not shutil.which("curl"):
        report_missing(NO_CURL)
    (tmp_path / "samples/events").mkdir(parents=True)
    event = {"id": "sample", "detail-type": "order.created", "source": "shop", "detail": {}}
    (tmp_path / "samples/events/order-created.json").write_text(json.dumps(event))
    (tmp_path / "webhook.json").write_text(json.dumps({"type": "invoice.paid", "id": "in_1"}))
    for line in curl.replace("4010", str(server.port)).splitlines():
        answer = run(server, "sh", "-c", line, cwd=tmp_path)
        assert answer["events"][0]["status"] == "stored"


def test_curl(server: RunningServer, tmp_path: Path) -> None:
    """curl sends an event, and a long one for which it asks first."""
    if not shutil.which("curl"):
        report_missing(NO_CURL)
    event = {"id": "curl", "detail-type": "order.created", "source": "shop", "detail": {}}
    long = [{**event, "id": f"curl {number}", "detail": {"x": "y" * 1000}} for number in range(2000)]
    (tmp_path / "long.json").write_text(json.dumps(long))
    url = f"http://127.0.0.1:{server.port}/events"

    assert run(server, "curl", "-sS", url, "-d", json.dumps(event))["events"][0]["status"] == "stored"
    sent = run(server, "curl", "-sS", url, "--data-binary", f"@{tmp_path / 'long.json'}")
    assert len(sent["events"]) == 2000
    assert len(server.read_events()) == 2001
