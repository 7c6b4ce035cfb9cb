"""Instructions per request, counted by callgrind, of two builds of the gateway: before a change and after it.

    tests/bench/run.sh --check       # once: the load tool and the keys
    BENCH_DIR=… BENCH_TOOL=… python3 tests/bench/instructions.py BEFORE AFTER

Unlike time, instructions hardly vary from run to run on a shared machine. Only user space is counted. Each figure is of
2,000 requests on one kept TLS connection, after 400 to warm up. Two rows are of a gateway with the built-in
authorization server: with the token of the other rows, and with a token of its own. Two are of a gateway with API keys: with the
token, and with a key. One is of an issuer that is asked about its tokens, the last one of a
decision point whose answer is known. A binary without these has no figure there.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

WARM, COUNTED = 400, 2000
# Groups of rows, each with a gateway of its own. Of a row: the path, and whose token it is.
GROUPS = {
    "plain": {"JSON answer": ("/mcp", "issuer"), "event stream": ("/mcp-sse", "issuer")},
    "log": {"JSON answer, access log": ("/mcp", "issuer")},
    "oauth": {
        "JSON answer, authorization server on": ("/mcp", "issuer"),
        "JSON answer, token of the authorization server": ("/mcp", "own"),
    },
    "keys": {
        "JSON answer, API keys accepted": ("/mcp", "issuer"),
        "JSON answer, API key": ("/mcp", "key"),
    },
    "opaque": {"JSON answer, opaque token as long as a JWT": ("/mcp", "opaque")},
    "decision": {"JSON answer, decision point": ("/mcp", "issuer")},
}
# The client of the authorization server.
CLIENT = {"client_id": "bench", "client_secret": "a-secret-of-the-benchmark-alone-0001", "scope": "mcp:tools mcp:read"}
# Valgrind runs one thread at a time, and about fifty times slower than the processor.
START_SECONDS = 120


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="+", type=Path, metavar="BINARY")
    parser.add_argument("--limit", type=float, metavar="PERCENT", help="fail if a row of the last binary has more than this share of the first's")
    chosen = parser.parse_args()
    binaries = chosen.binaries
    # servers.py looks for one gateway; here there are several.
    os.environ.setdefault("GATEWAY_BIN", str(binaries[0]))
    import servers

    upstream = servers.upstream()
    upstream.start()
    try:
        counted = [count(servers, binary.resolve(), 10 + len(GROUPS) * at) for at, binary in enumerate(binaries)]
    finally:
        upstream.stop()
    print("| instructions per request | " + " | ".join(binary.name for binary in binaries) + " | change |")
    print("|---|" + "--:|" * (len(binaries) + 1))
    exceeded = []
    for name in [name for rows in GROUPS.values() for name in rows]:
        figures = [figure.get(name) for figure in counted]
        shown = [f"{figure:,.0f}" if figure else "-" for figure in figures]
        change = f"{(figures[-1] / figures[0] - 1) * 100:+.1f} %" if figures[0] and figures[-1] else "-"
        print(f"| {name} | " + " | ".join(shown) + f" | {change} |")
        if chosen.limit and figures[0] and figures[-1] and figures[-1] > figures[0] * chosen.limit / 100:
            exceeded.append(f"{name}: {figures[-1]:,.0f}, at most {figures[0] * chosen.limit / 100:,.0f} is allowed")
        if chosen.limit and figures[0] and not figures[-1]:
            exceeded.append(f"{name}: nothing was counted")
    for fault in exceeded:
        print(f"instructions: {fault} (instructions_percent in tests/budgets.yaml)", file=sys.stderr)
    sys.exit(1 if exceeded else 0)


def count(servers, binary, offset):
    groups = enumerate(GROUPS.items())
    return {name: figure for at, (group, rows) in groups for name, figure in count_rows(servers, binary, offset + at, group, rows)}


def count_rows(servers, binary, offset, group, rows):
    logs = servers.DIR / "callgrind"
    logs.mkdir(exist_ok=True)
    out = logs / f"callgrind.{offset}"
    with configured(servers, binary, f"callgrind-{offset}", servers.PORT + offset, group) as setting:
        if not setting:
            return []
        config, tokens = setting
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        log = open(logs / f"{offset}.log", "wb")
        process = subprocess.Popen([*command, str(binary), "run", "--config", str(config)], stdout=log, stderr=log)
        try:
            connection = connect(servers, servers.PORT + offset)
            if group == "oauth":
                tokens["own"] = own_token(connection)
            return [(name, per_request(servers, connection, process.pid, path, tokens[whose], out)) for name, (path, whose) in rows.items()]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def configured(servers, binary, name, port, group):
    """The configuration of a gateway of that group, and the tokens for it; nothing where the binary cannot do what it needs."""
    config = servers.gateway(name, port, str(group == "log").lower())[-1]
    tokens = {"issuer": servers.token()}
    tokens["opaque"] = "o" * len(tokens["issuer"])
    asked, is_complete = None, True
    if group == "oauth":
        hashed = subprocess.run([binary, "hash-password"], input="nobody signs in\n", capture_output=True, text=True)
        is_complete = not hashed.returncode
        if is_complete:
            with_authorization_server(config, hashed.stdout.strip())
    if group == "keys":
        tokens["key"] = with_api_keys(binary, config)
        is_complete = bool(tokens["key"])
    if group in ("opaque", "decision"):
        asked = with_somebody_asked(binary, config, group)
        is_complete = bool(asked)
    try:
        yield (config, tokens) if is_complete else None
    finally:
        if asked:
            asked.shutdown()


def with_authorization_server(config, hashed):
    folder = config.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in {"users.yaml": f"users: [{{ name: bench, password: '{hashed}' }}]\n", "secret": CLIENT["client_secret"]}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    section = {
        "directory": str(folder / "state"),
        "users_file": str(folder / "users.yaml"),
        "clients": [
            {
                "id": CLIENT["client_id"],
                "method": "client_secret_post",
                "secret_file": str(folder / "secret"),
                "grant_types": ["client_credentials"],
                "scopes": CLIENT["scope"].split(),
            }
        ],
    }
    text = config.read_text().replace("issuers: [bench]", "issuers: [bench, built-in]", 1)
    config.write_text(f"{text}authorization_server: {json.dumps(section)}\n")


def with_api_keys(binary, config):
    """The key, or nothing where the binary has no API keys."""
    file = config.with_suffix(".keys.jsonl")
    file.unlink(missing_ok=True)
    options = ["--name", "bench", "--subject", "bench", "--all-resources"]
    scopes = [option for scope in CLIENT["scope"].split() for option in ("--scope", scope)]
    made = subprocess.run([binary, "key", "new", "--file", file, *options, *scopes], capture_output=True, text=True)
    if made.returncode:
        return None
    text = config.read_text().replace("issuers: [bench]", "issuers: [bench]\n    api_keys: { header: X-API-Key }", 1)
    config.write_text(f"{text}api_keys: {{ files: {json.dumps(str(file))} }}\n")
    return made.stdout.strip()


class Asked(http.server.BaseHTTPRequestHandler):
    """Calls every token active, and says yes to every call."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        claims = {"active": True, "aud": "https://mcp.bench.test/mcp", "sub": "bench", "scope": CLIENT["scope"]}
        body = json.dumps({"decision": True} if "evaluation" in self.path else claims).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def with_somebody_asked(binary, config, group):
    """An issuer that is asked about its tokens, or a decision point; nothing where the binary asks none."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    base = f"http://127.0.0.1:{server.server_port}"
    text = config.read_text()
    if group == "opaque":
        section = {"endpoint": f"{base}/introspect", "client_auth": "none", "cache": "5m"}
        issuer = {"issuer": base, "introspection": section}
        text = text.replace("issuers:\n", f"issuers:\n  opaque: {json.dumps(issuer)}\n", 1).replace("issuers: [bench]", "issuers: [opaque]", 1)
    else:
        text = text.replace("issuers: [bench]", "issuers: [bench]\n    decision_point: bench", 1)
        text += f"decision_points: {{ bench: {json.dumps({'url': base, 'cache': '5m'})} }}\n"
    config.write_text(text)
    if subprocess.run([binary, "check", config], capture_output=True).returncode:
        server.server_close()
        return None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def own_token(connection):
    body = urllib.parse.urlencode({**CLIENT, "grant_type": "client_credentials", "resource": "https://mcp.bench.test/mcp"})
    headers = {"Host": "mcp.bench.test", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/token", body, headers)
    answer = json.load(connection.getresponse())
    assert "access_token" in answer, answer
    return answer["access_token"]


def connect(servers, port):
    context = ssl.create_default_context(cafile=servers.DIR / "ca.pem")
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
            connection.connect()
            return connection
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def per_request(servers, connection, pid, path, token, out):
    ask(servers, connection, path, token, WARM)
    control(pid, "--zero")
    control(pid, "--instr=on")
    ask(servers, connection, path, token, COUNTED)
    control(pid, "--instr=off")
    control(pid, "--dump")
    dumps = sorted(out.parent.glob(f"{out.name}.*"), key=lambda file: file.stat().st_mtime)
    total = re.search(r"^totals: (\d+)", dumps[-1].read_text(), re.MULTILINE)
    return int(total.group(1)) / COUNTED


def ask(servers, connection, path, token, times):
    headers = {**servers.HEADERS, "Authorization": f"Bearer {token}"}
    for _ in range(times):
        connection.request("POST", path, servers.BODY, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status


def control(pid, action):
    subprocess.run(["callgrind_control", action, str(pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
