"""No secret appears in any output, in the store or in a report, also if a server sends back the request."""

import base64
import html
import json
from urllib.parse import quote

import pytest
import yaml

from tests.conftest import Evtool
from tests.support.http_servers import Server, sends

TOKEN = "Canary/T0ken+\"quoted\"&'e'"
KEY = base64.b64encode(b"canary-of-the-signing-secret").decode()
ENVIRONMENT = {"SECRET": f"whsec_{KEY}", "TOKEN": TOKEN, "PATH_TOKEN": "canary-path-token"}
ROUTES = """version: 1
handlers:
  hook:
    http: ${URL}/${PATH_TOKEN}?key=${PATH_TOKEN}
    secret: ${SECRET}
    headers: {Authorization: "Bearer ${TOKEN}", X-Literal: canary-literal}
routes:
  all: {pattern: {source: [shop]}, to: [hook], retry: {max_attempts: 2, first_delay: 1ms, max_age: 1h}}
"""
EVENT = {"id": "e-1", "source": "shop", "detail-type": "order.created", "detail": {}}


def echo(status, content_type, write):
    """Sends back the whole request, in the form of `write`."""

    def body(request):
        text = " | ".join([request.line, *request.headers.values(), f"whsec_{KEY}"])
        content = write(text).encode("latin-1", "replace") if content_type != "utf-8" else write(text).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(content)}\r\n\r\n"
        return head.encode() + content

    return sends(body)


WRITERS = {
    "lower case": ("text/plain", str.lower),
    "UTF-16": ("text/plain; charset=utf-16", "\0".join),
    "text": ("text/plain", str),
    "JSON": ("application/json", lambda text: json.dumps({"error": text})),
    "JSON with escaped slashes": ("application/json", lambda text: json.dumps({"a": text}).replace("/", "\\/")),
    "HTML": ("text/html", html.escape),
    "quoted": ("text/plain", lambda text: quote(text, safe="")),
    "not JSON": ("application/json", lambda text: TOKEN),
    "as a key": ("application/json", lambda text: json.dumps({"emit": [{text: 1}]})),
}

COMMANDS = [
    ["publish", "event.json", "-v"],
    ["deliver", "--now", "-v", "-o", "json"],
    ["events", "e-1", "-v"],
    ["events", "e-1", "-o", "json"],
    ["dlq", "list"],
    ["dlq", "show", "-o", "json"],
    ["replay", "--deliver", "--name", "again", "-v"],
    ["handlers", "--connect", "-o", "json"],
    ["handlers", "run", "hook", "event.json", "-v"],
    ["check", "-o", "sarif"],
    ["doctor", "-v"],
]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    return tmp_path


def run_all(evtool, project, url):
    """Returns all text that evtool prints and writes."""
    environment = {**ENVIRONMENT, "URL": url}
    printed = []
    for command in COMMANDS:
        ran = evtool(*command, cwd=project, env=environment)
        assert ran.code in (0, 1, 2), ran
        printed += [ran.out, ran.err]
    written = [file.read_bytes().decode(errors="replace") for file in project.rglob("*") if file.is_file()]
    return "\n".join([*printed, *(text for text in written if text != ROUTES)])


def check_hidden(text):
    """No secret is in the text, in any usual form."""
    values = [*ENVIRONMENT.values(), "canary-literal", KEY]
    forms = [form for v in values for form in (v, quote(v), quote(v, safe=""), html.escape(v), json.dumps(v)[1:-1])]
    text = text.replace("\0", "").replace("\ufffd", "").lower()
    shown = [form for form in map(str.lower, forms) if form in text or form.replace("/", "\\/") in text]
    assert not shown, text[: text.find(shown[0]) + 200]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_outcome_hides_secrets_that_a_server_returns(send, monkeypatch, name, status):
    """A server may send back the request, its headers and the secret."""
    with Server(echo(status, *WRITERS[name])) as server:
        for variable, value in {**ENVIRONMENT, "URL": f"http://127.0.0.1:{server.port}"}.items():
            monkeypatch.setenv(variable, value)
        options = yaml.safe_load(ROUTES)["handlers"]["hook"]
        outcome = send(options.pop("http"), **options)

    check_hidden(str(outcome))
    check_hidden(ascii(outcome))
    assert str(server.port) not in str(outcome)


@pytest.mark.slow
def test_commands_and_store_hide_secrets_that_a_server_returns(evtool: Evtool, project):
    """So do the reports."""
    with Server(echo(503, *WRITERS["text"])) as server:
        text = run_all(evtool, project, f"http://127.0.0.1:{server.port}")

    check_hidden(text)
    assert f"127.0.0.1:{server.port}" not in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://canary.invalid:x", "canary://host", "http://a b"])
def test_unusable_url_is_not_shown(evtool: Evtool, project, url):
    """Messages contain neither an invalid URL nor one that cannot be reached."""
    ran = evtool("publish", "event.json", "-v", cwd=project, env={**ENVIRONMENT, "URL": url})

    check_hidden(ran.out + ran.err)
    assert url not in ran.out + ran.err


@pytest.mark.parametrize("name", ["SECRET", "TOKEN"])
@pytest.mark.parametrize("value", ["canary\nvalue", "whsec_canary!", "canary☃"])
def test_wrong_value_of_a_variable_is_not_shown(evtool: Evtool, project, name, value):
    environment = {**ENVIRONMENT, "URL": "http://127.0.0.1:1", name: value}
    ran = evtool("publish", "event.json", "-v", cwd=project, env=environment)

    assert "canary" not in ran.out + ran.err
    if not (name == "TOKEN" and value == "whsec_canary!"):
        assert ran.code == 1
        assert f"{'Authorization' if name == 'TOKEN' else '${SECRET}'}" in ran.out + ran.err


def test_secret_in_a_wrong_line_is_not_shown(evtool: Evtool, project):
    """The secret is in the line of routes.yaml that has the mistake."""
    line = f"{{http: 'http://a b', secret: [whsec_{KEY}], headers: {{Host: x}}}}"
    (project / "routes.yaml").write_text(f"version: 1\nhandlers:\n  hook: {line}\n")
    for command in (["publish", "event.json"], ["check"], ["check", "-o", "json"], ["check", "-o", "sarif"]):
        ran = evtool(*command, cwd=project)
        assert KEY not in ran.out + ran.err
    assert f"whsec_{'*' * len(KEY)}" in evtool("check", cwd=project).out
