"""`python -m tests.chaos --seconds 120 --seed 7`: a chaos run by hand, of any length.

The exit code is 1 where an invariant was violated, something had not come to its end, or a log has a traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.run import Plan, run, summary

WORDS = {
    "seconds": "how long faults are injected; starting and settling come on top",
    "seed": "what decides about faults and questions",
    "sessions": "clients, each with one session at a time",
    "gateways": "processes",
    "workers": "processes",
    "every": "mean seconds between two faults",
    "pause": "mean seconds between an answer and the next question",
}


def main() -> int:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    for name, words in WORDS.items():
        default = getattr(Plan, name)
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{words} ({default})")
    parser.add_argument("--folder", type=Path, help="for ledgers and logs; a temporary one unless given")
    given = vars(parser.parse_args())
    folder = given.pop("folder") or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty: ledgers are appended to, and two runs in one are full of violations")
    began = time.monotonic()

    def say(words: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f}  {words}\n")
        sys.stdout.flush()

    report = run(Plan(**given), folder, say)
    sys.stdout.write("\n".join(summary(report)) + "\n")
    return 1 if report.violations or report.left or report.tracebacks else 0


if __name__ == "__main__":
    sys.exit(main())
