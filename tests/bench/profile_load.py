"""The load from which the compiler's profile is made (scripts/profile.sh), beside that of run.sh: what run.sh does not time.

    BENCH_DIR=… BENCH_TOOL=… GATEWAY_BIN=… python3 tests/bench/profile_load.py

The gateway in GATEWAY_BIN counts what it runs, and writes the counts when it ends. Here it starts in each configuration of
instructions.py, and before an upstream over HTTP/2 and one with sessions and lists. It serves calls, refuses others, reloads its
configuration and ends at SIGTERM. Only answers to good calls are checked: run.sh does the rest.
"""

import http.server
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import instructions
import servers

# Requests of a kind. What runs less than about a millionth of everything counts as cold.
GOOD, OTHER = 2000, 500
SECONDS = 1  # of wrk, for each kind of bad token
END_SECONDS = 60


def main():
    binary = Path(servers.GATEWAY)
    upstream = servers.upstream()
    upstream.start()
    port = servers.PORT + 10
    try:
        for group, rows in instructions.GROUPS.items():
            with instructions.configured(servers, binary, f"profile-{group}", port, group) as (config, tokens):
                serve(binary, port, config, lambda connection: calls(connection, group, rows, tokens))
        for change in (over_http2, with_lists):
            with instructions.configured(servers, binary, f"profile-{change.__name__}", port, "plain") as (config, _):
                load = change(config)
                serve(binary, port, config, load)
    finally:
        upstream.stop()


def serve(binary, port, config, load):
    """One life of a process: start, the load, a reload, more of the load, the end."""
    subprocess.run([binary, "check", "--config", config], check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen([binary, "run", "--config", config], stdout=subprocess.DEVNULL)
    try:
        connection = instructions.connect(servers, port)
        load(connection)
        process.send_signal(signal.SIGHUP)
        load(connection)
        # A second SIGTERM would end it before its counts are written.
        process.terminate()
        assert process.wait(END_SECONDS) == 0, f"{config.name}: the gateway ended with {process.returncode}"
    finally:
        process.kill()
    print(f"profile_load: {config.stem} is done", flush=True)


def calls(connection, group, rows, tokens):
    if group == "oauth":
        tokens["own"] = instructions.own_token(connection)
    for path, whose in rows.values():
        instructions.ask(servers, connection, path, tokens[whose], GOOD)
    if group in ("plain", "log"):
        refusals(connection, tokens["issuer"])
        bad_tokens(connection.port)


def refusals(connection, token):
    """Everything that somebody sends who is mistaken or means harm, with and without a good token."""
    good = {**servers.HEADERS, "Authorization": f"Bearer {token}"}
    call = json.loads(servers.BODY)
    denied = json.dumps({**call, "params": {**call["params"], "name": "denied"}})
    kinds = [
        ("POST", "/mcp", servers.BODY, servers.HEADERS),
        ("POST", "/mcp", servers.BODY, {**servers.HEADERS, "Authorization": "Bearer x.y.z"}),
        ("POST", "/mcp", servers.BODY, {**servers.HEADERS, "Authorization": "Basic eDp5"}),
        ("POST", "/mcp", denied, good),
        ("POST", "/mcp", '{"jsonrpc":"2.0","id":1,"method":"ping"}', good),
        ("POST", "/mcp", '{"jsonrpc":"2.0","id":1,"method":"no/such"}', good),
        ("POST", "/mcp", servers.BODY[:-1], good),
        ("POST", "/mcp", "[" * 200, good),
        ("POST", "/mcp", servers.BODY, {**good, "Content-Type": "text/plain"}),
        ("POST", "/mcp", servers.BODY, {**good, "Accept": "text/html"}),
        ("POST", "/mcp", servers.BODY, {**good, "MCP-Protocol-Version": "1999-01-01"}),
        ("POST", "/mcp", servers.BODY, {**good, "Mcp-Session-Id": "unknown"}),
        ("POST", "/mcp", servers.BODY, {**good, "Origin": "https://elsewhere.test"}),
        ("POST", "/mcp", servers.BODY, {**good, "Host": "elsewhere.test"}),
        ("PUT", "/mcp", servers.BODY, good),
        ("GET", "/nothing", None, {}),
        ("GET", "/mcp/../mcp", None, good),
        ("OPTIONS", "/mcp", None, {"Origin": "https://elsewhere.test", "Access-Control-Request-Method": "POST"}),
        ("GET", "/.well-known/oauth-protected-resource/mcp", None, {}),
    ]
    for kind in kinds:
        for _ in range(OTHER):
            request(connection, *kind)


def request(connection, method, path, body, headers):
    """The status, the headers and the body. The gateway may close the connection with its answer: the next request opens another one."""
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except (OSError, instructions.http.client.HTTPException):
        connection.close()
        return None, {}, b""


def bad_tokens(port):
    for tokens in sorted(servers.DIR.glob("bad-*.txt")):
        command = ["wrk", "-t1", "-c32", f"-d{SECONDS}s", "-s", servers.HERE / "wrk/post.lua", f"https://127.0.0.1:{port}/mcp"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TOKENS": str(tokens)})


def over_http2(config):
    """Calls over HTTP/1.1 and HTTP/2 to an upstream over TLS and HTTP/2."""
    upstream = {"url": f"https://127.0.0.1:{servers.PORT + 1}/mcp", "ca_file": str(servers.DIR / "ca.pem")}
    replace_upstream(config, upstream)

    def load(connection):
        instructions.ask(servers, connection, "/mcp", servers.token(), GOOD)
        url = f"https://127.0.0.1:{connection.port}/mcp"
        arguments = ["--url", url, "--ca", servers.DIR / "ca.pem", "--tokens", servers.DIR / "hot.txt"]
        subprocess.run([servers.TOOL, "pace", *arguments, "--rate", "1000", "--conns", "8", "--secs", "2", "--h2"], check=True, stdout=subprocess.DEVNULL)

    return load


class Lists(http.server.BaseHTTPRequestHandler):
    """An MCP server with a session and twenty tools, of which the policy allows one."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write
    tools = [{"name": name, "description": "A tool.", "inputSchema": {"type": "object"}} for name in ["echo", *map("tool-{}".format, range(19))]]
    info = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "bench", "version": "1"}}

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in call:
            return self.answer(202, b"")
        results = {"initialize": self.info, "tools/list": {"tools": self.tools}}
        body = {"jsonrpc": "2.0", "id": call["id"], "result": results.get(call["method"], {"content": []})}
        self.answer(200, json.dumps(body).encode(), [("Content-Type", "application/json"), ("Mcp-Session-Id", "bench")])

    def do_DELETE(self):
        self.answer(204, b"")

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for header in [*headers, ("Content-Length", len(body))]:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def with_lists(config):
    """Sessions from beginning to end, and lists that are filtered."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lists)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    replace_upstream(config, f"http://127.0.0.1:{server.server_port}/mcp")
    config.write_text(config.read_text().replace("{ method: tools/call", "{ method: tools/list }, { method: tools/call", 1))
    headers = {**servers.HEADERS, "Authorization": f"Bearer {servers.token()}"}
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}

    def post(connection, headers, method, params=None, **members):
        body = {"jsonrpc": "2.0", **members, "method": method, **({"params": params} if params else {})}
        status, answered, text = request(connection, "POST", "/mcp", json.dumps(body), headers)
        assert status in (200, 202), f"{method}: {status} {text}"
        return answered

    def load(connection):
        for _ in range(10):
            answered = post(connection, headers, "initialize", client, id=1)
            session = {**headers, "Mcp-Session-Id": answered["Mcp-Session-Id"]}
            post(connection, session, "notifications/initialized")
            for number in range(OTHER // 10):
                post(connection, session, "tools/list", id=number)
                post(connection, session, "tools/call", {"name": "echo"}, id=number)
            request(connection, "DELETE", "/mcp", None, session)

    return load


def replace_upstream(config, upstream):
    """Gives the first resource another upstream."""
    before = f"upstream: http://127.0.0.1:{servers.PORT}/mcp\n"
    text = config.read_text()
    assert before in text, f"{config.name}: no {before}"
    config.write_text(text.replace(before, f"upstream: {json.dumps(upstream)}\n", 1))


if __name__ == "__main__":
    main()
