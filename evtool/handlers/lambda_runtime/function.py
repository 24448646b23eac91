"""Runs a Lambda function: starts its runtime, keeps it warm, and has it handle one event after the other."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
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

NO_BREAK_SPACE = "\u00a0"  # Python's client indents with it
MESSAGE_LIMIT = 500  # characters of an error's message


class _Runtime:
    """A process of the function, and its Runtime API."""

    def __init__(self, name: str, options: LambdaOptions, project: Path):
        """Starts it. Raises MissingClientError, UnsetVariableError or OSError."""
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
        self.process.send(b"", last=True)  # standard input is empty

    def end(self) -> tuple[int, str, str]:
        """Ends the process. Its exit code, what it has printed, and that on standard error alone."""
        code = self.process.end()
        self.endpoint.close()
        return code, self.take_output(), self.process.errors.take()

    def take_output(self) -> str:
        """What it has printed since the last time."""
        note, self.note = self.note, ""
        output = self.process.output.take().replace(NO_BREAK_SPACE, " ")
        return "\n".join(filter(None, [note, output]))


class LambdaFunction:
    """A function that is started at the first call, and again when its process is gone."""

    def __init__(self, name: str, options: LambdaOptions, project: Path):
        self._name, self._options, self._project = name, options, project.absolute()
        self._runtime: _Runtime | None = None

    def __call__(self, call: Call) -> Outcome:
        try:
            return self._hide_secrets(self._prepare() or self._invoke(call))
        except BaseException:  # interrupted: the function is in the middle of something
            self._end()
            raise

    def call_many(self, calls: Sequence[Call], latest: float, call_log: CallLog | None = None) -> Iterator[Answer]:
        """An answer for each call; none is begun after `latest`, a time of `time.monotonic()`."""
        for call in calls:
            started = time.monotonic()
            if started > latest:
                yield Answer(None)
                continue
            if call_log:
                call_log.log_began(call.delivery)
            yield Answer(self(call), time.monotonic() - started)

    def check(self) -> Unavailable | None:
        """Start and load the function. Why it cannot be, or None."""
        failure = self._prepare()
        if isinstance(failure, Failed):
            return Unavailable(self._redact(failure.error), "EV501")
        return failure and failure._replace(reason=self._redact(failure.reason))

    # --- loading ------------------------------------------------------------------------------------------------

    def _prepare(self) -> Unavailable | Failed | None:
        """Have a process that waits for an event. Why there can be none, or None."""
        if self._runtime and self._is_ready():
            return None
        self._end()  # it has ended since the last call, or hangs: that is no failure of this event
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
        """Wait until the process asks for an event. Whether it does."""
        assert self._runtime
        process, api = self._runtime.process, self._runtime.api
        api.check_connection()

        def is_decided() -> bool:
            return api.is_waiting or api.init_error is not None or process.has_exited()

        with suppress(TimeoutError):
            process.wait_until(is_decided, time.monotonic() + self._options.init_timeout)
        return api.is_waiting and api.init_error is None and not process.has_exited()

    def _end_loading(self) -> Unavailable | Failed:
        """End a process that has not asked for an event; the outcome of the call."""
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
        """Hand out the event, and wait for the result."""
        assert self._runtime
        runtime, options = self._runtime, self._options
        process, api = runtime.process, runtime.api
        emission = Emission(call, self._name, options)
        process.errors.take()  # of the calls before

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
            # Node's client ends a stream that fails on another connection, just before
            process.drain()
        api.end_invocation()
        process.receive_output()  # what was printed before the result
        if api.result is not None:
            outcome = outcome_of(api.result, runtime.take_output(), options.output)
            if isinstance(outcome, Failed) and (hint := memory_hint(outcome.error, options)):
                self._end()  # what fills its memory may stay there
                outcome = outcome._replace(error=outcome.error + hint)
            return emission.add_to(outcome)
        if api.has_asked_again:
            _, output, _ = self._end()
            return Failed("the runtime asked for the next event without a response to this one", output=output)
        code, output, errors = self._end()
        return self._describe_crash(code, output, errors, "without a response")

    def _describe_crash(self, code: int, output: str, errors: str, when: str) -> Failed:
        line = find_error_line(errors)
        message = ": ".join(filter(None, [f"the runtime ended {when}, {describe_exit(code)}", line]))[:MESSAGE_LIMIT]
        message += memory_hint(errors, self._options)
        return Failed(message, "crashed", output, code=format_exit_code(code))

    def _hide_secrets(self, outcome: Outcome) -> Outcome:
        """The outcome without the values of `${NAME}` in `environment`, which the function may have printed."""
        if isinstance(outcome, Unavailable):
            return outcome._replace(reason=self._redact(outcome.reason))
        if isinstance(outcome, Failed):
            outcome = outcome._replace(error=self._redact(outcome.error))
        return outcome._replace(output=self._redact(outcome.output))

    def _redact(self, text: str) -> str:
        return redact_values(text, chain.from_iterable(map(list_values, self._options.environment.values())))

    def _end(self) -> tuple[int, str, str]:
        """End the process, if there is one: its exit code, what it had printed, and that on standard error alone."""
        if self._runtime is None:
            return 0, "", ""
        runtime, self._runtime = self._runtime, None
        return runtime.end()

    def close(self) -> None:
        """End the process. A runtime waits for events only: there is nothing that it could finish."""
        self._end()
