"""Converts what a Lambda runtime has posted to the outcome of an attempt."""

import base64
import json
from contextlib import suppress
from typing import Any, NamedTuple

from evtool.findings.phrases import shorten
from evtool.handlers.base import Done, Failed, Outcome, Unavailable
from evtool.handlers.lambda_runtime.runtime_api import ERROR_BODY, ERROR_TYPE, Posted

MESSAGE_LIMIT = 500  # characters of an error's message
STACK_FRAMES = 50  # of an error that are kept

# errors of loading a function that are mistakes in the project: a missing file, module or function
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
# how Node.js reports a missing package that a module imports
LOAD_MISTAKE_MESSAGES = ("Cannot find module", "Cannot find package")
OLD_NODE_CLIENT = "; for such a handler, install the client before 4: npm install aws-lambda-ric@3"
DURABLE = "; a durable function cannot run here: it needs the service that keeps its steps"


class ErrorReport(NamedTuple):
    """An error as a runtime reports it."""

    type: str
    message: str
    stack: str

    @property
    def text(self) -> str:
        """One line: the type and the message."""
        text = ": ".join(filter(None, [self.type, " ".join(self.message.split())]))
        if self.type.endswith("CallbackHandlerDeprecated"):
            text = text.rstrip(".") + OLD_NODE_CLIENT
        elif self.type.endswith("ExecutionError") and "Unexpected payload" in self.message:
            text = text.rstrip(".") + DURABLE
        return shorten(text, MESSAGE_LIMIT)

    @property
    def is_unreachable(self) -> bool:
        """Whether the function has not reached what it works with."""
        return self.type == "ConnectionRefusedError" or "ECONNREFUSED" in self.message


def outcome_of(posted: Posted, output: str, output_limit: int) -> Outcome:
    """The outcome of an invocation, without the events that it has emitted."""
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
    return Done(output=f"{output.rstrip()}\n{note}".lstrip() if note else output)


def load_outcome_of(posted: Posted, output: str, output_limit: int) -> Unavailable | Failed:
    """The outcome if a function could not be loaded."""
    report = read_error(posted)
    outcome = _fail(report, output, output_limit)
    is_mistake = any(name in report.type for name in LOAD_MISTAKES) or report.message.startswith(LOAD_MISTAKE_MESSAGES)
    if isinstance(outcome, Failed) and is_mistake:
        return Unavailable(report.text, "EV502" if "NativeClientLoading" in report.type else "EV501")
    return outcome


def read_error(posted: Posted) -> ErrorReport:
    """The error in a body, or in the trailers of a stream; a body may have any form."""
    headers, body = posted.request.headers, posted.request.body
    if ERROR_BODY in headers:
        with suppress(ValueError):
            body = base64.b64decode(headers[ERROR_BODY], validate=True)
    header_type = headers.get(ERROR_TYPE, "")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        text = body.decode(errors="replace")
        return ErrorReport(header_type or "Error", "" if posted.is_stream and ERROR_BODY not in headers else text, "")
    stack = value.get("stackTrace") or value.get("trace") or ()
    if isinstance(stack, list):
        frames = [_format_frame(frame) for frame in stack]
    else:
        frames = []
    error_type, message = value.get("errorType"), value.get("errorMessage")
    return ErrorReport(
        error_type if isinstance(error_type, str) and error_type else header_type or "Error",
        message if isinstance(message, str) else "",
        "\n".join(frames[:STACK_FRAMES]),
    )


def _format_frame(frame: Any) -> str:
    """A line of a stack: text, or an object of Go's client."""
    if isinstance(frame, dict):
        return f"  {frame.get('path')}:{frame.get('line')} {frame.get('label')}"
    return str(frame).rstrip()


def _fail(report: ErrorReport, output: str, output_limit: int) -> Unavailable | Failed:
    if report.is_unreachable:
        return Unavailable(report.text)
    # most clients have printed the error themselves
    is_printed = report.message[:100] in output
    if is_printed:
        log = output
    else:
        log = "\n".join(filter(None, [output.rstrip("\n"), report.text, report.stack]))
    return Failed(report.text, output=log[max(len(log) - output_limit, 0) :], code=report.type)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"it contains {name}")


def _describe_result(body: bytes) -> str:
    """A note for the log if a result is not JSON; empty if it is."""
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
