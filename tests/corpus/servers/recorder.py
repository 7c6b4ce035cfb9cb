"""A Python HTTP server (uvicorn on h11, which serves the Python MCP SDK) that records every request as its parser read
it from the connection, and every byte sequence it could not parse. `GET /recorded` returns the record and clears it. All
texts are Latin-1, one character for each byte."""

import asyncio
import json
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

record = {"requests": [], "errors": []}


class Protocol(H11Protocol):
    """uvicorn's own protocol, which records what it refused."""

    def send_400_response(self, msg):
        record["errors"].append(msg)
        super().send_400_response(msg)


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            record["errors"].append("disconnected in the middle of a body")
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def answer(send, body):
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def application(scope, receive, send):
    if scope["path"] == "/recorded":
        text = json.dumps(record).encode()
        record.update(requests=[], errors=[])
        await answer(send, text)
        return
    body = await body_of(receive)
    if body is None:
        return
    query = scope["query_string"].decode("latin-1")
    record["requests"].append(
        {
            "connection": scope["client"][1],
            "method": scope["method"],
            "target": scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "body": body.decode("latin-1"),
        }
    )
    await answer(send, body or b"{}")


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    config = uvicorn.Config(
        application, http=Protocol, lifespan="off", access_log=False, log_level="error", timeout_keep_alive=3600
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


main()
