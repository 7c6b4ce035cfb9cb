"""What is compared: how each server is started, asked and ended, and what its process has used so far."""

import os
import shutil
import signal
import ssl
import string
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIR = Path(os.environ["BENCH_DIR"])
# Not beside the files that the gateway watches: each line written there would wake it.
LOGS = DIR / "logs"
# What setup.sh beside this file installs from PyPI.
PACKAGES = HERE.parent.parent / ".tools/bench"
TOOL = os.environ["BENCH_TOOL"]
GATEWAY = os.environ["GATEWAY_BIN"]
# Empty: any processor.
PROXY_CPU = os.environ.get("PROXY_CPU", "0")
LOAD_CPU = os.environ.get("LOAD_CPU", "1")
# The upstream's port; the others follow it.
PORT = int(os.environ.get("BENCH_PORT", 29000))
# Everything that is timed runs before whatever else the machine does, where we may say so.
NICENESS = os.environ.get("BENCH_NICE", "-10")
NICE = ["nice", "-n", NICENESS] if NICENESS and os.geteuid() == 0 else []

BODY = (
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    '{"name":"echo","arguments":{"text":"hello"},"_meta":{"progressToken":1}}}'
)
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
}


def pinned(cpu, command):
    return [*NICE, *(["taskset", "-c", cpu] if cpu else []), *map(str, command)]


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def render(template, name, port, **values):
    """Fills the $NAMES of a file in anchors/ and puts the result in BENCH_DIR."""
    text = string.Template((HERE / "anchors" / template).read_text())
    out = DIR / name
    out.write_text(text.substitute(BENCH_DIR=DIR, UP=PORT, PORT=port, **values))
    return out


def haproxy(port):
    return [program("haproxy"), "-db", "-f", render("haproxy.cfg", "haproxy.cfg", port)]


def nginx(port):
    (DIR / "nginx-tmp").mkdir(exist_ok=True)
    return [program("nginx"), "-p", DIR, "-c", render("nginx.conf", "nginx.conf", port)]


def envoy(port):
    config = render("envoy.yaml", "envoy.yaml", port)
    found = next(PACKAGES.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)
    return [found, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def sdk(port):
    found = PACKAGES / "bin/python"
    return [found if found.exists() else None, HERE / "anchors/sdk_server.py", port, DIR / "jwks.json"]


def gateway(name, port, access="false", audit="false", binary=GATEWAY):
    config = render("gateway.yaml", f"{name}.yaml", port, ADMIN_PORT=port + 100, ACCESS=access, AUDIT=audit)
    return [binary, "run", "--config", config]


# Where a call is answered, and what its answer has.
PATHS = {"/mcp": b'"isError":false', "/mcp-sse": b"id: 2"}


class Server:
    def __init__(self, name, port, command=None, tls=True, checks=False, cpu=PROXY_CPU, quiet=False, paths=PATHS):
        self.name, self.command, self.checks, self.cpu = name, command, checks, cpu
        self.paths = paths
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        self.log = "/dev/null" if quiet else LOGS / f"{name}.log"
        self.proc = self.pid = None

    def start(self):
        if self.command:
            LOGS.mkdir(exist_ok=True)
            with open(self.log, "ab") as log:
                self.proc = subprocess.Popen(pinned(self.cpu, self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.pid = self.proc.pid
        for _ in range(100):
            if self.proc and self.proc.poll() is not None:
                break
            try:
                self.post("/", None)
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{self.name} did not start; see {self.log}")

    def restart(self):
        self.stop()
        self.start()

    def stop(self):
        if not self.proc:
            return
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(3)
        except subprocess.TimeoutExpired:
            for pid in self.pids()[::-1]:
                os.kill(pid, signal.SIGKILL)
            self.proc.wait()
        self.proc = None

    def post(self, path, token):
        """(status, body) of one call of a tool."""
        context = ssl.create_default_context(cafile=DIR / "ca.pem") if self.url.startswith("https") else None
        headers = {**HEADERS, **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(self.url + path, BODY.encode(), headers)
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def pids(self):
        """The process and its children: a master and its workers."""
        found, todo = [], [self.pid] if self.pid else []
        while todo:
            pid = todo.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, children.read_text().split())
        return found

    def cpu_ns(self):
        """User and system time so far, in nanoseconds, over all threads."""
        total = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(task.read_text().split()[0])
        return total

    def rss_kib(self):
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total


def upstream():
    command = [TOOL, "upstream", "--listen", f"127.0.0.1:{PORT}", "--tls-listen", f"127.0.0.1:{PORT + 1}"]
    command += ["--cert", DIR / "leaf.pem", "--key", DIR / "leaf.key"]
    return Server("upstream", PORT, command, tls=False, cpu=LOAD_CPU)


def compared(upstream, base=None):
    """Every server that is measured, and the names of those that are not installed. `base` is another build of the gateway.

    The first two are the upstream itself, so their CPU time is the upstream's own. `sdk` is an MCP server that checks tokens itself.
    """
    direct = [Server("direct", PORT, tls=False), Server("direct-tls", PORT + 1)]
    for server in direct:
        server.pid = upstream.pid
    servers = direct + [
        Server("nginx", PORT + 2, nginx(PORT + 2)),
        Server("haproxy", PORT + 3, haproxy(PORT + 3), checks=True),
        Server("gateway", PORT + 4, gateway("gateway", PORT + 4), checks=True),
        Server("gateway-log", PORT + 5, gateway("gateway-log", PORT + 5, access="true"), checks=True, quiet=True),
        Server("gateway-audit", PORT + 6, gateway("gateway-audit", PORT + 6, access="true", audit="true"), checks=True, quiet=True),
    ]
    servers += [
        Server("envoy", PORT + 7, envoy(PORT + 7), checks=True),
        Server("sdk", PORT + 8, sdk(PORT + 8), tls=False, checks=True, paths={"/mcp": PATHS["/mcp"]}),
    ]
    if base:
        servers.append(Server("gateway-base", PORT + 9, gateway("gateway-base", PORT + 9, binary=base), checks=True))
    missing = [server for server in servers if server.command and not server.command[0]]
    return [server for server in servers if server not in missing], [server.name for server in missing]


def token(file="hot.txt"):
    return (DIR / file).read_text().strip()


def preflight(server):
    """The answers that are wrong. A figure counts only for a proxy that serves what it must and refuses what it must."""
    wrong = []
    for path, mark in server.paths.items():
        status, body = server.post(path, token())
        if status != 200 or mark not in body:
            wrong.append(f"good token at {path}: {status}")
    refused = {"none": None, **{file.stem: token(file.name) for file in sorted(DIR.glob("bad-*.txt"))}}
    for name, bad in refused.items() if server.checks else ():
        status, _ = server.post("/mcp", bad)
        if status not in (401, 403):
            wrong.append(f"{name}: {status}")
    return wrong
