"""The program of a worker process: loads one function and calls it for each event that it receives.

evtool starts it by its path. It imports nothing of evtool, so that it starts fast, and that a handler finds no modules
loaded that it did not import.

evtool writes requests to the worker's stdin before the worker needs them, so that no time passes between two calls. The
worker writes answers to a separate pipe, since a handler may print anything to stdout. Numbers are big-endian, and the
length counts only the last part:

    request   length (4 bytes), call (4), latest start (8, time.monotonic_ns()), delivery (8), event
    answer    length (4 bytes), call (4), duration (8, nanoseconds), message

Example: evtool sends two events, and the handler emits one event for the first of them. <RS> is a record separator.

    worker -> evtool   answer of call 0: {"emitted": []}              the function is loaded
    evtool -> worker   request of call 1: latest start 9000, delivery 12, {"detail-type": "order.created", ...}
    evtool -> worker   request of call 2: latest start 9000, delivery 13, {"detail-type": "order.paid", ...}
    worker -> log      began 12                                       the call log, see call_log.py
    worker -> log      told 12 700 {"to": "a@example.com"}<RS>{"emitted": [["mail.sent", null]]}
    worker -> evtool   answer of call 1: 700 ns, {"to": "a@example.com"}<RS>{"emitted": [["mail.sent", null]]}
    worker -> evtool   answer of call 2: {"late": true}               the clock shows 9001, so the call does not start

The details of emitted events come first, each with a separator after it. evtool stores them without parsing them.
JSON text contains no record separator. The JSON object after them is one of:

    {"emitted": [[type, source], ...]}                                the call succeeded
    {"error", "outcome", "code", "traceback", "spent"}                it failed; a spent worker lacks memory or file
                                                                      descriptors, and exits after this answer
    {"unavailable": reason}                                           the handler did not reach what it works with
    {"late": true}                                                    the call did not start
    {"unavailable": reason, "unreachable": bool}                      answer 0 only: the function cannot be loaded

Everything that the handler prints is its log. The worker writes a mark into it after each call, which parts the logs of
the calls. An event that is emitted outside a running call, where the handler may not see the exception, becomes a line
`[call, delivery, text]` of the file `lost_file` (see lost_emits.py): any process can append to a file.
"""

# Importing pathlib takes half as long as everything else in this program.
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
import struct
import sys
import time
import traceback
import types
import uuid
from collections import namedtuple
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder

# The functions are imported, not their module: a handler may replace the functions of the module.
from json import dumps, loads

# Stands for the constant of typing, a module that is slow to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# The bytes before an event and before an answer. worker_protocol.py has the same two, since it shares no module.
REQUEST_HEADER = struct.Struct(">IIQQ")
ANSWER_HEADER = struct.Struct(">IIQ")

# The record separator of RFC 7464, which puts it before a JSON text. Here it comes after one.
SEPARATOR = b"\x1e"

# The end of the answer of a spent worker, which has to exit.
SPENT = b'"spent": true}'

# Seconds for a running call to finish after evtool is gone.
GRACE = 0.5

# Characters of the message of an error, and of a traceback.
MESSAGE_LIMIT = 500
TRACEBACK_LIMIT = 16_384

# Bytes of the longest answer that is copied to the call log. After a crash a longer one counts as not received.
CALL_LOG_LIMIT = 1 << 20

Function = Callable[[object, "Context"], object]

# The handler's name, "module:function", the folder of routes.yaml, the time limit in seconds, how many events and bytes
# a call may emit, and the file for lost events ("" for none).
Settings = namedtuple("Settings", "name target folder timeout emit_limit emit_bytes lost_file", defaults=("",))

ENDED = "after the call had ended; emit before the handler returns, and join its threads first"
OTHER_PROCESS = "in another process than the one that was called; return the data to that process and emit there"

_LOG_STREAM = time.strftime("%Y/%m/%d/[$LATEST]") + uuid.uuid4().hex
_REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


class UnavailableError(BaseException):
    """`context.unavailable` raises it. It is not an Exception, so that `except Exception` does not catch it."""


class Emissions:
    """The events that one call emits. It accepts them while the call runs, and only in the process of the call.

    All copies of a context share it, also those that a handler pickled.
    """

    # The emissions of the running call of this process, and the thread that runs the call.
    running: Emissions | None = None
    thread = 0

    # Files that evtool does not read any more: reports for them go to standard error.
    closed_files: set[str] = set()  # noqa: RUF012

    def __init__(self, settings: Settings, number: int, delivery: int):
        self.settings, self.number, self.delivery = settings, number, delivery
        self.pid = os.getpid()
        self.is_open = True
        self.is_reported = False
        self.events: list[tuple[str, str | None, bytes]] = []
        self.bytes = 0
        self.excess = ""
        # The reason that the handler gave to `context.unavailable`.
        self.unavailable: str | None = None
        # A handler may emit in several threads. It may also emit in a signal handler that interrupts `add`, which then
        # has the lock: only a reentrant lock avoids the deadlock.
        self.lock = _thread.RLock()

    def __reduce__(self) -> tuple[Callable[..., Emissions], tuple[object, ...]]:
        return _restore_emissions, (self.settings, self.number, self.delivery, self.pid)

    def add(self, type: str, source: str | None, text: bytes) -> None:  # noqa: A002
        """Accepts an event. Raises RuntimeError if the call has ended, ValueError if the call emitted too much."""
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
        """Raises RuntimeError unless the call runs in this process; reports it if the handler may not see that."""
        is_here = os.getpid() == self.pid
        if is_here and self.is_open:
            return
        reason = OTHER_PROCESS
        if is_here:
            reason = ENDED
        text = f"{what[:MESSAGE_LIMIT]} {reason}"
        # An exception in the thread of a running call becomes the error of that call, so it needs no report.
        is_in_call = is_here and Emissions.running and _thread.get_ident() == Emissions.thread
        # One report for each call and process is enough: a handler that emits in a loop must not fill the disk.
        if not is_in_call and not self.is_reported:
            self.is_reported = True
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
        """Accepts no more events."""
        # In a child that the handler forked, the lock may belong to a thread that does not exist there.
        if os.getpid() == self.pid:
            with self.lock:
                self.is_open = False


def _restore_emissions(settings: Settings, number: int, delivery: int, pid: int) -> Emissions:
    """Returns the emissions of a copied or pickled context: the same object while its call runs in this process."""
    running = Emissions.running
    if running and pid == os.getpid() and (running.settings, running.number) == (settings, number):
        return running
    emissions = Emissions(settings, number, delivery)
    emissions.pid, emissions.is_open = pid, False
    return emissions


class Context:
    """The second argument of a handler: the members of Lambda's context, `emit` and `unavailable`.

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
        """Returns the milliseconds until the time limit of this attempt."""
        return max(int((self._deadline - time.monotonic()) * 1000), 0)

    def log(self, message: object) -> None:
        """Prints to the log."""
        sys.stdout.write(str(message))

    def emit(self, type: str, detail: dict[str, object], *, source: str | None = None) -> None:  # noqa: A002
        """Emits an event with a type and a detail, which is a JSON object. The source is by default the handler's name.

        evtool stores the event when the handler returns, and drops it if the handler fails.
        Raises TypeError or ValueError for values that cannot be an event, and RuntimeError if the call has ended or
        runs in another process.
        """
        self._emissions.require_open(f"{type} is lost: emitted")
        _require_text("type", type)
        if source is not None:
            _require_text("source", source)
        if not isinstance(detail, dict):
            raise TypeError(f"emit: the detail of {type} is a JSON object (a dict), not {detail.__class__.__name__}")
        try:
            text = dumps(detail, ensure_ascii=False, allow_nan=False).encode()
            (type + (source or "")).encode()
        except RecursionError:
            raise ValueError(f"emit: {type} cannot be written as JSON: it is nested too deeply") from None
        except (TypeError, ValueError) as error:
            problem = _call_or_default(None, _find_problem, detail, "detail", ()) or error
            message = f"emit: {type} cannot be written as JSON: {problem}"
            if isinstance(error, TypeError):
                raise TypeError(message) from None
            raise ValueError(message) from None
        self._emissions.add(type, source, text + SEPARATOR)

    def unavailable(self, reason: object) -> NoReturn:
        """Ends the call, because a system that the handler needs is not available now.

        evtool drops the events that the call emitted. The delivery waits and uses no attempt. Raises RuntimeError if
        the call has ended or runs in another process.
        """
        self._emissions.require_open("unavailable() is ignored: called")
        self._emissions.unavailable = str(reason)[:MESSAGE_LIMIT] or "the handler did not say why"
        raise UnavailableError(self._emissions.unavailable)


def _require_text(word: str, value: object) -> None:
    """Raises TypeError or ValueError unless a value is a string that is not empty."""
    if not isinstance(value, str):
        raise TypeError(f"emit: the {word} is a string, not {value.__class__.__name__}")
    if not value:
        raise ValueError(f"emit: the {word} is empty")


# --- values that JSON does not have --------------------------------------------------------------------------------

# The advice for a value, by the name of its class or of one of its base classes. Names, since importing the classes
# would load modules that most handlers do not use. `date` is also a base class of datetime.
REPLACEMENTS = {
    "Decimal": "float() or str()",
    "Fraction": "float() or str()",
    "complex": "str()",
    "date": "isoformat()",
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
    """Returns why a value cannot be written as JSON, with the path of the part: `detail.total is a Decimal, ...`."""
    if isinstance(value, (dict, list, tuple)):
        if any(value is parent for parent in parents):
            return f"{path} contains itself, which JSON cannot express"
        parents += (value,)
    if isinstance(value, dict):
        return _find_dict_problem(value, path, parents)
    if isinstance(value, (list, tuple)):
        return _find_list_problem(value, path, parents)
    if isinstance(value, float):
        name = NUMBERS.get(float.__repr__(value))
        return name and f"{path} is {name}, which JSON does not have; use None or a string"
    if value is None or isinstance(value, (str, int)):
        return None
    return f"{path} is {_describe_class(value)}, which JSON does not have; use {_suggest_replacement(value)}"


def _find_dict_problem(value: dict[object, object], path: str, parents: tuple[object, ...]) -> str | None:
    for key, item in value.items():
        problem = _find_key_problem(key, path) or _find_problem(item, _extend_path(path, key), parents)
        if problem:
            return problem
    return None


def _find_list_problem(value: list[object] | tuple[object, ...], path: str, parents: tuple[object, ...]) -> str | None:
    for index, item in enumerate(value):
        problem = _find_problem(item, f"{path}[{index}]", parents)
        if problem:
            return problem
    return None


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
    article = "a"
    if name[:1].lower() in "aeio":
        article = "an"
    return f"{article} {name}"


def _suggest_replacement(value: object) -> str:
    for base in value.__class__.__mro__:
        if base.__name__ in REPLACEMENTS:
            return REPLACEMENTS[base.__name__]
    for attribute, replacement in ATTRIBUTES.items():
        if hasattr(value, attribute):
            return replacement
    return DEFAULT_REPLACEMENT


# --- errors as people read them ------------------------------------------------------------------------------------


def _location_of(error: BaseException, folder: str) -> str:
    """Returns where in the project an error arose, ` (payment.py:12)`: the innermost frame outside of libraries."""
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file.startswith(folder + os.sep) and "site-packages" not in file:
            location = f" ({os.path.basename(file)}:{line})"
    return location


def _call_or_default(default: object, function: Callable[..., object], *arguments: object) -> object:
    """Calls a function that runs code of the handler, such as `__str__`. Returns the default if it raises."""
    try:
        return function(*arguments)
    except BaseException:  # noqa: BLE001 - code of the handler
        return default


def _class_name_of(error: BaseException) -> str:
    return str(_call_or_default("an exception without a name", getattr, type(error), "__name__"))[:MESSAGE_LIMIT]


def describe(error: BaseException, folder: str) -> str:
    """Describes an error in one line: `ValueError: the card is blocked (payment.py:12)`."""
    message = str.strip(_call_or_default("", str, error))  # type: ignore[arg-type]
    summary = _class_name_of(error)
    if message:
        summary += f": {message.splitlines()[0]}"
    return summary[:MESSAGE_LIMIT] + str(_call_or_default("", _location_of, error, folder))


def _format_traceback(error: BaseException) -> str:
    # The first frame is that of this program.
    handler_traceback = error.__traceback__ and error.__traceback__.tb_next
    return "".join(traceback.format_exception(type(error), error, handler_traceback))[-TRACEBACK_LIMIT:]


def _is_spent(error: BaseException) -> bool:
    """Whether the worker lacks memory or file descriptors. Frees what the frames of the error hold."""
    spent = isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENOMEM)
    )
    if spent:
        traceback.clear_frames(error.__traceback__)
    return spent


# --- services that are not available -------------------------------------------------------------------------------

# Client libraries, by the first part of the module of their exceptions. Names, since the worker imports none of them.
CLIENTS = frozenset(
    "MySQLdb aio_pika aiohttp aiokafka aiomysql amqp azure boto3 botocore cassandra confluent_kafka "  # noqa: SIM905
    "elastic_transport elasticsearch google grpc httpcore httpx kafka kombu ldap3 minio mysql nats neo4j opensearchpy "
    "oracledb paho paramiko pika psycopg psycopg2 pymemcache pymongo pymssql pymysql pyodbc redis requests smtplib "
    "sqlalchemy stripe twilio urllib urllib3 valkey websocket websockets zmq".split()
)
# Parts of the names of their exceptions that may come from a connection that was not made.
CONNECTING = ("connect", "timeout", "operational", "urlerror", "network", "retry", "rpcerror", "kafka", "unavailable")
# Exceptions that always come from a connection that was not made.
NOT_CONNECTED = frozenset(
    "AMQPConnectorSocketConnectError ClientConnectorDNSError ConnectTimeout ConnectTimeoutError "  # noqa: SIM905
    "ConnectionTimeoutError EndpointConnectionError NameResolutionError NewConnectionError NoBrokersAvailable".split()
)
# Parts of the messages of exceptions that keep no exception of the system as their cause.
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
# A client that tries all addresses of a name also gets these, mostly for the IPv6 one.
NO_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def find_unreachable(error: BaseException, visited: set[int]) -> BaseException | None:
    """Returns the exception that says that the handler did not reach a system, or None.

    It is the error itself, or in its `__cause__`, its `reason` or its arguments. `__context__`, the exception that was
    being handled when the error was raised, counts only for exceptions of client libraries: in the handler's own code
    it may be a bug in an `except` block. A response, or a time limit while a response was awaited, means that the
    handler reached the system.
    """
    # Exceptions can refer to each other in a circle, and a handler can build chains of any length.
    if id(error) in visited or len(visited) > 100:
        return None
    visited.add(id(error))
    names = _list_client_classes(error)
    if names and (_has_response(error) or any("ReadTimeout" in name for name in names)):
        return None
    if _is_not_connected(error):
        return error
    members = getattr(error, "exceptions", None)
    if isinstance(members, tuple):
        return _find_unreachable_group(members, visited)
    reason = getattr(error, "reason", None)
    # urllib wraps a time limit only while it connects. After that it raises TimeoutError.
    if "URLError" in names and "timeout" in type(reason).__name__.lower():
        return error
    is_connecting = any(word in name.lower() for name in names for word in CONNECTING)
    sources = [error.__cause__, reason]
    sources.extend(error.args)
    if is_connecting:
        sources += [getattr(error, "exception", None), error.__context__]
    for source in sources:
        unreachable = isinstance(source, BaseException) and find_unreachable(source, visited)
        if unreachable:
            return unreachable
    if names & NOT_CONNECTED or (is_connecting and _has_connection_text(error)):
        return error
    return None


def _has_connection_text(error: BaseException) -> bool:
    text = str(error).lower()
    return any(part in text for part in NOT_CONNECTED_TEXTS)


def _list_client_classes(error: BaseException) -> set[str]:
    """Returns the names of an exception's classes that belong to a client library."""
    names = set()
    for kind in type(error).__mro__:
        if str(kind.__module__).partition(".")[0] in CLIENTS:
            names.add(kind.__name__)
    return names


def _find_unreachable_group(members: tuple[BaseException, ...], visited: set[int]) -> BaseException | None:
    """Returns the first exception of a group if all of its members are unreachable: any other one may be a bug."""
    results = [find_unreachable(e, visited) for e in members if getattr(e, "errno", None) not in NO_ADDRESS]
    if results and all(results):
        return results[0]
    return None


def _has_response(error: BaseException) -> bool:
    """Whether an exception of a client library is about a response."""
    if getattr(error, "response", None) is not None:
        return True
    for name in ("status", "status_code", "code", "http_status"):
        if isinstance(getattr(error, name, None), int):
            return True
    # SQLSTATE: class 08 means that there is no connection; ODBC drivers also use HY.
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "08"
    return not str(state).startswith(("08", "HY"))


def _is_not_connected(error: BaseException) -> bool:
    """Whether an exception of the system says: refused, unknown name, or not connected in time."""
    if not isinstance(error, OSError):
        return False
    # Imported only when an attempt fails, since it takes a noticeable part of the start.
    import socket  # noqa: PLC0415

    if isinstance(error, socket.gaierror):
        # EAI_NODATA does not exist on every system.
        no_data = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)
        return error.errno in (socket.EAI_NONAME, no_data, socket.EAI_AGAIN, socket.EAI_FAIL)
    if isinstance(error, socket.timeout) and error.errno is None:
        return _innermost_function(error) == "create_connection"
    if isinstance(error, ConnectionRefusedError) or error.errno in NO_ROUTE:
        return True
    # asyncio raises one exception for all addresses of a name.
    return type(error) is OSError and str(error).startswith("Multiple exc") and f"o {errno.ECONNREFUSED}]" in str(error)


def _innermost_function(error: BaseException) -> str:
    name = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_name
    return name


def describe_load_failure(error: BaseException, folder: str) -> dict[str, object]:
    """Returns why a function cannot be loaded, and whether the reason is a system that its module did not reach."""
    reason = _call_or_default("", _describe_unavailable, error, folder)
    return {"unavailable": reason or describe(error, folder), "unreachable": bool(reason)}


def _describe_unavailable(error: BaseException, folder: str) -> str:
    """Returns why a handler is not available; "" if an error does not mean that."""
    unreachable = find_unreachable(error, set())
    if unreachable is None:
        return ""
    text, cause = describe(error, folder), describe(unreachable, folder)
    if unreachable is error or str(unreachable) in text:
        return text
    return f"{text}, because of {cause}"[:MESSAGE_LIMIT]


# --- loading -------------------------------------------------------------------------------------------------------


def _load_file(path: str) -> types.ModuleType:
    if not os.path.isfile(path):
        raise ImportError(f"there is no file {path}")
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # The file can import modules of its folder, as a script can.
    if os.path.dirname(path) not in sys.path:
        sys.path.insert(1, os.path.dirname(path))
    spec.loader.exec_module(module)
    return module


def _prefer_folder(name: str, folder: str) -> None:
    """Has a module taken from the folder, although another one with its name is installed or loaded already.

    The first place in `sys.path` is not enough: Python prefers a package with `__init__.py` in any later place to a
    folder without one.
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
    """Returns the function `module:function` or `path/to/file.py:function`, relative to the folder.

    Raises ImportError if it does not exist, and any exception that the module raises.
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
    # 0x04 is CO_VARARGS: the function has *arguments.
    return required <= 2 and (code.co_argcount >= 2 or bool(code.co_flags & 0x04))


# --- calling -------------------------------------------------------------------------------------------------------


def _check_result(result: object) -> None:
    """Raises TypeError for a result which shows that the handler did not run. evtool ignores all other results."""
    if isinstance(result, (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)):
        # Python warns about a coroutine that is neither awaited nor closed.
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
    """Calls the function with an event and returns the answer.

    Any exception becomes a failure, except the `reraised` ones. `number` identifies the call in reports of lost events.
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
        failure = _describe_failure(error, settings.folder)
    finally:
        emissions.close()
        Emissions.running = None
    if emissions.excess:
        failure = {
            "error": emissions.excess,
            "outcome": "bad-result",
            "code": None,
            "traceback": failure.get("traceback", ""),
            "spent": failure.get("spent", False),
        }
    # Counts also if the handler caught the exception, or raised it in a thread.
    if emissions.unavailable is not None:
        failure = {"unavailable": emissions.unavailable}
    if failure:
        return dumps(failure).encode()
    details = b"".join(detail for _, _, detail in emissions.events)
    return details + dumps({"emitted": [(type, source) for type, source, _ in emissions.events]}).encode()  # noqa: A001


def _describe_failure(error: BaseException, folder: str) -> dict[str, object]:
    """Returns the answer for an exception of the handler. "spent" comes last: see SPENT."""
    # Asked first, since it frees memory, which the other answers need.
    spent = _call_or_default(False, _is_spent, error)  # noqa: FBT003
    reason = _call_or_default("", _describe_unavailable, error, folder)
    if reason:
        return {"unavailable": reason}
    return {
        "error": describe(error, folder),
        "outcome": "failed",
        "code": _class_name_of(error),
        "traceback": _call_or_default("", _format_traceback, error),
        "spent": spent,
    }


# --- the process ---------------------------------------------------------------------------------------------------


def _exit_with_evtool(requests: int, is_gone: list[bool]) -> None:
    """Waits in a thread until no process can send requests any more; then ends a call that does not end by itself."""
    poll = select.poll()
    # Registered for no event: poll() reports a closed pipe in any case.
    poll.register(requests, 0)
    poll.poll()
    is_gone.append(True)
    time.sleep(GRACE)
    os.killpg(os.getpid(), signal.SIGKILL)


def _open_stream(number: int) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)


def _is_open(stream: object) -> bool:
    """Whether a value is a stream that is neither closed nor detached from its buffer."""
    return _call_or_default(None, getattr, stream, "closed") is False


def _restore_process(devnull: int, log: int, folder: int, recursion_limit: int) -> None:
    """Restores standard input, the log, the folder and the recursion limit for the next call."""
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
        # A handler or one of its children may have made the pipe non-blocking.
        except BlockingIOError:
            select.select([], [stream], [])


def _write_call_log(call_log: int, line: bytes) -> None:
    """Writes a line to the call log, if there is one. Empties a log that cannot be written: it must not be read."""
    try:
        is_complete = call_log < 0 or os.write(call_log, line) == len(line)
    except OSError:
        is_complete = False
    if not is_complete:
        os.ftruncate(call_log, 0)


def _send_answer(replies: int, number: int, message: bytes, duration: int = 0) -> None:
    _write(replies, ANSWER_HEADER.pack(len(message), number, duration) + message)


def _read_requests(stream: io.BufferedReader, is_gone: list[bool]) -> Iterator[tuple[int, int, int, bytes]]:
    """Yields number, latest start, delivery and event of each request, until evtool closes the pipe or is gone."""
    while True:
        header = stream.read(REQUEST_HEADER.size)
        if len(header) < REQUEST_HEADER.size or is_gone:
            return
        length, number, latest, delivery = REQUEST_HEADER.unpack(header)
        raw = stream.read(length)
        # A killed evtool leaves half a request. The handler must not see it as an event.
        if len(raw) < length:
            return
        yield number, latest, delivery, raw


def _end_group(own_pid: int) -> None:
    # A child that the handler forked inherits the exit function, and must not end its parent.
    if os.getpid() == own_pid:
        os.killpg(own_pid, signal.SIGKILL)


def main() -> None:
    """Loads the function and serves requests until there are no more.

    Arguments: the settings as a JSON array, the mark, and the file descriptors of the pipe for answers and of the call
    log (-1 without one).
    """
    settings = Settings(*loads(sys.argv[1]))
    mark = sys.argv[2].encode()
    replies, call_log = map(int, sys.argv[3:])
    del sys.argv[1:]
    # Copies of stdin and stdout for this program. The handler gets an empty stdin.
    requests, log = os.fdopen(os.dup(0), "rb"), os.dup(1)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.set_inheritable(replies, False)  # noqa: FBT003 - it takes no keywords
    if call_log >= 0:
        os.set_inheritable(call_log, False)  # noqa: FBT003
    is_gone: list[bool] = []
    _thread.start_new_thread(_exit_with_evtool, (requests.fileno(), is_gone))
    own_pid = os.getpid()
    # Exit functions run in reverse order: registered first, this one ends children after all those of the handler.
    atexit.register(_end_group, own_pid)
    sys.stdout = sys.__stdout__ = _open_stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _open_stream(2)  # type: ignore[misc]
    failure = None
    try:
        function = load(settings.target, settings.folder)
    # A module can also call sys.exit() while it is imported.
    except BaseException as error:  # noqa: BLE001
        failure = describe_load_failure(error, settings.folder)
    # A child that the module forked and did not end.
    if os.getpid() != own_pid:
        os._exit(0)
    _send_answer(replies, 0, dumps(failure or {"emitted": []}).encode())
    if failure is not None:
        return
    folder, recursion_limit = os.open(".", getattr(os, "O_PATH", os.O_RDONLY)), sys.getrecursionlimit()
    for number, latest, delivery, raw in _read_requests(requests, is_gone):
        started = time.monotonic_ns()
        if started > latest:
            _write(log, mark)
            _send_answer(replies, number, b'{"late": true}')
            continue
        _write_call_log(call_log, b"\nbegan %d\n" % delivery)
        answer = call(function, raw, settings, number, delivery)
        duration = time.monotonic_ns() - started
        # A child that the handler forked and let return.
        if os.getpid() != own_pid:
            os._exit(0)
        # The log comes before the answer: if evtool is killed in between, recovery finds the answer there.
        if len(answer) <= CALL_LOG_LIMIT:
            _write_call_log(call_log, b"\ntold %d %d %b\n" % (delivery, duration, answer))
        _restore_process(devnull, log, folder, recursion_limit)
        _write(log, mark)
        _send_answer(replies, number, answer, duration)
        if answer.endswith(SPENT):
            return


if __name__ == "__main__":
    # Python puts the folder of this file first into sys.path, where a handler's `import process` would find evtool's.
    # Python 3.10 and older have no flag `safe_path`, with which it does not.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    main()
