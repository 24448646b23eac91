"""A client of the Lambda Runtime API without any package, for functions that misbehave as no official client does."""

import json
import os
import signal
import sys
import time
from http.client import HTTPConnection

API = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
PATH = "/2018-06-01/runtime/"
CONNECTIONS = []  # that stay open


def send(method, path, body=None, **headers):
    """The status and the body of a response."""
    API.request(method, PATH + path, body, headers)
    response = API.getresponse()
    return response, response.read()


def post(request_id, what, body=b"null", **headers):
    response, text = send("POST", f"invocation/{request_id}/{what}", body, **headers)
    print(what, response.status, text.decode().strip())


def handle(do, request_id):
    if do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "exit 0":
        sys.exit(0)
    elif do == "exit 3":
        print("no room left", file=sys.stderr)
        sys.exit(3)
    elif do == "hang":
        time.sleep(3600)
    elif do == "ask again":
        pass
    elif do == "double":
        post(request_id, "response")
        post(request_id, "response")
        post(request_id, "error", b"{}")
    elif do == "unknown id":
        post("nobody", "response")
        post(request_id, "response")
    elif do == "init error":
        response, text = send("POST", "init/error", b"{}")
        print(response.status, text.decode())
        post(request_id, "response")
    elif do == "too large":
        post(request_id, "response", b'"' + b"x" * 7_000_000 + b'"')
    elif do == "large":
        post(request_id, "response", b'"' + b"x" * 6_000_000 + b'"')
    elif do == "long header":
        cause = json.dumps({"message": "é" * 400_000}, ensure_ascii=False).encode()
        headers = {"Lambda-Runtime-Function-XRay-Error-Cause": cause}
        error = {"errorType": "Long", "errorMessage": "m", "stackTrace": ["  at here"]}
        response, text = None, None
        API.request("POST", f"{PATH}invocation/{request_id}/error", json.dumps(error).encode(), headers)
        API.getresponse().read()
    elif do == "not an object":
        post(request_id, "error", b"gone wrong")
    elif do == "broken stream":
        API.putrequest("POST", f"{PATH}invocation/{request_id}/response")
        API.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        API.putheader("Transfer-Encoding", "chunked")
        API.endheaders(b"3\r\nabc\r\n")
        API.close()
    elif do == "stream":
        API.putrequest("POST", f"{PATH}invocation/{request_id}/response")
        API.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        API.putheader("Transfer-Encoding", "chunked")
        API.endheaders(b"3\r\nabc\r\n")
        API.send(b"0\r\n\r\n")
        API.getresponse().read()
    elif do == "failed stream":
        API.putrequest("POST", f"{PATH}invocation/{request_id}/response")
        API.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        API.putheader("Transfer-Encoding", "chunked")
        API.putheader("Trailer", "Lambda-Runtime-Function-Error-Type")
        API.endheaders(b"3\r\nabc\r\n")
        API.send(b"0\r\nLambda-Runtime-Function-Error-Type: Function.Broken\r\n\r\n")
        API.getresponse().read()
    elif do == "failed stream on another connection":
        other = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        other.putrequest("POST", f"{PATH}invocation/{request_id}/response")
        other.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        other.putheader("Transfer-Encoding", "chunked")
        other.endheaders(b"2dc6c0\r\n" + b"x" * 3_000_000 + b"\r\n")
        other.send(b"0\r\nLambda-Runtime-Function-Error-Type: Function.Broken\r\n\r\n")
        CONNECTIONS.append(other)
    elif do == "garbage":
        API.sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        print(API.sock.recv(100).split(b"\r\n")[0].decode())
        API.close()
        post(request_id, "response")
    elif do == "web page":
        response, _ = send("POST", f"invocation/{request_id}/response", b"null", Origin="https://example.com")
        print(response.status)
        API.request("POST", f"{PATH}invocation/{request_id}/response", b"null", {"Host": "example.com"})
        response = API.getresponse()
        response.read()
        print(response.status)
        post(request_id, "response")
    elif do == "other paths":
        for method, path in (("GET", "invocation/x/response"), ("GET", "nothing"), ("GET", "../../ping")):
            response, text = send(method, path)
            print(response.status)
        post(request_id, "response")
    elif do == "environment":
        print(json.dumps(dict(os.environ)))
        post(request_id, "response")
    elif do == "flood":
        sys.stderr.write("x" * 1_000_000 + "\nthe end\n")
        post(request_id, "response")
    elif do == "headers":
        print(json.dumps(HEADERS))
        post(request_id, "response")
    else:
        post(request_id, "response", json.dumps(do).encode())


if os.environ.get("LOAD") == "hang":
    time.sleep(3600)
if os.environ.get("LOAD") == "exit":
    print("there is no database", file=sys.stderr)
    sys.exit(7)
if error := os.environ.get("LOAD_ERROR"):
    send("POST", "init/error", error.encode())
    sys.exit(1)
while True:
    RESPONSE, EVENT = send("GET", "invocation/next")
    HEADERS = dict(RESPONSE.getheaders())
    handle(json.loads(EVENT)["do"], HEADERS["Lambda-Runtime-Aws-Request-Id"])
