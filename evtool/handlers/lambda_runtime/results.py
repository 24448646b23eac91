"""Converts the response or the error that a Lambda runtime posted to the outcome of an attempt."""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from evtool.findings.phrases import shorten
from evtool.handlers.base import Done, Failed, Outcome, Unavailable
from evtool.handlers.lambda_runtime.runtime_api import ERROR_BODY, ERROR_TYPE, Posted

# Characters of the message of an error, and frames of its stack.
MESSAGE_LIMIT = 500
STACK_FRAMES = 50

# Errors of loading that are mistakes in the project: a missing file, module or function. The clients for different
# languages put different prefixes before these names.
LOAD_MISTAKES = (
    "BuiltInModuleConflict",
    "CallbackHandlerDeprecated",
    "HandlerNotFound",
    "ImportModuleError",
    "MalformedHandlerName",
    "UserCodeSyntaxError",
    "LoadError",
    "ClassNotFound",
    "BadFunctionCode",
    "NativeClientLoading",
)

# The messages of Node.js for a missing package that a module imports.
LOAD_MISTAKE_MESSAGES = ("Cannot find module", "Cannot find package")
OLD_NODE_CLIENT = "; for such a handler, install the client before 4: npm install aws-lambda-ric@3"
DURABLE = "; a durable function cannot run here: it needs the service that keeps its steps"


class ErrorReport(NamedTuple):
    """An error that a runtime reported."""

    type: str
    message: str
    stack: str

    @property
    def text(self) -> str:
        """The type and the message in one line."""
        message = " ".join(self.message.split())
        text = f"{self.type}: {message}"
        if not self.type or not message:
            text = self.type or message
        if self.type.endswith("CallbackHandlerDeprecated"):
            text = text.rstrip(".") + OLD_NODE_CLIENT
        elif self.type.endswith("ExecutionError") and "Unexpected payload" in self.message:
            text = text.rstrip(".") + DURABLE
        return shorten(text, MESSAGE_LIMIT)

    @property
    def is_unreachable(self) -> bool:
        """Whether the function did not reach a system that it needs."""
        return self.type == "ConnectionRefusedError" or "ECONNREFUSED" in self.message


def outcome_of(posted: Posted, output: str, output_limit: int) -> Outcome:
    """Returns the outcome of an invocation, without the events that it emitted."""
    request = posted.request
    if posted.is_error:
        return _fail(read_error(posted), output, output_limit)
    if posted.is_stream:
        if ERROR_TYPE in request.headers or ERROR_BODY in request.headers:
            return _fail(read_error(posted), output, output_limit)
        return Done(output=output)
    if request.is_too_large:
        message = "Function.ResponseSizeTooLarge: the response is longer than 6 MiB"
        return Failed(message, output=output, code="Function.ResponseSizeTooLarge")
    note = _describe_result(request.body)
    if note:
        output = f"{output.rstrip()}\n{note}".lstrip()
    return Done(output=output)


def load_outcome_of(posted: Posted, output: str, output_limit: int) -> Unavailable | Failed:
    """Returns the outcome if the runtime reported an error while it loaded the function."""
    report = read_error(posted)
    outcome = _fail(report, output, output_limit)
    is_mistake = any(name in report.type for name in LOAD_MISTAKES) or report.message.startswith(LOAD_MISTAKE_MESSAGES)
    if not isinstance(outcome, Failed) or not is_mistake:
        return outcome
    # A part of the client is missing, and not of the function.
    if "NativeClientLoading" in report.type:
        return Unavailable(report.text, "EV502")
    return Unavailable(report.text, "EV501")


def read_error(posted: Posted) -> ErrorReport:
    """Reads the error in a body, or in the trailers of a stream. A body may have any form."""
    headers, body = posted.request.headers, posted.request.body
    if ERROR_BODY in headers:
        with suppress(ValueError):
            body = base64.b64decode(headers[ERROR_BODY], validate=True)
    default_type = headers.get(ERROR_TYPE, "") or "Error"
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return ErrorReport(
            _get_text(value, "errorType") or default_type,
            _get_text(value, "errorMessage"),
            _format_stack(value.get("stackTrace") or value.get("trace")),
        )
    # The body of a stream is the beginning of the result, and not the error.
    if posted.is_stream and ERROR_BODY not in headers:
        return ErrorReport(default_type, "", "")
    return ErrorReport(default_type, body.decode(errors="replace"), "")


def _get_text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    if isinstance(text, str):
        return text
    return ""


def _format_stack(stack: Any) -> str:
    if not isinstance(stack, list):
        return ""
    return "\n".join(_format_frame(frame) for frame in stack[:STACK_FRAMES])


def _format_frame(frame: Any) -> str:
    """Returns a line of a stack. Go's client sends objects, the others send strings."""
    if isinstance(frame, dict):
        return f"  {frame.get('path')}:{frame.get('line')} {frame.get('label')}"
    return str(frame).rstrip()


def _fail(report: ErrorReport, output: str, output_limit: int) -> Unavailable | Failed:
    if report.is_unreachable:
        return Unavailable(report.text)
    log = output
    # Most clients have printed the error themselves.
    if report.message[:100] not in output:
        log = "\n".join(filter(None, [output.rstrip("\n"), report.text, report.stack]))
    return Failed(report.text, output=log[max(len(log) - output_limit, 0) :], code=report.type)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"it contains {name}")


def _describe_result(body: bytes) -> str:
    """Returns a note for the log if a result is not JSON; "" if it is."""
    try:
        json.loads(body, parse_constant=_reject_constant)
    except RecursionError:
        return ""
    except ValueError as error:
        reason = "it is empty"
        if body.strip():
            reason = str(error)
        return f"evtool: the result is not JSON: {reason}"
    return ""
