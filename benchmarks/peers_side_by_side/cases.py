"""What befalls every side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

AT_SECONDS = 0.3
"""When it happens, after the call: the function has more than half of its second before it."""


class Befalls(Enum):
    """What happens while the function runs."""

    NOTHING = "nothing"
    SPEECH = "the user speaks"
    CLOSE = "the upstream closes the connection"
    TOOLS_KILLED = "kill -9 of the process that runs the function"
    LINE_KILLED = "kill -9 of the process that holds the connection"


@dataclass(frozen=True)
class Case:
    """One row.

    Args:
        key: its name on the command line.
        title: its name in the table.
        works: how many milliseconds each call takes, by what it is about.
        speech_seconds: how long the user speaks.
        patience: seconds after which what has not been told counts as lost.
    """

    key: str
    title: str
    works: dict[str, int]
    befalls: Befalls = Befalls.NOTHING
    speech_seconds: float = 0.0
    patience: float = 8.0

    @property
    def words(self) -> str:
        """What the user types."""
        return "Please work on " + " and on ".join(f"{name} for {ms} ms" for name, ms in self.works.items()) + "."


ONE = {"alpha": 1_000}

CASES = (
    Case("floor", "the floor: one call that returns at once", {"alpha": 0}),
    Case("one", "one call of 1 s", ONE),
    Case("two", "two calls in one response, 1 s each", {"alpha": 1_000, "bravo": 1_000}),
    Case("near", "two calls, 1 s and 1.2 s: the second ends during the first one's reply", {**ONE, "bravo": 1_200}),
    Case("far", "two calls, 1 s and 1.5 s: the second ends after it", {**ONE, "bravo": 1_500}),
    Case(
        "remark", "the user says a word (0.3 to 0.6 s); the result lands in the answer to it", ONE, Befalls.SPEECH, 0.3
    ),
    Case("talk", "the user talks (0.3 to 1.3 s); the result lands in the midst of it", ONE, Befalls.SPEECH, 1.0),
    Case("close", "the upstream closes at 0.3 s", ONE, Befalls.CLOSE, patience=12.0),
    Case("tools", "kill -9, at 0.3 s, of the process that runs the function", ONE, Befalls.TOOLS_KILLED, patience=12.0),
    Case("line", "kill -9, at 0.3 s, of the process that holds the socket", ONE, Befalls.LINE_KILLED, patience=15.0),
)
SPOKEN = frozenset(case.key for case in CASES if case.befalls is Befalls.SPEECH)
SEVERAL = frozenset(case.key for case in CASES if len(case.works) > 1)
