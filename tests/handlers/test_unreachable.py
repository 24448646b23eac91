"""Exceptions which mean that a handler did not reach a service: the delivery waits and uses no attempt."""

import errno
import json
import socket
import urllib.error

import pytest

from evtool.handlers.processes import worker

SETTINGS = worker.Settings("pay", "payment:charge", "/nowhere", 30.0, 100, 1 << 20, "/nowhere/lost")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
TIMED_OUT = TimeoutError("timed out")
RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def client(name, *arguments, cause=None, context=None, base=Exception, **attributes):
    """An exception as a client library raises it: `name` is that of its module and class."""
    module, _, kind = name.rpartition(".")
    error = type(kind, (base,), {"__module__": module})(*arguments)
    error.__cause__, error.__context__ = cause, context or cause
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


def requests_error(kind, reason):
    """As requests wraps urllib3: its own exception, MaxRetryError in its arguments, the reason as that one's cause."""
    retry = client("urllib3.exceptions.MaxRetryError", "Max retries exceeded with url: /", cause=reason, reason=reason)
    return client(f"requests.exceptions.{kind}", retry, context=retry, base=OSError, response=None)


def urllib3_error(kind, cause):
    return client(f"urllib3.exceptions.{kind}", "Failed to establish a new connection", cause=cause)


def httpx_error(kind, error):
    core = client(f"httpcore.{kind}", error, context=error)
    return client(f"httpx.{kind}", str(error), cause=core)


def psycopg_error(text, kind="psycopg.OperationalError", **attributes):
    return client(kind, text, **{"sqlstate": None, **attributes})


def connect_timeout():
    """The exception of a connection that was not made in time: raised where one is made."""

    def create_connection():
        raise TimeoutError("timed out")

    try:
        create_connection()
    except TimeoutError as error:
        return error


def group(*errors):
    return ExceptionGroup("create_connection failed", errors)


NO_IPV6 = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

UNREACHABLE = {
    "refused": REFUSED,
    "no such name": NO_NAME,
    "connect timeout": connect_timeout(),
    "connect timeout of the system": TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    "no route": OSError(errno.EHOSTUNREACH, "No route to host"),
    "all addresses of asyncio": OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 9), [Errno 111] Connect call failed"
    ),
    "all addresses in a group": group(NO_IPV6, REFUSED),
    "own exception from it": client("payment.ChargeFailed", "no luck", cause=REFUSED),
    "two steps away": client("payment.A", cause=client("payment.B", cause=NO_NAME)),
    "in the arguments": client("payment.ChargeFailed", "no luck", REFUSED),
    "as the reason": client("payment.ChargeFailed", "no luck", reason=REFUSED),
    "urllib": urllib.error.URLError(REFUSED),
    "urllib name": urllib.error.URLError(NO_NAME),
    "urllib timeout": urllib.error.URLError(TIMED_OUT),
    "requests": requests_error("ConnectionError", urllib3_error("NewConnectionError", REFUSED)),
    "requests name": requests_error("ConnectionError", urllib3_error("NameResolutionError", NO_NAME)),
    "requests timeout": requests_error("ConnectTimeout", urllib3_error("ConnectTimeoutError", TIMED_OUT)),
    "urllib3": urllib3_error("NewConnectionError", REFUSED),
    "httpx": httpx_error("ConnectError", REFUSED),
    "httpx async": httpx_error("ConnectError", client("builtins.OSError", "All attempts failed", cause=REFUSED)),
    "httpx name": httpx_error("ConnectError", NO_NAME),
    "httpx timeout": httpx_error("ConnectTimeout", TIMED_OUT),
    "botocore": client(
        "botocore.exceptions.EndpointConnectionError",
        "Could not connect to the endpoint URL",
        context=urllib3_error("NewConnectionError", REFUSED),
    ),
    "botocore timeout": client(
        "botocore.exceptions.ConnectTimeoutError",
        "Connect timeout on endpoint URL",
        context=urllib3_error("ConnectTimeoutError", TIMED_OUT),
    ),
    "psycopg": psycopg_error('connection to server at "127.0.0.1", port 1 failed: Connection refused\n\tIs it up?'),
    "psycopg name": psycopg_error("failed to resolve host 'db.invalid': [Errno -2] Name or service not known"),
    "psycopg timeout": psycopg_error("connection timeout expired", "psycopg.errors.ConnectionTimeout"),
    "psycopg2": psycopg_error(
        'connection to server at "127.0.0.1", port 1 failed: Connection refused',
        "psycopg2.OperationalError",
        pgcode=None,
    ),
    "psycopg2 name": psycopg_error(
        'could not translate host name "db.invalid" to address: Name or service not known', "psycopg2.OperationalError"
    ),
    "redis": client(
        "redis.exceptions.ConnectionError", "Error 111 connecting to localhost:1. Connection refused.", context=REFUSED
    ),
    "redis name": client("redis.exceptions.ConnectionError", "Error -2 connecting to db.invalid:1.", context=NO_NAME),
    "redis timeout": client("redis.exceptions.TimeoutError", "Timeout connecting to server", context=TIMED_OUT),
    "aiohttp": client("aiohttp.client_exceptions.ClientConnectorError", None, REFUSED, cause=REFUSED, base=OSError),
    "aiohttp timeout": client("aiohttp.client_exceptions.ConnectionTimeoutError", "Connection timeout to host"),
    "pymongo": client("pymongo.errors.ServerSelectionTimeoutError", "localhost:1: [Errno 111] Connection refused"),
    "pymysql": client("pymysql.err.OperationalError", 2003, "Can't connect to MySQL server on 'x' (timed out)"),
    "pika": client(
        "pika.exceptions.AMQPConnectionError", client("pika.x.AMQPConnectorSocketConnectError", exception=REFUSED)
    ),
    "sqlalchemy": client(
        "sqlalchemy.exc.OperationalError",
        "(psycopg2.OperationalError)",
        cause=psycopg_error("port 1 failed: Connection refused", "psycopg2.OperationalError"),
        code="e3q8",
    ),
    "kafka": client("kafka.errors.NoBrokersAvailable", "NoBrokersAvailable"),
}

FAILED = {
    "bug in an except block": client("builtins.KeyError", "total", context=REFUSED, base=KeyError),
    "own exception in an except block": client("payment.ChargeFailed", "no luck", context=REFUSED),
    "read timeout": TIMED_OUT,
    "reset": RESET,
    "no such port name": socket.gaierror(socket.EAI_SERVICE, "Servname not supported"),
    "broken pipe": BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "no such file": FileNotFoundError(errno.ENOENT, "No such file"),
    "text of a stranger": RuntimeError("Connection refused"),
    "one of a group": group(REFUSED, KeyError("total")),
    "urllib status": urllib.error.HTTPError("http://x", 503, "Service Unavailable", None, None),
    "requests read": requests_error("ReadTimeout", urllib3_error("ReadTimeoutError", TIMED_OUT)),
    "requests retried read": requests_error("ConnectionError", urllib3_error("ReadTimeoutError", TIMED_OUT)),
    "requests status": client("requests.exceptions.HTTPError", "503 Server Error", base=OSError, response=503),
    "requests status in an except block": client(
        "requests.exceptions.HTTPError",
        "503 Server Error",
        base=OSError,
        response=503,
        context=client("redis.exceptions.ConnectionError", "Connection refused", context=REFUSED),
    ),
    "requests closed": requests_error("ConnectionError", urllib3_error("ProtocolError", RESET)),
    "httpx read": httpx_error("ReadTimeout", TIMED_OUT),
    "httpx status": client("httpx.HTTPStatusError", "Server error '503 Service Unavailable'", response=503),
    "httpx certificate": httpx_error("ConnectError", OSError(1, "certificate verify failed")),
    "botocore read": client(
        "botocore.exceptions.ReadTimeoutError",
        "Read timeout on endpoint URL",
        context=urllib3_error("ReadTimeoutError", TIMED_OUT),
    ),
    "botocore status": client("botocore.exceptions.ClientError", "Connection refused", response={"Error": {}}),
    "psycopg in a query": psycopg_error("could not connect to the other server: Connection refused", sqlstate="58000"),
    "psycopg terminated": psycopg_error("server closed the connection unexpectedly"),
    "redis read": client("redis.exceptions.TimeoutError", "Timeout reading from socket", context=TIMED_OUT),
    "redis closed": client("redis.exceptions.ConnectionError", "Connection closed by server."),
    "redis reply": client("redis.exceptions.ResponseError", "wrong number of arguments", context=REFUSED),
    "aiohttp read": client("aiohttp.client_exceptions.SocketTimeoutError", "Timeout on reading", base=TimeoutError),
    "pymysql read": client("pymysql.err.OperationalError", 2013, "Lost connection during query", context=TIMED_OUT),
}


def answer_of(error):
    """Returns the answer of the worker for a function that raises an exception."""

    def charge(event, context):
        context.emit("payment.authorized", {})
        raise error

    return json.loads(worker.call(charge, b"{}", SETTINGS, 1, 1).split(worker.SEPARATOR)[-1])


@pytest.mark.parametrize("error", UNREACHABLE.values(), ids=UNREACHABLE)
def test_unreachable_systems_make_the_handler_unavailable(error):
    """A refused connection, an unknown name or no connection in time, in the exceptions of any client library."""
    assert answer_of(error).keys() == {"unavailable"}


@pytest.mark.parametrize("error", FAILED.values(), ids=FAILED)
def test_errors_after_the_connection_are_failures(error):
    """A response, a time limit while the handler waits for it, or a bug: the attempt counts."""
    assert answer_of(error)["outcome"] == "failed"


def test_the_reason_names_the_cause():
    """An exception of the handler may hide its cause: the reason names both."""
    [reason] = answer_of(UNREACHABLE["own exception from it"]).values()

    assert reason == "ChargeFailed: no luck, because of ConnectionRefusedError: [Errno 111] Connection refused"


def test_circular_exceptions_end():
    """Exceptions may be each other's causes."""
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first

    assert answer_of(first)["outcome"] == "failed"


def test_a_hostile_exception_is_a_failure():
    """Its attributes raise exceptions."""

    class HostileError(Exception):
        def __getattr__(self, name):
            raise KeyboardInterrupt

    assert answer_of(HostileError("no"))["outcome"] == "failed"
