"""Runs a Lambda function: starts its runtime, keeps it warm, and gives it one event after the other.

A function is a process that asks for events. Its whole life, with the requests that it makes:

    evtool     starts the process with AWS_LAMBDA_RUNTIME_API=127.0.0.1:40003
    function   loads its code           GET  /2018-06-01/runtime/invocation/next            (no response yet)
    evtool     has an event             response to /next: the event, with its request id
    function   handles it               POST /2018-06-01/runtime/invocation/ID/response     the outcome: done
    function   is ready again           GET  /2018-06-01/runtime/invocation/next
    evtool     closes the handler, and ends the process

Each process has its own address, so that evtool knows which process sends a request (see processes/endpoint.py).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from evtool.handlers.base import Answer, Call, Failed, Outcome, Unavailable
from evtool.handlers.http_exchange.redaction import redact_values
from evtool.handlers.lambda_runtime.environment import build_environment
from evtool.handlers.lambda_runtime.options import LambdaOptions
from evtool.handlers.lambda_runtime.results import load_outcome_of, outcome_of
from evtool.handlers.lambda_runtime.runtime_api import Invocation, RuntimeApi
from evtool.handlers.lambda_runtime.runtimes import (
    MissingClientError,
    StartCommand,
    describe_missing,
    describe_other_version,
    find_missing_client,
    find_start_command,
)
from evtool.handlers.processes.call_log import CallLog
from evtool.handlers.processes.endpoint import Endpoint
from evtool.handlers.processes.error_lines import find_error_line
from evtool.handlers.processes.exits import describe_exit, format_exit_code, memory_hint
from evtool.handlers.processes.process import Process
from evtool.handlers.processes.programs import UnsetVariableError, list_values
from evtool.handlers.put_events import Emission

# The client for Python indents stacks with it.
NO_BREAK_SPACE = "\u00a0"

# Characters of the message of an error.
MESSAGE_LIMIT = 500


class _Runtime:
    """A process of the function, with its Runtime API."""

    def __init__(self, name: str, options: LambdaOptions, project: Path):
        """Starts the process. Raises MissingClientError, UnsetVariableError or OSError."""
        folder = (project / options.folder).absolute()
        self.command: StartCommand = find_start_command(options, project)
        self.api = RuntimeApi()
        self.endpoint = Endpoint(self.api.serve)
        try:
            environment = build_environment(name, options, folder, self.endpoint.address)
            self.note = describe_other_version(self.command, options.runtime_name.version)
            self.process = Process(self.command.arguments, folder, options, environment)
        except BaseException:
            self.endpoint.close()
            raise
        self.arn = f"arn:aws:lambda:{environment[b'AWS_REGION'].decode()}:000000000000:function:{name}"
        self.endpoint.attach(self.process)
        # The function gets an empty standard input.
        self.process.send(b"", last=True)

    def end(self) -> tuple[int, str, str]:
        """Ends the process. Returns its exit code, its output, and what it printed on standard error."""
        code = self.process.end()
        self.endpoint.close()
        return code, self.take_output(), self.process.errors.take()

    def take_output(self) -> str:
        """Takes what the process has printed since the last time."""
        note, self.note = self.note, ""
        output = self.process.output.take().replace(NO_BREAK_SPACE, " ")
        return "\n".join(filter(None, [note, output]))


class LambdaFunction:
    """A function that is started at the first call, and again if its process has exited."""

    def __init__(self, name: str, options: LambdaOptions, project: Path):
        self._name, self._options, self._project = name, options, project.absolute()
        self._runtime: _Runtime | None = None

    def __call__(self, call: Call) -> Outcome:
        try:
            return self._hide_secrets(self._prepare() or self._invoke(call))
        # An interrupted call may still run. The next event needs a new process.
        except BaseException:
            self._end()
            raise

    def call_many(self, calls: Sequence[Call], latest: float, call_log: CallLog | None = None) -> Iterator[Answer]:
        """Yields an answer for each call. Starts no call after `latest`, a time of `time.monotonic()`."""
        for call in calls:
            started = time.monotonic()
            if started > latest:
                yield Answer(None)
                continue
            if call_log:
                call_log.log_began(call.delivery)
            yield Answer(self(call), time.monotonic() - started)

    def check(self) -> Unavailable | None:
        """Starts and loads the function. Returns why this is not possible, or None."""
        failure = self._prepare()
        if isinstance(failure, Failed):
            return Unavailable(self._redact(failure.error), "EV501", is_failure=True)
        return failure and failure._replace(reason=self._redact(failure.reason))

    # --- loading ------------------------------------------------------------------------------------------------

    def _prepare(self) -> Unavailable | Failed | None:
        """Makes sure that a process waits for an event. Returns why this is not possible, or None."""
        if self._runtime and self._is_ready():
            return None
        # The process has ended since the last call, or hangs. This event is not the reason, so it gets a new process.
        self._end()
        try:
            self._runtime = _Runtime(self._name, self._options, self._project)
        except UnsetVariableError as error:
            return Unavailable(str(error), "EV503")
        except (MissingClientError, OSError) as error:
            return describe_missing(error, self._options.folder)
        if self._is_ready():
            return None
        return self._end_loading()

    def _is_ready(self) -> bool:
        """Waits until the process asks for an event, at most `init_timeout`. Returns whether it asks."""
        assert self._runtime
        process, api = self._runtime.process, self._runtime.api
        api.check_connection()

        def is_decided() -> bool:
            return api.is_waiting or api.init_error is not None or process.has_exited()

        with suppress(TimeoutError):
            process.wait_until(is_decided, time.monotonic() + self._options.init_timeout)
        return api.is_waiting and api.init_error is None and not process.has_exited()

    def _end_loading(self) -> Unavailable | Failed:
        """Ends a process that did not ask for an event. Returns the outcome of the call."""
        assert self._runtime
        runtime, options = self._runtime, self._options
        has_exited = runtime.process.has_exited()
        code, output, errors = self._end()
        if runtime.api.init_error:
            return load_outcome_of(runtime.api.init_error, output, options.output)
        missing = find_missing_client(options, runtime.command.arguments[0], errors)
        if missing:
            return missing
        if not has_exited:
            message = f"loading took longer than {options.init_timeout:g}s (init_timeout)"
            return Failed(message, "timeout", output)
        return self._describe_crash(code, output, errors, "while it was loaded")

    # --- an invocation ------------------------------------------------------------------------------------------

    def _invoke(self, call: Call) -> Outcome:
        """Gives the event to the function, and waits for the result."""
        assert self._runtime
        runtime, options = self._runtime, self._options
        process, api = runtime.process, runtime.api
        emission = Emission(call, self._name, options)
        # Drops the errors of earlier calls.
        process.errors.take()

        def is_decided() -> bool:
            return api.result is not None or api.has_asked_again or process.has_exited()

        started = time.monotonic()
        api.invoke(Invocation(call.raw, time.time() + options.timeout, runtime.arn, emission))
        try:
            process.wait_until(is_decided, started + options.timeout)
        except TimeoutError:
            _, output, _ = self._end()
            return Failed(f"took longer than {options.timeout:g}s (timeout)", "timeout", output)
        if api.has_asked_again:
            # If a stream fails, Node's client reports it on another connection, just before it asks again.
            process.drain()
        api.end_invocation()
        # The function printed this before the result, but on another pipe.
        process.receive_output()
        if api.result is not None:
            outcome = outcome_of(api.result, runtime.take_output(), options.output)
            return emission.add_to(self._handle_full_memory(outcome))
        if api.has_asked_again:
            _, output, _ = self._end()
            return Failed("the runtime asked for the next event without a response to this one", output=output)
        code, output, errors = self._end()
        return self._describe_crash(code, output, errors, "without a response")

    def _handle_full_memory(self, outcome: Outcome) -> Outcome:
        """Ends the process if it had no memory left: the next event would fail for the same reason."""
        if not isinstance(outcome, Failed):
            return outcome
        hint = memory_hint(outcome.error, self._options)
        if not hint:
            return outcome
        self._end()
        return outcome._replace(error=outcome.error + hint)

    def _describe_crash(self, code: int, output: str, errors: str, when: str) -> Failed:
        message = f"the runtime ended {when}, {describe_exit(code)}"
        line = find_error_line(errors)
        if line:
            message += f": {line}"
        message = message[:MESSAGE_LIMIT] + memory_hint(errors, self._options)
        return Failed(message, "crashed", output, code=format_exit_code(code))

    def _hide_secrets(self, outcome: Outcome) -> Outcome:
        """Removes the values of `${NAME}` in `environment` from an outcome: the function may have printed them."""
        if isinstance(outcome, Unavailable):
            return outcome._replace(reason=self._redact(outcome.reason))
        if isinstance(outcome, Failed):
            outcome = outcome._replace(error=self._redact(outcome.error))
        return outcome._replace(output=self._redact(outcome.output))

    def _redact(self, text: str) -> str:
        values: list[str] = []
        for setting in self._options.environment.values():
            values += list_values(setting)
        return redact_values(text, values)

    def _end(self) -> tuple[int, str, str]:
        """Ends the process, if there is one. Returns its exit code, its output, and what it printed on stderr."""
        if self._runtime is None:
            return 0, "", ""
        runtime, self._runtime = self._runtime, None
        return runtime.end()

    def close(self) -> None:
        """Ends the process. Between calls a runtime only waits, so that it needs no time to finish."""
        self._end()
