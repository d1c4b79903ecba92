"""From a bare machine to a spoken answer through a microphone: how long each step takes.

A fresh clone of what is committed here, an empty environment, `make up`, and a real Chromium whose microphone is a file
with a spoken question. The packages are downloaded into a folder before the clock starts; installing them from there,
without the index, is a step of its own. The answer counts when the page has played it and says "heard".

    .venv/bin/python benchmarks/first_answer.py                  # minutes, most of them the download
    .venv/bin/python benchmarks/first_answer.py --installed      # from `ringback up` of this checkout on
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring.raw_lines import RAW, RawLines
from tests.browser.conftest import launched
from tests.browser.stack_of_ones_own import MICROPHONE, PATIENCE, PATIENCE_MS, Tab, opened, running_up, write_speech

ROOT = Path(__file__).parents[1]
QUESTION = "what is the weather in london"
INSTALLED = ".venv/.installed-demo"
LOCK = "requirements/demo.txt"
DOWNLOAD = "download"
"""The one step that the goal leaves out: it says how fast a line to the package index is."""
GOAL_SECONDS = 60.0
POLL_MS = 20


def cloned(place: Path) -> Path:
    """Clone what is committed here."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    return place


def download(clone: Path, wheels: Path) -> None:
    """Fetch what `make up` installs, by the locks."""
    subprocess.run(["make", "--silent", ".venv/.made"], cwd=clone, check=True, stdout=sys.stderr)
    fetch = (".venv/bin/pip", "download", "--quiet", "--require-hashes", "-r", LOCK, "-d", str(wheels))
    subprocess.run(fetch, cwd=clone, check=True, stdout=sys.stderr)


def install(clone: Path, wheels: Path) -> None:
    """Make the environment of `make up` from what was fetched, as `make up` does first."""
    there = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    subprocess.run(["make", "--silent", INSTALLED], cwd=clone, check=True, stdout=sys.stderr, env=there)


class Steps:
    """How long each step took, in seconds, in order."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure the block."""
        began = time.monotonic()
        yield
        self.took[name] = round(time.monotonic() - began, 1)
        print(f"  {name}: {self.took[name]} s", file=sys.stderr, flush=True)


def measure(folder: Path) -> dict[str, float]:
    """Go all the way once; return the seconds of each step."""
    steps = Steps()
    with steps.timed(DOWNLOAD):
        download(cloned(folder / "download"), folder / "wheels")
    shutil.rmtree(folder / "download")
    with steps.timed("clone"):
        clone = cloned(folder / "clone")
    with steps.timed("install"):
        install(clone, folder / "wheels")
    talk(clone / ".venv/bin/ringback", folder, steps)
    return steps.took


def measure_installed(folder: Path) -> dict[str, float]:
    """Speak to the stack of this checkout; return the seconds of each step."""
    steps = Steps()
    talk(Path(sys.executable).with_name("ringback"), folder, steps)
    return steps.took


def talk(ringback: Path, folder: Path, steps: Steps) -> None:
    """Start the stack by its command, open its page, and speak until the answer was heard."""
    question = write_speech(folder / "question.wav", QUESTION, 0.3, 2)
    began = time.monotonic()
    with running_up((str(ringback),)) as up:
        steps.took["`ringback up` prints its link"] = round(time.monotonic() - began, 1)
        pressed_from = time.monotonic()
        with (
            launched(*MICROPHONE, f"--use-file-for-fake-audio-capture={question}%noloop") as browser,
            opened(browser, up.link) as tab,
        ):
            button = tab.page.get_by_role("button", name="Talk")
            button.wait_for(timeout=PATIENCE_MS)
            steps.took["Chromium starts, and Talk can be pressed"] = round(time.monotonic() - pressed_from, 1)
            with steps.timed("from Talk to the first sound of the answer"):
                button.click()
                _wait_for_sound(tab)
            with steps.timed("until the answer was heard"):
                tab.wait_for_call("heard")


def _wait_for_sound(tab: Tab) -> None:
    """Wait until the page hands sound to its loudspeaker. Its policy forbids the `eval` of Playwright's own waiting."""
    until = time.monotonic() + PATIENCE
    while not any(piece["samples"] for piece in tab.to_speaker()):
        if time.monotonic() > until:
            raise TimeoutError(f"no sound of an answer in {PATIENCE:g} s")
        tab.page.wait_for_timeout(POLL_MS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the raw lines")
    parser.add_argument("--installed", action="store_true", help="leave out clone, download and installation")
    asked = parser.parse_args()
    lines = RawLines(asked.raw, "first_answer")
    print(lines.introduction())
    with tempfile.TemporaryDirectory(prefix="rb-first-") as folder:
        took = (measure_installed if asked.installed else measure)(Path(folder))
    lines.turn(**took)
    print("| step | seconds |\n| --- | --- |")
    for step, seconds in took.items():
        print(f"| {step} | {seconds} |")
    after = sum(took.values()) - took.get(DOWNLOAD, 0.0)
    print(f"| after the download (the goal is {GOAL_SECONDS:g}) | {after:.1f} |")
    print(lines.loads())
    return 0


if __name__ == "__main__":
    sys.exit(main())
