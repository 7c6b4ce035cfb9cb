"""Writes `gateway/function-order.txt`: the functions that a start and calls run, so that the linker puts them side by side.

    tests/bench/run.sh --check       # once: the load tool and the keys
    BENCH_DIR=… BENCH_TOOL=… python3 tests/bench/function_order.py BINARY > order && mv order gateway/function-order.txt

A process has in memory the pages of its program that it ran, and the system maps 64 KiB around each. In the order of the compiler
these functions are spread over the whole program. BINARY is a static one (`scripts/build-static.sh`), with its symbols. The functions of
calls come first, those of the start alone after them, each sorted by name, and the other names of the list so far at the end: what this
build has inlined, another may have as a function. A name that a build does not have is ignored; `scripts/build-static.sh` says how many it
has. It requires `valgrind` and `nm`.
"""

import argparse
import bisect
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

LIST = Path(__file__).resolve().parents[2] / "gateway/function-order.txt"
TIMES = 30
# What valgrind needs until the last task of a start has run.
SETTLE_SECONDS = 15


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    binary = parser.parse_args().binary.resolve()
    os.environ.setdefault("GATEWAY_BIN", str(binary))
    import servers

    upstream = servers.upstream()
    upstream.start()
    try:
        started, called = profiles(servers, binary)
    finally:
        upstream.stop()
    symbols = Symbols(binary)
    calls, start = symbols.of(called), symbols.of(started)
    before = set(LIST.read_text().split())
    print("\n".join(sorted(calls) + sorted(start - calls) + sorted(before - calls - start)))


def profiles(servers, binary):
    """The addresses of the instructions that ran in a start, and in calls."""
    from instructions import connect, control

    port = servers.PORT + 10
    folder = servers.DIR / "function-order"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    out = folder / "profile"
    config = servers.gateway("function-order", port, "true", "true")[-1]
    command = ["valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={out}", binary, "run", "--config", config]
    log = open(folder / "log", "wb")
    process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
    try:
        connect(servers, port).close()
        time.sleep(SETTLE_SECONDS)
        control(process.pid, "--dump")
        call(servers, connect(servers, port), port)
        control(process.pid, "--dump")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    dumps = sorted(folder.glob("profile.*"), key=lambda file: file.stat().st_mtime)
    return [addresses(dump) for dump in dumps[:2]]


def call(servers, connection, port):
    from instructions import ask

    for path in ("/mcp", "/mcp-sse"):
        ask(servers, connection, path, servers.token(), TIMES)
    load = ["pace", "--h2", "--url", f"https://127.0.0.1:{port}/mcp", "--ca", servers.DIR / "ca.pem", "--tokens", servers.DIR / "hot.txt"]
    load += ["--rate", TIMES, "--conns", 2, "--secs", 3]
    subprocess.run([servers.TOOL, *map(str, load)], check=True, stdout=subprocess.DEVNULL)
    for path in ("/metrics", "/readyz", "/livez"):
        urllib.request.urlopen(f"http://127.0.0.1:{port + 100}{path}", timeout=60).read()


def addresses(dump):
    """The first number of each line of costs (callgrind's format: as it is, or the difference to the one before)."""
    found, last, is_body = set(), 0, False
    for line in dump.open():
        first = line[0]
        is_body = is_body or line.startswith("fn=")
        if not is_body or first not in "+-*0123456789":
            continue
        number = line.split(" ", 1)[0]
        match first:
            case "*":
                pass
            case "+" | "-":
                last += int(first + number[1:], 0)
            case _:
                last = int(number, 0)
        found.add(last)
    return found


class Symbols:
    """The functions of a binary by their addresses."""

    def __init__(self, binary):
        listed = subprocess.run(["nm", "-S", binary], check=True, capture_output=True, text=True).stdout
        fields = [line.split() for line in listed.splitlines()]
        functions = [row for row in fields if len(row) == 4 and row[2] in "tTwW"]
        self.functions = sorted((int(address, 16), int(size, 16), name) for address, size, _, name in functions)
        self.starts = [start for start, _, _ in self.functions]

    def of(self, addresses):
        """The names of the functions with these addresses; several may share one."""
        names = set()
        for address in addresses:
            at = bisect.bisect_right(self.starts, address) - 1
            begin = self.starts[at]
            while at >= 0 and self.starts[at] == begin:
                _, size, name = self.functions[at]
                if address < begin + size:
                    names.add(name)
                at -= 1
        return names


if __name__ == "__main__":
    main()
