"""Processes that are scraped as one, killed and replaced: real forks, and the files that they share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.telemetry.slots import PREFIX, Slots

ROOT = Path(__file__).parents[4]

# A parent that counts nothing and two children, one of which is killed and replaced. Each command on standard input
# is carried out before the next one is read, so that no step waits for a clock.
FAMILY = """
import os, signal, sys
from pathlib import Path
from ringback.telemetry import slots
from ringback.telemetry.instruments import Counter, Exposition, Gauge, Histogram

slots.IN_MEMORY = Path(sys.argv[1])
calls = Counter("ringback_calls_total", "Calls.", "tool")
sessions = Gauge("ringback_sessions", "Sessions.", across="livesum")
oldest = Gauge("ringback_oldest", "Oldest.", across="livemostrecent")
waits = Histogram("ringback_wait_seconds", "Waits.", buckets=(1.0,))
exposition = Exposition([calls, sessions, oldest, waits])
exposition.begin(shared=True)

def child(number):
    told, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        calls.inc("weather", by=number)
        sessions.set(number)
        oldest.set(number)
        waits.observe(0.5)
        if number == 3:
            sys.stdout.write(exposition.text().decode() + "----\\n")
            sys.stdout.flush()
        os.write(telling, b"!")
        signal.pause()
    os.read(told, 1)
    return pid

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

first, second = child(1), child(2)
sys.stdout.write(exposition.text().decode() + "----\\n")
sys.stdout.flush()
end(first)
third = child(3)
end(second)
end(third)
sys.stdout.write(exposition.text().decode() + "----\\n")
print(sorted(path.name for path in exposition._slots.folder.iterdir()))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a scrape shows: of two children; by a third, once the first was killed; and once all were."""
    folder = tmp_path_factory.mktemp("memory")
    argv = [sys.executable, "-c", FAMILY, str(folder)]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert list(folder.iterdir()) == [], "the folder goes with the process that made it"
    return ran.stdout.split("----\n")


def value(text: str, series: str) -> float:
    (found,) = [line for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(found.rpartition(" ")[2])


def test_one_scrape_tells_of_all_children(told: list[str]) -> None:
    assert value(told[0], 'ringback_calls_total{tool="weather"}') == 3
    assert value(told[0], "ringback_sessions") == 3
    assert value(told[0], "ringback_oldest") == 2, "the one that was set last"
    assert value(told[0], "ringback_wait_seconds_count") == 2


def test_what_a_killed_child_counted_stays_and_what_it_held_goes(told: list[str]) -> None:
    assert value(told[1], 'ringback_calls_total{tool="weather"}') == 6, "a counter never goes back"
    assert value(told[1], "ringback_sessions") == 2 + 3
    assert value(told[2], 'ringback_calls_total{tool="weather"}') == 6
    assert value(told[2], "ringback_sessions") == 0, "of the parent, which lives"


def test_a_replaced_child_takes_the_files_of_the_one_before(told: list[str]) -> None:
    names = told[3]
    assert "counter_1.db" in names
    assert "counter_2.db" in names
    assert "counter_3.db" not in names, "two children at once, and so two slots beside the parent's"


def test_the_folder_of_a_command_that_was_killed_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    killed = "import os, sys; from pathlib import Path; from ringback.telemetry.slots import Slots\n"
    killed += f"Slots(Path(sys.argv[1])); os.kill(os.getpid(), {int(signal.SIGKILL)})"
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], cwd=ROOT, check=False, timeout=60)
    (abandoned,) = tmp_path.glob(f"{PREFIX}*")
    living = Slots(tmp_path)
    assert not abandoned.exists()
    another = Slots(tmp_path)
    assert living.folder.exists(), "its process lives"
    for slots in (living, another):
        slots.remove()
    assert list(tmp_path.iterdir()) == []
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"]
