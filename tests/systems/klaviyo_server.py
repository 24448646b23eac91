"""Klaviyo's API as far as the shop uses it: each request is checked against Klaviyo's published OpenAPI."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tests.support.http_servers import Server, responds

SPECIFICATION: dict[str, Any] = json.loads(Path(__file__).with_name("klaviyo_openapi.json").read_text("utf-8"))
CONTENT_TYPE = "application/vnd.api+json"


class KlaviyoServer(Server):
    """`accepted` has path and body of each accepted request, `refused` the problems of the others."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, Any]] = []
        self.refused: list[str] = []
        self.status: int | None = None  # what to answer every request with, whatever it says
        super().__init__(KlaviyoServer._check)

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def _check(server: Any, connection: socket.socket) -> None:
        request = server.requests[-1]
        method, path, _ = request.line.split(" ")
        body = json.loads(request.body)
        problems = ["as the test wants it"] if server.status else find_problems(method, path, request.headers, body)
        if not problems:
            server.accepted.append((path, body))
            responds(202)(server, connection)
            return
        server.refused += problems
        errors = [{"id": "1", "code": "invalid", "title": "Invalid input.", "detail": text} for text in problems]
        content = json.dumps({"errors": errors}).encode()
        responds(server.status or 400, content, content_type=CONTENT_TYPE)(server, connection)


def find_problems(method: str, path: str, headers: Mapping[str, str], body: Any) -> list[str]:
    """Everything in a request that the OpenAPI does not allow. The names of the headers are in lower case."""
    operation = SPECIFICATION["paths"].get(path, {}).get(method.lower())
    if operation is None:
        return [f"there is no {method} {path}"]
    problems = [
        f"the header {parameter['name']} is missing"
        for parameter in operation["parameters"]
        if parameter["in"] == "header" and parameter["required"] and not headers.get(parameter["name"])
    ]
    if not headers.get("authorization", "").startswith("Klaviyo-API-Key "):
        problems.append("the header Authorization has no Klaviyo-API-Key")
    if headers.get("content-type") != CONTENT_TYPE:
        problems.append(f"the content type is {headers.get('content-type')}")
    schema = _to_json_schema(operation["requestBody"]["content"][CONTENT_TYPE]["schema"])
    root = schema | {"components": _to_json_schema(SPECIFICATION["components"])}
    errors = Draft202012Validator(root, format_checker=FormatChecker()).iter_errors(body)
    return problems + [f"{error.json_path}: {error.message}" for error in errors]


def _to_json_schema(part: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema, which has no `nullable`."""
    if isinstance(part, list):
        return [_to_json_schema(element) for element in part]
    if not isinstance(part, dict):
        return part
    schema = {key: _to_json_schema(value) for key, value in part.items() if key != "nullable"}
    return {"anyOf": [schema, {"type": "null"}]} if part.get("nullable") is True else schema
