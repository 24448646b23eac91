"""Error responses of the server: JSON with AWS's `__type`, whatever the status, since SDKs read nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from evtool.findings.finding import Finding

CODES = {  # the usual code of a status
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
    408: "RequestTimeoutException",
    409: "ConflictException",
    413: "RequestEntityTooLargeException",
    415: "UnsupportedMediaTypeException",
    422: "ValidationException",
    431: "RequestHeaderFieldsTooLargeException",
    500: "InternalFailure",
    503: "ServiceUnavailable",
}


class HttpError(Exception):
    """A request that is refused: status, message, AWS's name of the error, and what is wrong with its events."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        findings: Iterable[Finding] = (),
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.code = status, code or CODES[status]
        self.findings, self.headers = tuple(findings), headers


def prefers_html(headers: Headers) -> bool:
    """Returns whether a browser shows the response: it names HTML before JSON, and other clients do not name HTML."""
    accepted = headers.get("accept", "")
    html, json = accepted.find("text/html"), accepted.find("application/json")
    return html >= 0 and (json < 0 or html < json)


def build_error_body(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """Returns the JSON of an error response."""
    return {"__type": code or CODES.get(status, "InternalFailure"), "message": message}


def build_error_response(error: HttpError) -> JSONResponse:
    """Returns the response for a request that is refused."""
    body = build_error_body(error.status, str(error), error.code)
    if error.findings:
        body["findings"] = [finding.as_dict() for finding in error.findings]
    return JSONResponse(body, error.status, error.headers)
