#!/usr/bin/env python3
"""Writes the outcome of a run as Markdown: medians, ratios to HAProxy within the same round, and which targets are met."""

import collections
import json
import os
import statistics
import sys
from pathlib import Path

REFERENCE = "haproxy"
SERVERS = {
    "direct": "no proxy, plain",
    "direct-tls": "no proxy, TLS",
    "nginx": "nginx, no check",
    "haproxy": "HAProxy, jwt_verify",
    "envoy": "Envoy, jwt_authn",
    "gateway-base": "gateway before",
    "gateway": "gateway",
}

CPU = {
    "h1-hot": "JSON, HTTP/1.1, one token",
    "h1-c128": "the same on 128 connections",
    "h1-many": "JSON, HTTP/1.1, every token verified anew",
    "h1-sse": "answer of three events, HTTP/1.1",
    "h2-hot": "JSON, HTTP/2, one token",
    "handshakes": "new TLS connection and one request",
}
MEMORY = {
    "memory-h1": "2,000 over TLS, HTTP/1.1",
    "memory-9000": "9,000 over TLS, HTTP/1.1",
    "memory-h2": "2,000 over TLS, HTTP/2, 100 a connection",
}
# (what, test, field, limit, the server it is a ratio to, the server that is measured)
TARGETS = [
    ("CPU, JSON h1, one token", "h1-hot", "cpu_us", 0.45, "haproxy", "gateway"),
    ("CPU, JSON h1, one token", "h1-hot", "cpu_us", 1.20, "nginx", "gateway"),
    ("CPU, JSON h2, one token", "h2-hot", "cpu_us", 0.50, "haproxy", "gateway"),
    ("CPU, every token a new one", "h1-many", "cpu_us", 0.80, "haproxy", "gateway"),
    ("CPU, answer of three events", "h1-sse", "cpu_us", 0.90, "nginx", "gateway"),
    ("CPU, new TLS connection and one call", "handshakes", "cpu_us", 1.15, "direct-tls", "gateway"),
    ("CPU, access log on", "h1-hot", "cpu_us", 1.05, "gateway", "gateway-log"),
    ("KiB per idle stream, TLS h1", "memory-h1", "kib_per_stream", 20, None, "gateway"),
    ("KiB per idle stream, TLS h2", "memory-h2", "kib_per_stream", 6, None, "gateway"),
    ("KiB of a process just started", "idle", "started_kib", 12 * 1024, None, "gateway"),
    ("memory after 9,000 streams, second time / first", "churn", "left_ratio", 1.05, None, "gateway"),
]


class Results:
    def __init__(self, path):
        self.rows = collections.defaultdict(dict)  # (test, server) -> {round: record}
        self.loads, self.broken, self.setting = [], [], {}
        for line in open(path):
            record = json.loads(line)
            if "setting" in record:
                self.setting = record["setting"]
                continue
            self.loads.append(record.get("load"))
            if record.get("failed") or record.get("errors"):
                self.broken.append(record)
            self.rows[record["test"], record["server"]][record["round"]] = record

    def values(self, test, server, field):
        """{round: value}"""
        found = {rnd: record.get(field) for rnd, record in self.rows[test, server].items()}
        return {rnd: value for rnd, value in found.items() if value is not None}

    def median(self, test, server, field):
        values = self.values(test, server, field).values()
        return statistics.median(values) if values else None

    def ratios(self, test, server, field, reference=REFERENCE):
        base = self.values(test, reference, field)
        return [value / base[rnd] for rnd, value in self.values(test, server, field).items() if base.get(rnd)]

    def added(self, test, server, field, base="direct-tls"):
        """What a server adds to no proxy, in the same round."""
        without = self.values(test, base, field)
        found = [value - without[rnd] for rnd, value in self.values(test, server, field).items() if rnd in without]
        return statistics.median(found) if found else None


def figure(value, sign=""):
    if value is None:
        return ""
    return f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.1f}"


def spread(ratios):
    if not ratios:
        return ""
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f}–{max(ratios):.2f})"


def table(title, head, rows):
    rows = [row for row in rows if any(row[1:])]
    if not rows:
        return
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|---{'|--:' * (len(head) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def measured(results):
    """The servers that took part."""
    return {server: name for server, name in SERVERS.items() if any(rows and server == key[1] for key, rows in results.rows.items())}


def per_server(results, title, tests, field):
    servers, notes = measured(results), {"haproxy": "gateway / HAProxy", "gateway-base": "gateway / before"}
    notes = {reference: note for reference, note in notes.items() if reference in servers}
    rows = [
        [label]
        + [figure(results.median(test, server, field)) for server in servers]
        + [spread(results.ratios(test, "gateway", field, reference)) for reference in notes]
        for test, label in tests.items()
    ]
    table(title, ["", *servers.values(), *notes.values()], rows)


def server_with_checks(results):
    """What a call costs a server on an SDK that checks tokens itself, and what the gateway's share would be."""
    own, gateway = (results.median("h1-hot", server, "cpu_us") for server in ("sdk", "gateway"))
    if own and gateway:
        print(f"\nA call of one tool costs a server on the Python SDK with a verifier {own:,.0f} µs of CPU.", end=" ")
        print(f"The gateway's {gateway:.0f} µs are {100 * gateway / own:.1f} % of that.")


def logging(results):
    rows = []
    for test, label in CPU.items():
        off, access, audit = (results.median(test, server, "cpu_us") for server in ("gateway", "gateway-log", "gateway-audit"))
        if off and access and audit:
            rows.append([label, figure(off), figure(access), figure(access - off, "+"), figure(audit), figure(audit - access, "+")])
    head = ["", "no log", "access log", "its line costs", "access and audit log", "an audit line costs"]
    table("The gateway's logs, µs of CPU per request (both on by default, off above; HAProxy and nginx log nothing either)", head, rows)


def added(results):
    proxies = proxies_of(results)

    def row(label, test, field, base):
        servers = [server for server in SERVERS if server != base]
        cells = {server: figure(results.added(test, server, field, base), "+") for server in servers}
        return [label, figure(results.median(test, base, field))] + [cells.get(server, "") for server in proxies]

    rows = [
        row("request at 1,000/s on 32 connections, HTTP/1.1, p50", "pace-h1", "p50_us", "direct-tls"),
        row("the same, p99", "pace-h1", "p99_us", "direct-tls"),
        row("request at 1,000/s on 32 connections, HTTP/2, p50", "pace-h2", "p50_us", "direct-tls"),
        row("event on 200 streams of 10/s, p50", "events", "p50_us", "direct-tls"),
        row("the same, p99", "events", "p99_us", "direct-tls"),
    ]
    head = ["", "no proxy, TLS", *(f"added by {name}" for name in proxies.values())]
    table("Latency and lateness, µs (differences under 20 µs are not told apart, p99 is the neighbours')", head, rows)


def proxies_of(results):
    return {server: name.split(",")[0] for server, name in measured(results).items() if not server.startswith("direct")}


def memory(results):
    proxies = proxies_of(results)
    per_server(results, "Resident memory per idle stream, KiB", MEMORY, "kib_per_stream")
    moments = {"started_kib": "just started, MiB", "rss_kib": "after its first calls, MiB"}
    rows = [
        [name, *(figure((results.median("idle", server, field) or 0) / 1024) for server in proxies)]
        for field, name in moments.items()
    ]
    table("Resident memory of the process", ["", *proxies.values()], rows)
    left = [results.median("churn", "gateway", field) for field in ("left_first_kib", "left_second_kib")]
    if all(left):
        print(f"\nAfter 9,000 streams came and went: {left[0] / 1024:.1f} MiB the first time, {left[1] / 1024:.1f} MiB the second.")


def verdicts(results):
    rows = []
    for what, test, field, limit, reference, server in TARGETS:
        found = results.ratios(test, server, field, reference) if reference else list(results.values(test, server, field).values())
        if found:
            middle, unit = statistics.median(found), f" × {SERVERS[reference].split(',')[0]}" if reference else ""
            rows.append([what, f"≤ {limit}{unit}", f"{middle:.2f}{unit}", "met" if middle <= limit else "**missed**"])
    table("Targets", ["", "target", "measured", "verdict"], rows)


def heading(results):
    s, loads = results.setting, [load for load in results.loads if load is not None]
    number = 1 + max((max(rounds) for rounds in results.rows.values() if rounds), default=0)
    print(f"## Benchmark of {s['date']}\n")
    print(f"{s['cpu']}; Linux {s['kernel']}; gateway {s['gateway']} ({s['binary_mib']} MiB), rustc {s['rustc']};", end=" ")
    print(f"HAProxy {s['haproxy']}, nginx {s['nginx']}, Envoy {s.get('envoy', '–')}. Medians of {number} rounds, the order rotated.", end=" ")
    if loads:
        middle = statistics.median(loads)
        print(f"Load average {s['load_before']:.1f} before the run, {middle:.1f} ({min(loads):.1f}–{max(loads):.1f}) during it.")
    for record in results.broken:
        print(f"\n**Not to be trusted:** {record['test']}, {record['server']}, round {record['round']}:", end=" ")
        print(record.get("failed") or f"{record['errors']} wrong or missing answers")


def main():
    folder = Path(os.environ.get("BENCH_DIR") or Path(os.environ.get("TMPDIR", "/tmp")) / "mcp-gateway-bench")
    results = Results(sys.argv[1] if len(sys.argv) > 1 else folder / "results.jsonl")
    heading(results)
    per_server(results, "CPU time per request, µs", CPU, "cpu_us")
    server_with_checks(results)
    logging(results)
    added(results)
    memory(results)
    throughput = {test: CPU[test] for test in CPU}
    per_server(results, "Per second, with one core for the proxy (limited by the load side's core above 40,000)", throughput, "per_s")
    verdicts(results)


if __name__ == "__main__":
    main()
