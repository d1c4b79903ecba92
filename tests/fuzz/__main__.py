"""`python -m tests.fuzz --frames 1000000 --seed 7`: mutated frames over both decoders and the brain between them.

The exit code is 1 where one of them did what no frame may do; it is told with the frame.
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.run import Report, run


def main() -> int:
    """Run, and say what came of it."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--frames", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--faults", type=int, default=5, help="how many of them end the run")
    chosen = options.parse_args()
    report = run(chosen.frames, chosen.seed, chosen.faults)
    sys.stdout.write("\n".join(told(report)) + "\n")
    return 1 if report.wrong else 0


def told(report: Report) -> list[str]:
    """The run in lines: how much, how fast, what became of the frames, and the faults."""
    each_us = report.seconds / max(1, report.frames) * 1e6
    return [
        f"{report.frames:,} frames in {report.seconds:.0f} s, {each_us:.0f} µs each with their making",
        f"the slowest took {report.slowest_ms:.0f} ms of processor time",
        *(f"{count:>11,}  {what}" for what, count in sorted(report.counts.items())),
        f"{len(report.wrong)} faults" if report.wrong else "no faults",
        *report.wrong,
    ]


if __name__ == "__main__":
    sys.exit(main())
