#!/usr/bin/env python3
"""What the gateway costs against what there is of something: worker threads, idle streams, rules, resources, principals.

Called by run.sh --scale, which makes what it needs; scale_report.py prints the outcome and draws it. One JSON line for each measurement. The
cost is CPU time of the gateway for each call, by the scheduler's count, and resident memory. A wrong or missing answer fails the run.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import LOAD, SETTLE, setting, wrk
from servers import DIR, GATEWAY, LOAD_CPU, PORT, PROXY_CPU, TOOL, Server, pinned, token, upstream

WORKERS = (1, 2)
STREAMS = {"http1": (10, 100, 1000, 3000, 8750), "http2": (100, 1000, 10_000, 30_000)}
# Client connections that share the descriptors with the streams: one for each stream, or one for 100 and those of the calls.
CONNECTIONS = {"http1": 20_000, "http2": 1000}
RULES = (1, 100, 10_000)
RESOURCES = (1, 100, 1000)
PRINCIPALS = (10, 100, 1000, 10_000, 100_000, 1_000_000)
SUBJECTS = ("workers", "streams", "rules", "resources", "principals")
# An event every hundred hours: idle.
QUIET = "/mcp-stream?interval_ms=360000000"
# Seconds without an event after which a comment is sent, as by default, and the streams that get one.
COMMENTS, COMMENTED = 25, 1000
KNOWN_CALLS = 5_000
BATCH = 50_000


def configuration(name, port, rules=1, ending="", resources=1, http2=False, comments="25s", jwks=DIR / "jwks.json", **limits):
    """The gateway of anchors/gateway.yaml in other sizes. What is called is the last rule of the last resource."""
    every = [{"method": "tools/call", "name": [f"tool-{number}{ending}"], "scopes": ["mcp:read"]} for number in range(1, rules)]
    every.append({"method": "tools/call", "name": ["echo"], "scopes": ["mcp:read"]})

    def at(path, policy):
        return {
            "path": path,
            "upstream": {"url": f"http://127.0.0.1:{PORT}{path}", "http2": http2},
            "issuers": ["bench"],
            "audience": ["https://mcp.bench.test/mcp"],
            "shared_audience": True,
            "scopes": {"required": ["mcp:tools"]},
            "policy": policy,
        }

    paths = [f"/other-{number}" for number in range(1, resources)]
    called = at("/mcp", {"default": "deny", "rules": every})
    # Rate limits count each principal, and refuse none.
    called["rate_limits"] = [{"per": "principal", "calls": 1_000_000, "within": "1s"}]
    leaf = {"certificate": str(DIR / "leaf.pem"), "private_key": str(DIR / "leaf.key")}
    config = {
        "public_url": "https://mcp.bench.test",
        "hosts": [f"127.0.0.1:{port}"],
        "listen": [{"address": f"127.0.0.1:{port}", "tls": {"certificates": [leaf]}}],
        "admin": {"address": f"127.0.0.1:{port + 100}"},
        "issuers": {"bench": {"issuer": "https://issuer.bench.test", "jwks_file": str(jwks), "token_types": ["at+jwt"]}},
        "resources": [*(at(path, {"default": "deny", "rules": every[-1:]}) for path in paths), {**at("/mcp-stream", {"default": "deny"}), "query": "pass"}, called],
        "limits": {
            "connections": 20_000,
            "calls": 256,
            "calls_per_principal": 256,
            "listening_streams": 40_000,
            "listening_streams_per_principal": 40_000,
            **limits,
        },
        "timeouts": {"sse_comment": comments},
        "shutdown": {"drain": "1s"},
        "log": {"access": False, "level": "error"},
        "audit": {"enabled": False},
    }
    config["issuers"]["bench"]["algorithms"] = ["RS256", "ES256"]
    # JSON is YAML.
    file = DIR / f"{name}.yaml"
    file.write_text(json.dumps(config))
    return file


def gateway(name, offset, cpu=PROXY_CPU, **sizes):
    """A gateway of its own, started; with how long that took."""
    port = PORT + 10 + offset
    server = Server(name, port, [GATEWAY, "run", "--config", configuration(name, port, **sizes)], cpu=cpu)
    began = time.monotonic()
    try:
        server.start()
    except SystemExit:
        server.stop()
        raise
    server.start_s = time.monotonic() - began
    return server


def calls(server):
    """CPU time of a call, with one token on 32 connections."""
    before = server.cpu_ns()
    result = wrk(server, 32)
    return {"cpu_us": (server.cpu_ns() - before) / 1e3 / max(result["requests"], 1), "per_s": result["per_s"], "errors": result["errors"]}


def sizes_in_turn(subject, sizes, number, start, emit):
    """All sizes beside each other, so that they are measured in turn: the machine changes from minute to minute."""
    running = []
    try:
        for at, size in enumerate(sizes):
            running.append((size, start(at, size)))
        for rnd in range(number):
            first = rnd % len(running)
            for size, server in running[first:] + running[:first]:
                emit({"subject": subject, "size": size, "start_s": server.start_s, **calls(server), "rss_kib": server.rss_kib()})
    finally:
        for _, server in running:
            server.stop()


def workers(number, emit):
    """The gateway has a worker thread for each processor that it may use."""
    processors = {1: PROXY_CPU, 2: f"{PROXY_CPU},{LOAD_CPU}" if PROXY_CPU else ""}
    start = lambda at, size: gateway(f"scale-workers-{size}", at, cpu=processors[size])
    sizes_in_turn("workers", WORKERS, number, start, emit)


def rules(number, emit):
    """Rules with an exact name are found by it; those with a pattern are compared one after the other."""
    for subject, ending in {"rules-names": "", "rules-patterns": "-*"}.items():
        start = lambda at, size: gateway(f"scale-{subject}-{size}", 10 + at, rules=size, ending=ending)
        sizes_in_turn(subject, RULES, number, start, emit)


def resources(number, emit):
    start = lambda at, size: gateway(f"scale-resources-{size}", 20 + at, resources=size)
    sizes_in_turn("resources", RESOURCES, number, start, emit)


def talk(command):
    return subprocess.Popen(pinned(LOAD_CPU, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def allowed(version):
    """The sizes, with the largest one lowered to what the descriptors allow: the gateway reserves one for each stream, also over HTTP/2."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = descriptors * 7 // (16 if version == "http1" else 8)
    return sorted({min(size, most) for size in STREAMS[version]})


def streams(number, emit):
    """Without comments on silent streams, which are a measurement of their own: they would fall among the calls."""
    for version in STREAMS:
        for at, size in enumerate(allowed(version)):
            with_gateway(version, 30 + at, "0s", lambda server: emit({"subject": f"streams-{version}", "size": size, **with_streams(server, size, version, number)}))
        with_gateway(version, 40, f"{COMMENTS}s", lambda server: emit({"subject": f"comments-{version}", "size": COMMENTED, **with_comments(server, version)}))


def with_gateway(version, offset, comments, measure):
    server = gateway(f"scale-streams-{version}", offset, http2=version == "http2", connections=CONNECTIONS[version], comments=comments)
    try:
        measure(server)
    finally:
        server.stop()


def with_streams(server, size, version, number):
    """What idle streams cost: memory, the CPU time of a second in which nothing happens, and that of a call beside them."""
    calls(server)  # what the first calls need is there before
    with held(server, size, version) as report:
        time.sleep(SETTLE)
        before, waking = server.cpu_ns(), wake_ups(server)
        time.sleep(3)
        idle = {"idle_cpu_ms": (server.cpu_ns() - before) / 3e6, "wake_ups": (wake_ups(server) - waking) / 3}
        rss_kib = server.rss_kib()
        beside = [calls(server) for _ in range(number)]
        found = {"kib_per_stream": report["kib_per_stream"], "rss_kib": rss_kib, **idle, "open_s": report["open_s"]}
        errors = report["errors"] + sum(call["errors"] for call in beside)
        return {**found, "cpu_us": statistics.median(call["cpu_us"] for call in beside), "errors": errors}


def with_comments(server, version):
    """What a comment costs: each of the streams gets one in the time that is measured, and nothing else happens."""
    with held(server, COMMENTED, version) as report:
        time.sleep(SETTLE)
        before = server.cpu_ns()
        time.sleep(COMMENTS)
        return {"comment_us": (server.cpu_ns() - before) / 1e3 / COMMENTED, "errors": report["errors"]}


@contextlib.contextmanager
def held(server, size, version):
    """Streams that are open meanwhile, and what opening them cost; `errors` are those that did not open."""
    common = ["--url", server.url + QUIET, "--ca", DIR / "ca.pem", "--tokens", DIR / "hot.txt", *(["--h2"] if version == "http2" else [])]
    pids = ["--pids", ",".join(map(str, server.pids()))]
    holder = talk([TOOL, "sse", *common, "--streams", size, "--secs", 1, "--hold", *pids])
    try:
        report = json.loads(holder.stdout.readline())
        yield {**report, "errors": max(size - report["streams"], report["errors"])}
    finally:
        holder.stdin.close()
        holder.wait()


def wake_ups(server):
    tasks = (task for pid in server.pids() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    lines = (line for task in tasks for line in task.read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))


def principals(number, emit):
    """Each principal that ever called is in the cache of verified tokens and in the rate limits."""
    jwks = DIR / "jwks-principals.json"
    jwks.unlink(missing_ok=True)
    port = PORT + 10 + 50
    command = [TOOL, "principals", "--url", f"https://127.0.0.1:{port}/mcp", "--ca", DIR / "ca.pem", "--jwks", jwks]
    caller = talk(command)
    while not jwks.exists() or not jwks.read_text():
        time.sleep(0.05)
    largest = max(PRINCIPALS)
    server = gateway("scale-principals", 50, jwks=jwks, verified_tokens=2 * largest, rate_limited_callers=2 * largest)
    have = 0
    try:
        say(caller, server, "new", 0)  # it connects
        for size in PRINCIPALS:
            found = [say(caller, server, "new", min(BATCH, size - at)) for at in range(have, size, BATCH)]
            have = size
            emit({"subject": "principals-new", "size": size, "cpu_us": found[-1]["cpu_us"], "errors": sum(each["errors"] for each in found)})
            again = [say(caller, server, "known", KNOWN_CALLS) for _ in range(number)]
            middle = statistics.median(each["cpu_us"] for each in again)
            errors = sum(each["errors"] for each in again)
            emit({"subject": "principals-known", "size": size, "cpu_us": middle, "errors": errors, "rss_kib": server.rss_kib()})
    finally:
        caller.stdin.close()
        caller.wait()
        server.stop()


def say(caller, server, what, count):
    before = server.cpu_ns()
    caller.stdin.write(f"{what} {count}\n")
    caller.stdin.flush()
    result = json.loads(caller.stdout.readline())
    return {**result, "cpu_us": (server.cpu_ns() - before) / 1e3 / max(count, 1)}


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh --scale", description="Measures the gateway's cost against sizes.")
    parser.add_argument("--scale", action="store_true", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of a call for each size (default 3)")
    parser.add_argument("--tests", default="", help=f"only these, comma-separated: {', '.join(SUBJECTS)}")
    parser.add_argument("--principals", type=int, default=max(PRINCIPALS), help="the largest number of principals")
    return parser.parse_args()


def main():
    global PRINCIPALS
    chosen = arguments()
    PRINCIPALS = tuple(size for size in PRINCIPALS if size <= chosen.principals)
    wanted = [name for name in chosen.tests.split(",") if name] or SUBJECTS
    resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
    LOAD["saturated_s"] = 1
    source, faults = upstream(), []
    source.start()
    try:
        with open(DIR / "scale.jsonl", "w") as out:
            def emit(record):
                record["load"] = os.getloadavg()[0]
                print(json.dumps(record), file=out, flush=True)
                if record.get("errors"):
                    faults.append(f"{record['subject']} {record['size']}: {record['errors']} wrong or missing answers")

            print(json.dumps(setting()), file=out, flush=True)
            for subject in wanted:
                print(f"scale: {subject}", file=sys.stderr)
                {"workers": workers, "streams": streams, "rules": rules, "resources": resources, "principals": principals}[subject](chosen.rounds, emit)
    finally:
        source.stop()
    for fault in faults:
        print(f"bench: FAILED: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
