"""The program inside a worker process: loads one function and calls it for each event that it receives.

It is run by its path and imports nothing of evtool, so that it starts fast and leaves the handler's imports alone.
A message is 4 bytes of length, 4 bytes of the call's number, 8 bytes of nanoseconds, all big-endian, and as many bytes.
Events come in on what is stdin at first, ahead of time, with the latest `time.monotonic_ns()` to begin with them, and
8 bytes more: the delivery's number, under which the call log gets its start and its answer (see call_log.py).
Answers go out on a pipe of their own, under the number of their call and with its duration, as JSON:
`{"emitted": [[type, source], ...]}`, `{"error", "outcome", "code", "traceback", "spent"}`,
`{"unavailable": why}`, or `{"late": true}` for a call that was not begun. The first answer, number 0, is
`{"emitted": []}` or `{"unavailable": why, "unreachable": bool}`.
Before an answer come the details of what was emitted, each with a record separator after it, which is in no JSON text.
A worker that is `spent` has no memory or no file descriptors left, and ends. What is printed is log, with a mark after
each call.
An event that is emitted outside a running call, where nobody may see the exception, becomes a line `[call, delivery,
text]` of the file `lost_file` (see lost_emits.py). A file, since it can be written from any process.
"""

# pathlib is half as much again to import as all the rest
# ruff: noqa: PTH112, PTH113, PTH118, PTH119, PTH120, PTH122

from __future__ import annotations

import _thread
import atexit
import errno
import importlib
import importlib.util
import io
import os
import select
import signal
import sys
import time
import traceback
import types
import uuid
from collections import namedtuple
from collections.abc import Callable
from importlib.machinery import PathFinder
from json import dumps, loads  # themselves, whatever a handler does to the module

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import NoReturn

SEPARATOR = b"\x1e"  # as in RFC 7464, but after a text
SPENT = b'"spent": true}'  # how the answer ends of a worker that is
GRACE = 0.5  # seconds for a handler to come to its end when evtool is gone
MESSAGE_LIMIT = 500  # characters of an error's message
TRACEBACK_LIMIT = 16_384  # characters
CALL_LOG_LIMIT = 1 << 20  # bytes of an answer that is written into the call log, too

Function = Callable[[object, "Context"], object]

# name of the handler, "module:function", folder of routes.yaml, seconds, how many events and bytes it may emit, and the
# file that reports lost events; "" for none
Settings = namedtuple("Settings", "name target folder timeout emit_limit emit_bytes lost_file", defaults=("",))

ENDED = "after the call had ended; emit before the handler returns, and join its threads first"
OTHER_PROCESS = "in another process than the one that was called; return the data to that process and emit there"

_LOG_STREAM = time.strftime("%Y/%m/%d/[$LATEST]") + uuid.uuid4().hex
_REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


class UnavailableError(BaseException):
    """Raised by `context.unavailable`. No Exception, so that a handler does not catch it by mistake."""


class Emissions:
    """What one call emits, and whether it still may: while the call runs, and in the process that was called.

    All copies of a context share it, also those that went through pickle.
    """

    running: Emissions | None = None  # of the call under way in this process
    thread = 0  # that makes this call
    closed_files: set[str] = set()  # noqa: RUF012 - reports for these go to standard error, since nobody reads the file

    def __init__(self, settings: Settings, number: int, delivery: int):
        self.settings, self.number, self.delivery = settings, number, delivery
        self.pid = os.getpid()
        self.is_open = True
        self.is_reported = False
        self.events: list[tuple[str, str | None, bytes]] = []
        self.bytes = 0
        self.excess = ""
        self.unavailable: str | None = None  # why the handler cannot do its work now
        # a handler may emit in several threads, and in a signal handler of the thread that is just emitting
        self.lock = _thread.RLock()

    def __reduce__(self) -> tuple[Callable[..., Emissions], tuple[object, ...]]:
        return _restore_emissions, (self.settings, self.number, self.delivery, self.pid)

    def add(self, type: str, source: str | None, text: bytes) -> None:  # noqa: A002
        """Take an event. Raises RuntimeError if the call is over, ValueError if it is too much."""
        with self.lock:
            if self.is_open:
                self.bytes += len(text) + len(type.encode()) + len((source or "").encode())
                if len(self.events) >= self.settings.emit_limit:
                    self.excess = f"emitted more than {self.settings.emit_limit} events (emit_limit)"
                elif self.bytes > self.settings.emit_bytes:
                    self.excess = f"emitted more than {self.settings.emit_bytes} bytes (emit_bytes)"
                if self.excess:
                    raise ValueError(self.excess)
                self.events.append((type, source, text))
                return
        self.require_open(f"{type} is lost: emitted")

    def require_open(self, what: str) -> None:
        """Raise RuntimeError, and report it where nobody may see the exception, unless the call runs here."""
        is_here = os.getpid() == self.pid
        if is_here and self.is_open:
            return
        text = f"{what[:MESSAGE_LIMIT]} {ENDED if is_here else OTHER_PROCESS}"
        # what a call raises in its own thread is seen by the handler, and is the error of that call
        if not (is_here and Emissions.running and _thread.get_ident() == Emissions.thread) and not self.is_reported:
            self.is_reported = True  # a line for each call and process: a loop must not fill the disk
            self._report(text)
        raise RuntimeError(text)

    def _report(self, text: str) -> None:
        file = self.settings.lost_file
        if file in Emissions.closed_files:
            print(f"evtool: handler {self.settings.name}: {text}", file=sys.stderr)  # noqa: T201
            return
        try:
            stream = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        try:
            os.write(stream, dumps([self.number, self.delivery, text]).encode() + b"\n")
        except OSError:
            pass
        finally:
            os.close(stream)

    def close(self) -> None:
        """Take no more. In a child that a handler forked, a thread that is gone may hold the lock for ever."""
        if os.getpid() == self.pid:
            with self.lock:
                self.is_open = False


def _restore_emissions(settings: Settings, number: int, delivery: int, pid: int) -> Emissions:
    """Those of a context that was copied or pickled: in the same call of the same process the same ones."""
    running = Emissions.running
    if running and pid == os.getpid() and (running.settings, running.number) == (settings, number):
        return running
    emissions = Emissions(settings, number, delivery)
    emissions.pid, emissions.is_open = pid, False
    return emissions


class Context:
    """What a handler gets besides the event: all that a Lambda function gets, `emit` and `unavailable`.

    See https://docs.aws.amazon.com/lambda/latest/dg/python-context.html.
    """

    function_version = "$LATEST"
    memory_limit_in_mb = "128"
    log_stream_name = _LOG_STREAM
    identity = None
    client_context = None

    def __init__(self, settings: Settings, number: int = 0, delivery: int = 0):
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = settings.name
        self.invoked_function_arn = f"arn:aws:lambda:{_REGION}:000000000000:function:{settings.name}"
        self.log_group_name = f"/aws/lambda/{settings.name}"
        self._deadline = time.monotonic() + settings.timeout
        self._emissions = Emissions(settings, number, delivery)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time limit of this attempt."""
        return max(int((self._deadline - time.monotonic()) * 1000), 0)

    def log(self, message: object) -> None:
        """Print to the log."""
        sys.stdout.write(str(message))

    def emit(self, type: str, detail: dict[str, object], *, source: str | None = None) -> None:  # noqa: A002
        """Emit a new event: its type and its detail, a JSON object. Its source is the handler's name by default.

        It enters when the handler has done its work; if the handler fails, it is dropped.
        Raises TypeError or ValueError for what is not an event, and RuntimeError when the call has ended or runs in
        another process.
        """
        self._emissions.require_open(f"{type} is lost: emitted")
        for word, value in (("type", type), ("source", "default" if source is None else source)):
            if not isinstance(value, str):
                raise TypeError(f"emit: the {word} is a string, not {value.__class__.__name__}")
            if not value:
                raise ValueError(f"emit: the {word} is empty")
        if not isinstance(detail, dict):
            raise TypeError(f"emit: the detail of {type} is a JSON object (a dict), not {detail.__class__.__name__}")
        try:
            text = dumps(detail, ensure_ascii=False, allow_nan=False).encode()
            (type + (source or "")).encode()
        except RecursionError:
            raise ValueError(f"emit: {type} cannot be written as JSON: it is nested too deeply") from None
        except (TypeError, ValueError) as error:
            problem = _call_or_default(None, _find_problem, detail, "detail", ()) or error
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"emit: {type} cannot be written as JSON: {problem}") from None
        self._emissions.add(type, source, text + SEPARATOR)

    def unavailable(self, reason: object) -> NoReturn:
        """End the call, because what the handler works with is not available now.

        What was emitted is dropped. The delivery waits, without using an attempt. Raises RuntimeError when the call has
        ended or runs in another process.
        """
        self._emissions.require_open("unavailable() is ignored: called")
        self._emissions.unavailable = str(reason)[:MESSAGE_LIMIT] or "the handler did not say why"
        raise UnavailableError(self._emissions.unavailable)


# --- values that JSON does not have --------------------------------------------------------------------------------

# what to use instead of a value, by the name of its class or of one of its bases
REPLACEMENTS = {
    "Decimal": "float() or str()",
    "Fraction": "float() or str()",
    "complex": "str()",
    "date": "isoformat()",  # also a datetime
    "time": "isoformat()",
    "timedelta": "total_seconds()",
    "set": "list() or sorted()",
    "frozenset": "list() or sorted()",
    "bytes": "decode()",
    "bytearray": "decode()",
    "memoryview": "bytes() and decode()",
    "UUID": "str()",
    "PurePath": "str()",
    "Enum": "its value",
    "BaseModel": "model_dump(mode='json')",
    "Mapping": "dict()",
    "mappingproxy": "dict()",
    "MappingView": "list()",
    "dict_keys": "list()",
    "dict_values": "list()",
    "dict_items": "list()",
    "deque": "list()",
    "range": "list()",
    "generator": "list()",
    "coroutine": "await",
}
ATTRIBUTES = {"__dataclass_fields__": "dataclasses.asdict()", "tolist": "tolist()", "__next__": "list()"}
DEFAULT_REPLACEMENT = "a dict, list, str, int, float, bool or None"
NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _find_problem(value: object, path: str, parents: tuple[object, ...]) -> str | None:
    """Why a value cannot be written as JSON, with the path of the part: `detail.total is a Decimal, ...`."""
    if isinstance(value, (dict, list, tuple)):
        if any(value is parent for parent in parents):
            return f"{path} contains itself, which JSON cannot express"
        parents = (*parents, value)
    if isinstance(value, dict):
        for key, item in value.items():
            problem = _find_key_problem(key, path) or _find_problem(item, _extend_path(path, key), parents)
            if problem:
                return problem
        return None
    if isinstance(value, (list, tuple)):
        problems = (_find_problem(item, f"{path}[{index}]", parents) for index, item in enumerate(value))
        return next(filter(None, problems), None)
    if isinstance(value, float):
        name = NUMBERS.get(float.__repr__(value))
        return name and f"{path} is {name}, which JSON does not have; use None or a string"
    if value is None or isinstance(value, (str, int)):
        return None
    return f"{path} is {_describe_class(value)}, which JSON does not have; use {_suggest_replacement(value)}"


def _find_key_problem(key: object, path: str) -> str | None:
    if isinstance(key, float) and float.__repr__(key) in NUMBERS:
        return f"a key of {path} is {NUMBERS[float.__repr__(key)]}, which JSON does not have; use a string"
    if key is None or isinstance(key, (str, int, float)):
        return None
    return f"a key of {path} is {_describe_class(key)}; keys in JSON are strings"


def _extend_path(path: str, key: object) -> str:
    if isinstance(key, str):
        name = key
    else:
        name = dumps(key)
    if name.replace("-", "_").isidentifier():
        return f"{path}.{name}"
    return f"{path}[{dumps(name)}]"


def _describe_class(value: object) -> str:
    name = value.__class__.__name__
    if name == "bytes":
        return name
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def _suggest_replacement(value: object) -> str:
    for base in value.__class__.__mro__:
        if base.__name__ in REPLACEMENTS:
            return REPLACEMENTS[base.__name__]
    attributes = (name for name in ATTRIBUTES if hasattr(value, name))
    return ATTRIBUTES.get(next(attributes, ""), DEFAULT_REPLACEMENT)


# --- errors as people read them ------------------------------------------------------------------------------------


def _location_of(error: BaseException, folder: str) -> str:
    """Where in the project an error arose, ` (payment.py:12)`: the innermost place that is not in a library."""
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file.startswith(folder + os.sep) and "site-packages" not in file:
            location = f" ({os.path.basename(file)}:{line})"
    return location


def _call_or_default(default: object, function: Callable[..., object], *arguments: object) -> object:
    """The answer to a question about what a handler may have made; the other one if it raises an exception."""
    try:
        return function(*arguments)
    except BaseException:  # noqa: BLE001 - code of the handler
        return default


def _class_name_of(error: BaseException) -> str:
    return str(_call_or_default("an exception without a name", getattr, type(error), "__name__"))[:MESSAGE_LIMIT]


def describe(error: BaseException, folder: str) -> str:
    """An error in one line: `ValueError: the card is blocked (payment.py:12)`."""
    message = str.strip(_call_or_default("", str, error))  # type: ignore[arg-type]
    first = ": ".join([_class_name_of(error), *message.splitlines()[:1]])
    return first[:MESSAGE_LIMIT] + str(_call_or_default("", _location_of, error, folder))


def _format_traceback(error: BaseException) -> str:
    """All of it without our own frame."""
    handler_traceback = error.__traceback__ and error.__traceback__.tb_next
    return "".join(traceback.format_exception(type(error), error, handler_traceback))[-TRACEBACK_LIMIT:]


def _is_spent(error: BaseException) -> bool:
    """Whether a process got no more of what it never gives back. Frees what it can of it."""
    spent = isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENOMEM)
    )
    if spent:
        traceback.clear_frames(error.__traceback__)
    return spent


# --- what is not available -----------------------------------------------------------------------------------------

# Client libraries, by the first part of the module of their exceptions.
CLIENTS = frozenset(
    "MySQLdb aio_pika aiohttp aiokafka aiomysql amqp azure boto3 botocore cassandra confluent_kafka "  # noqa: SIM905
    "elastic_transport elasticsearch google grpc httpcore httpx kafka kombu ldap3 minio mysql nats neo4j opensearchpy "
    "oracledb paho paramiko pika psycopg psycopg2 pymemcache pymongo pymssql pymysql pyodbc redis requests smtplib "
    "sqlalchemy stripe twilio urllib urllib3 valkey websocket websockets zmq".split()
)
# How their exceptions are named that may come from a connection that could not be made.
CONNECTING = ("connect", "timeout", "operational", "urlerror", "network", "retry", "rpcerror", "kafka", "unavailable")
# Those that always do.
NOT_CONNECTED = frozenset(
    "AMQPConnectorSocketConnectError ClientConnectorDNSError ConnectTimeout ConnectTimeoutError "  # noqa: SIM905
    "ConnectionTimeoutError EndpointConnectionError NameResolutionError NewConnectionError NoBrokersAvailable".split()
)
# What the others say that keep no exception of the system.
NOT_CONNECTED_TEXTS = (
    "connection refused",
    "name or service not known",
    "nodename nor servname",
    "name resolution",
    "no address associated",
    "could not translate host name",
    "failed to resolve",
    "hostname lookup",
    "can't connect to",
    "timeout connecting",
    "timeout expired",
    "unable to bootstrap",
)
NO_ROUTE = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
NO_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # of one of several addresses, mostly that of IPv6


def find_unreachable(error: BaseException, visited: set[int]) -> BaseException | None:
    """The exception that says that what the handler works with was never reached, if there is one.

    It is the error itself, or in its `__cause__`, its `reason` or its arguments. What was being handled when the error
    was raised (`__context__`) counts only for exceptions of client libraries: in the handler's own code it may be a bug
    in an `except` block. A response, or a time limit while it was awaited, means that something was reached.
    """
    if id(error) in visited or len(visited) > 100:
        return None
    visited.add(id(error))
    names = {kind.__name__ for kind in type(error).__mro__ if str(kind.__module__).partition(".")[0] in CLIENTS}
    if names and (_has_response(error) or any("ReadTimeout" in name for name in names)):
        return None
    is_connecting = any(word in name.lower() for name in names for word in CONNECTING)
    if _is_not_connected(error):
        return error
    members = getattr(error, "exceptions", None)
    if isinstance(members, tuple):  # a group: each of them, since any other may be a bug
        found = [find_unreachable(e, visited) for e in members if getattr(e, "errno", None) not in NO_ADDRESS]
        return found[0] if found and all(found) else None
    reason = getattr(error, "reason", None)
    if "URLError" in names and "timeout" in type(reason).__name__.lower():  # while it connects: no later one is wrapped
        return error
    sources = [error.__cause__, reason, *error.args]
    if is_connecting:
        sources += [getattr(error, "exception", None), error.__context__]
    for source in sources:
        if isinstance(source, BaseException) and (source := find_unreachable(source, visited)):
            return source
    text = str(error).lower()
    is_known = names & NOT_CONNECTED or (is_connecting and any(part in text for part in NOT_CONNECTED_TEXTS))
    return error if is_known else None


def _has_response(error: BaseException) -> bool:
    """Whether an exception of a client library is about what came back."""
    status = [getattr(error, name, None) for name in ("status", "status_code", "code", "http_status")]
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "08"  # 08 and HY: no connection
    return (
        getattr(error, "response", None) is not None
        or any(isinstance(number, int) for number in status)
        or not str(state).startswith(("08", "HY"))
    )


def _is_not_connected(error: BaseException) -> bool:
    """Whether an exception of the system says so: refused, no such name, or no connection in time."""
    if not isinstance(error, OSError):
        return False
    import socket  # noqa: PLC0415  (not worth its time until an attempt fails)

    if isinstance(error, socket.gaierror):
        no_data = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)  # not on every system
        return error.errno in (socket.EAI_NONAME, no_data, socket.EAI_AGAIN, socket.EAI_FAIL)
    if isinstance(error, socket.timeout) and error.errno is None:
        frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        return frames[-1:] == ["create_connection"]
    if isinstance(error, ConnectionRefusedError) or error.errno in NO_ROUTE:
        return True
    # asyncio has one exception for all addresses of a name
    return type(error) is OSError and str(error).startswith("Multiple exc") and f"o {errno.ECONNREFUSED}]" in str(error)


def describe_load_failure(error: BaseException, folder: str) -> dict[str, object]:
    """Why a function cannot be loaded, and whether that is because its module reached nothing."""
    reason = _call_or_default("", _describe_unavailable, error, folder)
    return {"unavailable": reason or describe(error, folder), "unreachable": bool(reason)}


def _describe_unavailable(error: BaseException, folder: str) -> str:
    """Why a handler is not available, if an error says that it is not; else nothing."""
    found = find_unreachable(error, set())
    if found is None:
        return ""
    text, cause = describe(error, folder), describe(found, folder)
    if found is error or str(found) in text:
        return text
    return f"{text}, because of {cause}"[:MESSAGE_LIMIT]


# --- loading -------------------------------------------------------------------------------------------------------


def _load_file(path: str) -> types.ModuleType:
    if not os.path.isfile(path):
        raise ImportError(f"there is no file {path}")
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if os.path.dirname(path) not in sys.path:
        sys.path.insert(1, os.path.dirname(path))  # its neighbours can be imported, as those of a script
    spec.loader.exec_module(module)
    return module


def _prefer_folder(name: str, folder: str) -> None:
    """Have a module that is in the folder taken from there, though one of its name is installed or loaded already.

    Being first in `sys.path` is not enough: a package without `__init__.py` gives way to any that has one.
    """
    path = os.path.join(folder, *name.split("."))
    top = name.partition(".")[0]
    spec = PathFinder.find_spec(top, [folder])
    if spec is None or not (os.path.isfile(f"{path}.py") or os.path.isdir(path)):
        return
    loaded = getattr(sys.modules.get(top), "__spec__", None)
    if loaded and (loaded.origin, list(loaded.submodule_search_locations or ())) == (
        spec.origin,
        list(spec.submodule_search_locations or ()),
    ):
        return
    sys.modules[top] = module = importlib.util.module_from_spec(spec)
    if spec.loader:
        spec.loader.exec_module(module)


def load(target: str, folder: str) -> Function:
    """The function `module:function` or `path/to/file.py:function`, counted from the folder.

    Raises ImportError when it is not there, and whatever the module raises.
    """
    module, _, name = target.rpartition(":")
    importlib.invalidate_caches()
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    if module.endswith(".py"):
        value: object = _load_file(os.path.join(folder, module))
    else:
        _prefer_folder(module, folder)
        value = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    if value is None:
        raise ImportError(f"{module} has no function {name}")
    if not callable(value):
        raise ImportError(f"{name} in {module} is not a function")
    if isinstance(value, types.FunctionType) and not _takes_two_arguments(value):
        raise ImportError(
            f"{name} in {module} cannot be called with an event and a context: write {name}(event, context)"
        )
    return value


def _takes_two_arguments(function: types.FunctionType) -> bool:
    """Whether a function can be called with two positional arguments; `inspect` would take long to import."""
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    return required <= 2 and (code.co_argcount >= 2 or bool(code.co_flags & 0x04))  # 0x04: it has *arguments


# --- calling -------------------------------------------------------------------------------------------------------


def _check_result(result: object) -> None:
    """Whatever a handler returns is ignored, except what shows that none of it has run."""
    if isinstance(result, (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)):
        if not isinstance(result, types.AsyncGeneratorType):
            result.close()
        raise TypeError("the handler did nothing: it is an async function or a generator, not a plain function")


def call(
    function: Function,
    raw: bytes,
    settings: Settings,
    number: int,
    delivery: int,
    reraised: tuple[type[BaseException], ...] = (),
) -> bytes:
    """Call the function with an event; the answer. The `reraised` ones are raised; any other exception is a failure.

    `number` is that of the call, by which a lost event is reported.
    """
    context = Context(settings, number, delivery)
    emissions = Emissions.running = context._emissions
    Emissions.thread = _thread.get_ident()
    failure: dict[str, object] = {}
    try:
        _check_result(function(loads(raw), context))
    except reraised:
        raise
    except BaseException as error:  # noqa: BLE001 - code of the handler
        spent = _call_or_default(False, _is_spent, error)  # noqa: FBT003
        failure = {"error": describe(error, settings.folder), "outcome": "failed", "code": _class_name_of(error)}
        failure |= {"traceback": _call_or_default("", _format_traceback, error), "spent": spent}
        reason = _call_or_default("", _describe_unavailable, error, settings.folder)
        if reason:
            failure = {"unavailable": reason}
    finally:
        emissions.close()
        Emissions.running = None
    if emissions.excess:
        more = {"traceback": failure.get("traceback", ""), "spent": failure.get("spent", False)}
        failure = {"error": emissions.excess, "outcome": "bad-result", "code": None, **more}
    if emissions.unavailable is not None:  # also if the handler has caught the exception, or raised it in a thread
        failure = {"unavailable": emissions.unavailable}
    if failure:
        return dumps(failure).encode()
    details = b"".join(detail for _, _, detail in emissions.events)
    return details + dumps({"emitted": [(type, source) for type, source, _ in emissions.events]}).encode()  # noqa: A001


# --- the process ---------------------------------------------------------------------------------------------------


def _exit_with_evtool(requests: int, is_gone: list[bool]) -> None:
    """Wait in a thread until nobody can send requests any more; then end what does not end by itself."""
    poll = select.poll()
    poll.register(requests, 0)
    poll.poll()  # asked for nothing, it tells that the other end is closed
    is_gone.append(True)
    time.sleep(GRACE)
    os.killpg(os.getpid(), signal.SIGKILL)


def _open_stream(number: int) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)


def _is_open(stream: object) -> bool:
    """Whether it is a stream at all, and not closed or detached from its buffer."""
    return _call_or_default(None, getattr, stream, "closed") is False


def _restore_process(devnull: int, log: int, folder: int, recursion_limit: int) -> None:
    """Have the next call find standard input, the log, the folder and the recursion limit as the first one did."""
    sys.setrecursionlimit(recursion_limit)
    os.fchdir(folder)
    os.dup2(devnull, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if not _is_open(sys.stdin):
        sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")  # type: ignore[misc]
    if sys.stdout is not sys.__stdout__ or not _is_open(sys.stdout):
        sys.stdout = sys.__stdout__ = _open_stream(1)  # type: ignore[misc]
    if sys.stderr is not sys.__stderr__ or not _is_open(sys.stderr):
        sys.stderr = sys.__stderr__ = _open_stream(2)  # type: ignore[misc]


def _write(stream: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(stream, rest) :]
        except BlockingIOError:  # a handler or its child has set it so
            select.select([], [stream], [])


def _write_call_log(call_log: int, line: bytes) -> None:
    """Write a line into the call log, if there is one. If that fails, empty it: an incomplete log must not be read."""
    try:
        is_complete = call_log < 0 or os.write(call_log, line) == len(line)
    except OSError:
        is_complete = False
    if not is_complete:
        os.ftruncate(call_log, 0)


def _send_answer(replies: int, number: int, message: bytes, duration: int = 0) -> None:
    _write(replies, (len(message) << 96 | number << 64 | duration).to_bytes(16, "big") + message)


def _end_group(own_pid: int) -> None:
    if os.getpid() == own_pid:  # and not a child that the handler forked
        os.killpg(own_pid, signal.SIGKILL)


def main() -> None:
    """Serve events until there are no more. Arguments: the settings as a JSON array, the mark, and the file
    descriptors of the pipe for the answers and of the call log, -1 without one."""
    settings, mark, replies, call_log = Settings(*loads(sys.argv[1])), sys.argv[2].encode(), *map(int, sys.argv[3:])
    del sys.argv[1:]
    requests, log = os.fdopen(os.dup(0), "rb"), os.dup(1)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.set_inheritable(replies, False)  # noqa: FBT003 - it takes no keywords
    if call_log >= 0:
        os.set_inheritable(call_log, False)  # noqa: FBT003
    is_gone: list[bool] = []
    _thread.start_new_thread(_exit_with_evtool, (requests.fileno(), is_gone))
    own_pid = os.getpid()
    atexit.register(_end_group, own_pid)  # the first in is the last to run: children that are left end, too
    sys.stdout = sys.__stdout__ = _open_stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _open_stream(2)  # type: ignore[misc]
    failure = None
    try:
        function = load(settings.target, settings.folder)
    except BaseException as error:  # noqa: BLE001 - even sys.exit() at import
        failure = describe_load_failure(error, settings.folder)
    if os.getpid() != own_pid:
        os._exit(0)  # a child that the handler forked and let return
    _send_answer(replies, 0, dumps(failure or {"emitted": []}).encode())
    if failure is not None:
        return
    folder, recursion_limit = os.open(".", getattr(os, "O_PATH", os.O_RDONLY)), sys.getrecursionlimit()
    while (header := requests.read(24)) and not is_gone:
        fields = (header[:4], header[4:8], header[8:16], header[16:])
        length, number, latest, delivery = (int.from_bytes(field, "big") for field in fields)
        raw, started = requests.read(length), time.monotonic_ns()
        if started > latest:
            _write(log, mark)
            _send_answer(replies, number, b'{"late": true}')
            continue
        _write_call_log(call_log, b"\nbegan %d\n" % delivery)
        answer = call(function, raw, settings, number, delivery)
        duration = time.monotonic_ns() - started
        if os.getpid() != own_pid:
            os._exit(0)
        if len(answer) <= CALL_LOG_LIMIT:
            _write_call_log(call_log, b"\ntold %d %d %b\n" % (delivery, duration, answer))
        _restore_process(devnull, log, folder, recursion_limit)
        _write(log, mark)
        _send_answer(replies, number, answer, duration)
        if answer.endswith(SPENT):
            return


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):  # Python 3.10 has no such flag
        del sys.path[0]  # the folder of this file
    main()
