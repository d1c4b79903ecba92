"""What counting for Prometheus, and traces, cost a call, by their parts: a small difference drowns in a whole call.

How often a call counts is told by the metrics themselves, from a scrape before a batch of calls and one after it. What
it takes to count once is measured here, the slower way: in files that several processes share. Both together are set
beside the processor time that gateway and worker took for each call of that batch. What is counted without calls (the
lag of a loop, several times a second) is told as a share of a core. Of traces, the spans of a call are made, encoded
and sent to a collector, and the processor time of that is set beside the same calls.

    .venv/bin/python benchmarks/counting.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import process_time

from benchmarks.calls import told_spans
from benchmarks.calls.sides import COUNTED, Running, scrape, side
from benchmarks.calls.upstream import PATIENCE, Batch, Upstream
from benchmarks.measuring.bounds import whole
from benchmarks.measuring.process_use import uses_of
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.measuring.receipts import insist
from ringback.telemetry import metrics
from ringback.telemetry.metrics import TO_CLIENT

GOAL, TRACES_GOAL = 0.02, 0.10
OURS = ("gateway", "worker")
BESIDES = (metrics.LOOP_LAG.name, metrics.WORKER_LAG.name, metrics.RELAYED_FRAMES.name, metrics.RELAYED_BYTES.name)
"""Metrics that are written several times a second, whatever is called."""
REFRESHES = 4
"""Times a second that gateway and worker write what they have summed up."""
ROUNDS = 7
LABELS = ("work", "default")


def counted(running: Running) -> dict[str, float]:
    """Return how often gateway and worker have counted so far: `inc`, and durations as `observe`."""
    found = {"inc": 0.0, "observe": 0.0}
    for family in (family for url in running.scraped for family in scrape(url)):
        for sample in family.samples:
            if family.name.startswith("ringback_") and not sample.name.startswith(tuple(BESIDES)):
                found["inc"] += sample.value if sample.name.endswith("_total") else 0
                found["observe"] += sample.value if sample.name.endswith("_count") else 0
    return found


def settled(running: Running) -> dict[str, float]:
    """Return as `counted`, once nothing more is counted for a second: what was heard is counted behind a call."""
    now, until = counted(running), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(1.0)
        earlier, now = now, counted(running)
        if now == earlier:
            return now
    raise TimeoutError("gateway and worker count without end")


def of_a_call(sessions: int, calls: int) -> tuple[dict[str, float], dict[str, float]]:
    """Make calls; return how often each of them counts, and its processor time in milliseconds by process."""
    with (
        Upstream() as upstream,
        tempfile.TemporaryDirectory() as folder,
        side(COUNTED, upstream.url, Path(sys.executable), Path(folder)) as running,
    ):
        batch = upstream.begin(Batch(sessions, calls, 5, 0))
        with ExitStack() as around:
            running.connect(sessions, around)
            insist("a batch that begins", batch.has_begun.wait(PATIENCE), True)
            before, counts, there = uses_of(running.processes), counted(running), len(batch.call_ids)
            batch.may_go_on.set()
            insist("a batch that ends", batch.is_over.wait(PATIENCE), True)
            after, made = uses_of(running.processes), len(batch.call_ids) - there
        running.check(batch)
        more = settled(running)
    insist("calls are counted", more["inc"] - counts["inc"] >= made, True)
    cpu = {name: 1_000 * after[name].cpu_since(before[name]) / made for name in OURS}
    return {what: (more[what] - counts[what]) / made for what in more}, cpu


def costs(times: int) -> dict[str, float]:
    """Return the microseconds of each operation, in files that processes share: the median of some rounds."""
    metrics.begin(shared=True)
    operations: dict[str, Callable[[], None]] = {
        "inc": lambda: metrics.CALLS_ENDED.inc(*LABELS, "succeeded"),
        "observe": lambda: metrics.RUN_SECONDS.observe(0.02, *LABELS),
        "refresh": _refresh,
    }
    return {name: median(_rounds(operation, times)) for name, operation in operations.items()}


def _refresh() -> None:
    TO_CLIENT.write()
    metrics.LOOP_LAG.observe(0.001)


def _rounds(operation: Callable[[], None], times: int) -> Iterator[float]:
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(times):
            operation()
        yield 1_000_000 * (process_time() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=whole(), default=16)
    parser.add_argument("--calls", type=whole(), default=40, help="of each session")
    parser.add_argument("--times", type=whole(), default=20_000, help="of each operation in a round")
    parser.add_argument("--told", type=whole(), default=1_000, help="calls whose spans are told in a round")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines")
    asked = parser.parse_args()
    lines = RawLines(asked.raw, "counting")
    print(lines.introduction(), flush=True)
    often, cpu = of_a_call(asked.sessions, asked.calls)
    each = costs(asked.times)
    took = sum(often[what] * each[what] for what in often)
    share = took / 1_000 / sum(cpu.values())
    lines.turn(counts_of_a_call=often, microseconds=each, cpu_ms_of_a_call=cpu, share_of_a_call=share)
    print("| operation | times a call | µs each | µs a call |\n| --- | --- | --- | --- |")
    for what in often:
        print(f"| {what} | {often[what]:.1f} | {each[what]:.2f} | {often[what] * each[what]:.1f} |")
    told = ", ".join(f"{name} {ms:.1f} ms" for name, ms in cpu.items())
    print(f"\na call: {told} of processor time; counting it: {took:.0f} µs, {share:.2%} (goal {GOAL:.0%})")
    spans = told_spans.costs(asked.told)
    lines.turn(microseconds_of_spans=spans)
    print("\n| spans of a call | µs | of its processor time |\n| --- | --- | --- |")
    for part, us in spans.items():
        print(f"| {part} | {us:.0f} | {us / 1_000 / cpu[part.partition(':')[0]]:.1%} |")
    for name in OURS:
        of = sum(us for part, us in spans.items() if part.startswith(name)) / 1_000
        print(f"traces, {name}: {of:.2f} of {cpu[name]:.1f} ms, {of / cpu[name]:.1%} (goal {TRACES_GOAL:.0%})")
    idle = REFRESHES * each["refresh"] / 1e6
    print(f"counting, without calls: {idle:.4%} of a core, in each process\n\n{lines.loads()}")


if __name__ == "__main__":
    main()
