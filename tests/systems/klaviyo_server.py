"""Klaviyo's API as far as the shop uses it: each request is checked against Klaviyo's published OpenAPI."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from jsonschema import Draft202012Validator, FormatChecker

SPECIFICATION: dict[str, Any] = json.loads(Path(__file__).with_name("klaviyo_openapi.json").read_text("utf-8"))
CONTENT_TYPE = "application/vnd.api+json"


class KlaviyoServer:
    """A server on loopback. `accepted` has the path and the body of each request that it took."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, Any]] = []
        self.refused: list[str] = []
        self.keys: list[str] = []
        self.status: int | None = None  # what to answer every request with, whatever it says
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def find_problems(path: str, headers: Any, body: Any) -> list[str]:
    """Everything in a request that the OpenAPI does not allow."""
    operation = SPECIFICATION["paths"].get(path, {}).get("post")
    if operation is None:
        return [f"there is no POST {path}"]
    problems = [
        f"the header {parameter['name']} is missing"
        for parameter in operation["parameters"]
        if parameter["in"] == "header" and parameter["required"] and not headers.get(parameter["name"])
    ]
    if not headers.get("Authorization", "").startswith("Klaviyo-API-Key "):
        problems.append("the header Authorization has no Klaviyo-API-Key")
    if headers.get_content_type() != CONTENT_TYPE:
        problems.append(f"the content type is {headers.get_content_type()}")
    schema = _to_json_schema(operation["requestBody"]["content"][CONTENT_TYPE]["schema"])
    root = schema | {"components": _to_json_schema(SPECIFICATION["components"])}
    errors = Draft202012Validator(root, format_checker=FormatChecker()).iter_errors(body)
    return problems + [f"{error.json_path}: {error.message}" for error in errors]


def _to_json_schema(part: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` is a type of its own there."""
    if isinstance(part, list):
        return [_to_json_schema(element) for element in part]
    if not isinstance(part, dict):
        return part
    schema = {key: _to_json_schema(value) for key, value in part.items() if key != "nullable"}
    return {"anyOf": [schema, {"type": "null"}]} if part.get("nullable") is True else schema


def _handler_of(server: KlaviyoServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.keys.append(self.headers.get("Authorization", ""))
            path = self.path.rstrip("/")
            problems = find_problems(path, self.headers, body)
            if server.status:
                self._answer(server.status, ["as the test wants it"])
            elif problems:
                server.refused += problems
                self._answer(400, problems)
            else:
                server.accepted.append((path, body))
                self._answer(202, [])

        def _answer(self, status: int, problems: list[str]) -> None:
            errors = [{"id": "1", "code": "invalid", "title": "Invalid input.", "detail": text} for text in problems]
            content = json.dumps({"errors": errors}).encode() if errors else b""
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: Any) -> None:
            pass

    return Handler
