#!/bin/sh
# uvicorn 0.54.0 with httptools 0.9.0: the application gets an empty body if the request offers HTTP/2 (`Upgrade: h2c`).
#
# RFC 9110 (7.8) lets a server ignore the offer and handle the request as HTTP/1.1, body included. Java's HttpClient sends the
# offer with the first request to an http:// address. uvicorn ignores it, as it logs, but the parser httptools stops after the
# headers, so that the body never reaches the application. The same server with h11 passes the body on.
#
# A receiver of webhooks or of EventBridge's PutEvents sees an empty request from such clients, and only from these.
# `evtool serve` renames the header before it is parsed (evtool/server/http/protocol.py).
#
# Seen: "httptools: 0 bytes" and "h11: 13 bytes". The script fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
"$folder/venv/bin/python" - >"$folder/out" <<'PY'
import asyncio
import uvicorn

BODY = b'{"total": 27}'
HEAD = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n\r\n"
)


async def count(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    content = f"{len(body)} bytes".encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def ask(http):
    config = uvicorn.Config(count, host="127.0.0.1", port=0, http=http, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + BODY)
    text = b""
    while not text.endswith(b"bytes"):
        part = await asyncio.wait_for(reader.read(4096), 60)
        if not part:
            break
        text += part
    writer.close()
    server.should_exit = True
    await task
    return text.rpartition(b"\r\n")[2].decode()


for parser in ("httptools", "h11"):
    print(f"{parser}: {asyncio.run(ask(parser))}")
PY
cat "$folder/out"
[ "$(cat "$folder/out")" = "httptools: 0 bytes
h11: 13 bytes" ]
