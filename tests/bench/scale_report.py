#!/usr/bin/env python3
"""Writes the outcome of scale.py as Markdown (scale.md) with a picture (scale.svg): cost against size, and what grows faster than a logarithm."""

import collections
import json
import math
import os
import statistics
import sys
from pathlib import Path

TITLES = {
    "workers": "worker threads",
    "streams-http1": "idle streams, HTTP/1.1",
    "streams-http2": "idle streams, HTTP/2",
    "rules-names": "rules of the resource, exact names",
    "rules-patterns": "rules of the resource, patterns",
    "resources": "resources",
    "principals-known": "principals, a known one calls",
    "principals-new": "principals, a new one calls",
}
# The panels of the picture: what they are about, and their lines.
PANELS = {
    "idle streams": ["streams-http1", "streams-http2"],
    "rules": ["rules-names", "rules-patterns"],
    "resources": ["resources"],
    "principals": ["principals-known", "principals-new"],
}
COLOURS = ["#1f5fa8", "#c2571a"]
# Growth within this share of the smallest cost is the machine's.
NOISE = 0.15


class Results:
    def __init__(self, path):
        self.setting, self.rows, self.loads = {}, collections.defaultdict(lambda: collections.defaultdict(list)), []
        for line in open(path):
            record = json.loads(line)
            if "setting" in record:
                self.setting = record["setting"]
                continue
            self.loads.append(record["load"])
            self.rows[record["subject"]][record["size"]].append(record)

    def points(self, subject, field):
        """(size, median), for the sizes that have the field."""
        found = {size: [record[field] for record in records if field in record] for size, records in self.rows[subject].items()}
        return [(size, statistics.median(values)) for size, values in sorted(found.items()) if values]


def verdict(points):
    """How the cost of a call grows. For the last step, what each tenfold adds is compared with what each tenfold added before."""
    if len(points) < 2:
        return ""
    (first, least), (before, middle), (last, most) = points[0], points[-2], points[-1]
    if most <= least * (1 + NOISE):
        return "no growth"
    step = (most - middle) / math.log10(last / before)
    earlier = (middle - least) / math.log10(before / first) if len(points) > 2 else 0
    power = math.log(most / middle) / math.log(last / before)
    if step > 2 * max(earlier, 0) + NOISE * least:
        return f"**worse than logarithmic** (as size^{power:.2f} in the last step)"
    return "logarithmic or less"


def figure(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def table(results, subject, fields):
    """A row for each size, and a column for each field that was measured."""
    columns = {title: dict(results.points(subject, field)) for title, (field, _) in fields.items()}
    columns = {title: points for title, points in columns.items() if points}
    sizes = sorted(results.rows[subject])
    print(f"\n| {TITLES[subject]} | {' | '.join(columns)} |\n|--:{'|--:' * len(columns)}|")
    for size in sizes:
        cells = [figure(points[size] / fields[title][1]) if size in points else "" for title, points in columns.items()]
        print(f"| {size:,} | {' | '.join(cells)} |")
    if subject != "workers":
        print(f"\nCPU time of a call: {verdict(results.points(subject, 'cpu_us'))}.", end="")
        print(marginal(results, subject))


def marginal(results, subject):
    """Memory of one more, between the smallest and the largest size."""
    points = results.points(subject, "rss_kib")
    if len(points) < 2:
        return ""
    (first, least), (last, most) = points[0], points[-1]
    return f" Memory: {1024 * (most - least) / (last - first):,.0f} bytes for each one more."


FIELDS = {
    "CPU time of a call, µs": ("cpu_us", 1),
    "memory, MiB": ("rss_kib", 1024),
    "start, s": ("start_s", 1),
    "KiB for each": ("kib_per_stream", 1),
    "CPU time of an idle second, ms": ("idle_cpu_ms", 1),
    "wake-ups of an idle second": ("wake_ups", 1),
    "opened in, s": ("open_s", 1),
}


def markdown(results):
    s = results.setting
    print(f"Measured on {s['date']} with the gateway of {s['gateway']} ({s['cpu']}, Linux {s['kernel']}); medians.", end=" ")
    if results.loads:
        print(f"Load average {s['load_before']:.1f} before the run, {statistics.median(results.loads):.1f} during it.")
    print("\n![CPU time of a call and memory against the number of idle streams, rules, resources and principals](scale.svg)")
    for subject in TITLES:
        if results.rows.get(subject):
            table(results, subject, FIELDS)
        comments = results.points(subject.replace("streams", "comments"), "comment_us")
        if subject.startswith("streams") and comments:
            print(f"\nA comment on a silent stream (`timeouts.sse_comment`) takes {comments[0][1]:.0f} µs of CPU time.")


# The picture: two rows of panels. The upper one has CPU time from zero, the lower one memory, both axes logarithmic there.
WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 170, 56, 46, 66


def picture(results):
    parts = []
    for column, (title, subjects) in enumerate(PANELS.items()):
        x = LEFT + column * (WIDTH + GAP)
        lines = [[results.points(subject, "cpu_us") for subject in subjects], [memory(results, subject) for subject in subjects]]
        names = [TITLES[subject].split(", ")[-1] if len(subjects) > 1 else "" for subject in subjects]
        parts += panel(x, TOP, f"{title}: CPU time of a call, µs", lines[0], names, logarithmic=False)
        parts += panel(x, TOP + HEIGHT + 84, f"{title}: memory, MiB", lines[1], names, logarithmic=True)
    width, height = LEFT + len(PANELS) * (WIDTH + GAP) - GAP + 24, TOP + 2 * HEIGHT + 84 + 44
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="#222">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts, "</svg>"]) + "\n"


def memory(results, subject):
    return [(size, kib / 1024) for size, kib in results.points(subject, "rss_kib")]


def panel(x, y, title, lines, names, logarithmic):
    points = [point for line in lines for point in line]
    parts = [f'<text x="{x}" y="{y - 28}" font-weight="bold">{title}</text>']
    if not points:
        return parts
    first, last = (bound(size for size, _ in points) for bound in (min, max))
    decades = max(math.log10(last / first), 1)
    lowest, highest = (bound(value for _, value in points) for bound in (min, max))
    floor, ceiling = (10 ** math.floor(math.log10(lowest)), 10 ** math.ceil(math.log10(highest))) if logarithmic else (0, rounded(highest))

    def across(size):
        return x + WIDTH * math.log10(size / first) / decades

    def up(value):
        share = math.log10(value / floor) / math.log10(ceiling / floor) if logarithmic else value / ceiling
        return y + HEIGHT * (1 - share)

    ticks = [floor * 10**at for at in range(round(math.log10(ceiling / floor)) + 1)] if logarithmic else [ceiling * at / 4 for at in range(5)]
    for tick in ticks:
        parts.append(f'<path d="M{x} {up(tick):.1f}h{WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:,g}</text>')
    for power in range(math.ceil(math.log10(first)), math.floor(math.log10(last)) + 1):
        at = across(10**power)
        parts.append(f'<path d="M{at:.1f} {y + HEIGHT}v4" stroke="#888"/>')
        parts.append(f'<text x="{at:.1f}" y="{y + HEIGHT + 17}" text-anchor="middle">{short(10**power)}</text>')
    parts.append(f'<path d="M{x} {y + HEIGHT}h{WIDTH}" stroke="#888"/>')
    for line, name, colour, at in zip(lines, names, COLOURS, (0, 1)):
        parts += curve([(across(size), up(value)) for size, value in line], colour)
        if name and line:
            parts.append(f'<text x="{x + at * WIDTH / 2}" y="{y - 12}" fill="{colour}">{name}</text>')
    return parts


def curve(places, colour):
    joined = " ".join(f"{across:.1f},{up:.1f}" for across, up in places)
    dots = [f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>' for across, up in places]
    return [f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def rounded(value):
    """The next number that is easily divided by four."""
    scale = 10 ** math.floor(math.log10(value))
    return next(scale * step for step in (1, 2, 4, 8, 10, 20) if scale * step >= value)


def short(number):
    return f"{number // 1_000_000}M" if number >= 1_000_000 else f"{number // 1000}k" if number >= 1000 else str(number)


def main():
    folder = Path(os.environ.get("BENCH_DIR") or Path(os.environ.get("TMPDIR", "/tmp")) / "mcp-gateway-bench")
    results = Results(sys.argv[1] if len(sys.argv) > 1 else folder / "scale.jsonl")
    (folder / "scale.svg").write_text(picture(results))
    markdown(results)


if __name__ == "__main__":
    main()
