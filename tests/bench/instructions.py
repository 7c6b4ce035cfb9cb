"""Instructions per request, counted by callgrind, of two builds of the gateway: before a change and after it.

    tests/bench/run.sh --check       # once: the load tool and the keys
    BENCH_DIR=… BENCH_TOOL=… python3 tests/bench/instructions.py BEFORE AFTER

Unlike time, instructions hardly vary from run to run on a shared machine. Only user space is counted. Each figure is of
2,000 requests on one kept TLS connection, after 400 to warm up.
"""

import argparse
import http.client
import os
import re
import signal
import ssl
import subprocess
import time
from pathlib import Path

WARM, COUNTED = 400, 2000
# What is counted: the path, and whether the access log is on.
ROWS = {"JSON answer": ("/mcp", False), "JSON answer, access log": ("/mcp", True), "event stream": ("/mcp-sse", False)}
# Valgrind runs one thread at a time, and about fifty times slower than the processor.
START_SECONDS = 120


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="+", type=Path, metavar="BINARY")
    binaries = parser.parse_args().binaries
    # servers.py looks for one gateway; here there are several.
    os.environ.setdefault("GATEWAY_BIN", str(binaries[0]))
    import servers

    upstream = servers.upstream()
    upstream.start()
    try:
        counted = [count(servers, binary.resolve(), 10 + 2 * at) for at, binary in enumerate(binaries)]
    finally:
        upstream.stop()
    print("| instructions per request | " + " | ".join(binary.name for binary in binaries) + " | change |")
    print("|---|" + "--:|" * (len(binaries) + 1))
    for name in ROWS:
        figures = [figure[name] for figure in counted]
        change = (figures[-1] / figures[0] - 1) * 100
        print(f"| {name} | " + " | ".join(f"{figure:,.0f}" for figure in figures) + f" | {change:+.1f} % |")


def count(servers, binary, offset):
    logged = {access: count_rows(servers, binary, offset + access, access) for access in (False, True)}
    return {name: logged[access][name] for name, (_, access) in ROWS.items()}


def count_rows(servers, binary, offset, access_log):
    port = servers.PORT + offset
    logs = servers.DIR / "callgrind"
    logs.mkdir(exist_ok=True)
    out = logs / f"callgrind.{offset}"
    config = servers.gateway(f"callgrind-{offset}", port, str(access_log).lower())[-1]
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    log = open(logs / f"{offset}.log", "wb")
    process = subprocess.Popen([*command, str(binary), "run", "--config", str(config)], stdout=log, stderr=log)
    try:
        connection = connect(servers, port)
        rows = {name: path for name, (path, access) in ROWS.items() if access == access_log}
        return {name: per_request(servers, connection, process.pid, path, out) for name, path in rows.items()}
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


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


def per_request(servers, connection, pid, path, out):
    ask(servers, connection, path, WARM)
    control(pid, "--zero")
    control(pid, "--instr=on")
    ask(servers, connection, path, COUNTED)
    control(pid, "--instr=off")
    control(pid, "--dump")
    dumps = sorted(out.parent.glob(f"{out.name}.*"), key=lambda file: file.stat().st_mtime)
    total = re.search(r"^totals: (\d+)", dumps[-1].read_text(), re.MULTILINE)
    return int(total.group(1)) / COUNTED


def ask(servers, connection, path, times):
    headers = {**servers.HEADERS, "Authorization": f"Bearer {servers.token()}"}
    for _ in range(times):
        connection.request("POST", path, servers.BODY, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status


def control(pid, action):
    subprocess.run(["callgrind_control", action, str(pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
