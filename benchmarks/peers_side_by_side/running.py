"""One case with one side: the question, what befalls it, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.peers_side_by_side.cases import AT_SECONDS, Befalls, Case
from benchmarks.peers_side_by_side.driving import Driver, running
from benchmarks.peers_side_by_side.recording import Entry, Recording
from benchmarks.peers_side_by_side.seen import CALL, Seen, is_over, read
from benchmarks.peers_side_by_side.sides import Option, Side
from tests.simulated import Simulated

LOOK_SECONDS = 0.005
CALL_SECONDS = 15.0
"""Until the model has called; a driver takes none of it."""
AFTER_SECONDS = 0.8
"""How much longer is listened when all is told: for a second reply, or a refusal."""
LEAVE_SECONDS = 10.0


class Stage:
    """The simulator, its record, and its control door."""

    def __init__(self, simulated: Simulated) -> None:
        self.simulated = simulated
        self._recording = Recording(simulated.record)
        self._entries: list[Entry] = []

    def clear(self) -> None:
        """Forget what was; a new conversation begins."""
        give_up = time.monotonic() + LEAVE_SECONDS
        while self.simulated.connections() and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)
        self._recording.more()
        self._entries = []

    def entries(self) -> list[Entry]:
        """The conversation so far."""
        self._entries += self._recording.more()
        return self._entries

    def wait(self, true: Callable[[list[Entry]], bool], seconds: float) -> bool:
        """Until it is true of the record; False where it was not within that time."""
        give_up = time.monotonic() + seconds
        while not true(self.entries()):
            if time.monotonic() > give_up:
                return False
            time.sleep(LOOK_SECONDS)
        return True


def run(stage: Stage, side: Side, case: Case, mode: str, option: Option | None, times: int) -> tuple[Seen, ...]:
    """So many conversations in one process, after one that warms it up, as each does something for the first time."""
    stage.simulated.order("knobs", **(option.knobs if option else {}))
    with running(side.driver(mode)) as driver:
        _converse(stage, side, driver, Case("warm-up", "", {"alpha": 0}))
        return tuple(_converse(stage, side, driver, case) for _ in range(times))


def _converse(stage: Stage, side: Side, driver: Driver, case: Case) -> Seen:
    stage.clear()
    driver.order("connect")
    driver.order("ask", words=case.words)
    if not stage.wait(lambda entries: _called(entries) == len(case.works), CALL_SECONDS):
        raise TimeoutError(f"{side.name}: the model was not asked, or made no call: {case.words}")
    if case.befalls is not Befalls.NOTHING:
        time.sleep(AT_SECONDS)
        _befall(stage, side, driver, case)
    stage.wait(lambda entries: is_over(entries, case.works), case.patience)
    time.sleep(AFTER_SECONDS)
    if case.befalls is Befalls.SPEECH:
        driver.finish("speak")
    driver.order("leave")
    return read(stage.entries(), case.works)


def _called(entries: list[Entry]) -> int:
    return sum(entry.kind == CALL for entry in entries)


def _befall(stage: Stage, side: Side, driver: Driver, case: Case) -> None:
    match case.befalls:
        case Befalls.SPEECH:
            driver.begin("speak", seconds=case.speech_seconds)
        case Befalls.CLOSE:
            stage.simulated.order("drop", code=1001)
        case Befalls.TOOLS_KILLED:
            side.kill_tools(driver)
        case Befalls.LINE_KILLED:
            side.kill_line(driver)
