"""No secret appears in any output, in the store or in a report: not even if a server sends back what it got."""

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
    """Answers with all that it got, as `write` puts it."""

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
    """Whatever evtool prints and writes, as one text."""
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
def test_outcome_of_a_server_that_echoes(send, monkeypatch, name, status):
    """A server may send back the request, its headers and the secret: the outcome does not have them."""
    with Server(echo(status, *WRITERS[name])) as server:
        for variable, value in {**ENVIRONMENT, "URL": f"http://127.0.0.1:{server.port}"}.items():
            monkeypatch.setenv(variable, value)
        options = yaml.safe_load(ROUTES)["handlers"]["hook"]
        outcome = send(options.pop("http"), **options)

    check_hidden(str(outcome))
    check_hidden(ascii(outcome))
    assert str(server.port) not in str(outcome)


@pytest.mark.slow
def test_server_that_echoes(evtool: Evtool, project):
    """Neither have the commands, the reports and the store."""
    with Server(echo(503, *WRITERS["text"])) as server:
        text = run_all(evtool, project, f"http://127.0.0.1:{server.port}")

    check_hidden(text)
    assert f"127.0.0.1:{server.port}" not in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://canary.invalid:x", "canary://host", "http://a b"])
def test_url_that_cannot_be_called(evtool: Evtool, project, url):
    """Neither a URL that is wrong nor one that is not reached is shown."""
    ran = evtool("publish", "event.json", "-v", cwd=project, env={**ENVIRONMENT, "URL": url})

    check_hidden(ran.out + ran.err)
    assert url not in ran.out + ran.err


@pytest.mark.parametrize("name", ["SECRET", "TOKEN"])
@pytest.mark.parametrize("value", ["canary\nvalue", "whsec_canary!", "canary☃"])
def test_variable_that_cannot_be_used(evtool: Evtool, project, name, value):
    """The value of a variable is not shown if it is wrong."""
    environment = {**ENVIRONMENT, "URL": "http://127.0.0.1:1", name: value}
    ran = evtool("publish", "event.json", "-v", cwd=project, env=environment)

    assert "canary" not in ran.out + ran.err
    if not (name == "TOKEN" and value == "whsec_canary!"):
        assert ran.code == 1
        assert f"{'Authorization' if name == 'TOKEN' else '${SECRET}'}" in ran.out + ran.err


def test_secret_in_routes(evtool: Evtool, project):
    """A secret that is written in routes.yaml is not shown with the line that has a mistake."""
    line = f"{{http: 'http://a b', secret: [whsec_{KEY}], headers: {{Host: x}}}}"
    (project / "routes.yaml").write_text(f"version: 1\nhandlers:\n  hook: {line}\n")
    for command in (["publish", "event.json"], ["check"], ["check", "-o", "json"], ["check", "-o", "sarif"]):
        ran = evtool(*command, cwd=project)
        assert KEY not in ran.out + ran.err
    assert f"whsec_{'*' * len(KEY)}" in evtool("check", cwd=project).out
