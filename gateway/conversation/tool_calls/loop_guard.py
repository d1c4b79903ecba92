"""Guard against a model that goes round in circles: it calls, is answered, and calls again, without a word spoken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ringback.agents.agent import Agent
from ringback.jobs.outcomes import Outcome, failed

MINUTE = 60.0


@dataclass(slots=True)
class ToolLoopGuard:
    """Counter of calls from one turn of the user to the next, and in the last minute."""

    agent: Agent
    _is_tripped: bool = False
    _turn: int = 0
    _by_tool: Counter[str] = field(default_factory=Counter)
    _lately: list[float] = field(default_factory=list)

    def new_turn(self, turn: int) -> None:
        """Count anew if the user has had another turn."""
        if turn != self._turn:
            self._turn, self._is_tripped = turn, False
            self._by_tool.clear()

    def is_tripped(self, turn: int) -> bool:
        """Return True if a call was refused in this turn: the next answer should be words."""
        return self._is_tripped and turn == self._turn

    def refuse(self, tool: str, now: float) -> Outcome | None:
        """Count a call; return why it may not be made, or None if it may."""
        if self._is_too_many(now):
            self._is_tripped = True
            return failed(
                "too_many_calls",
                f"{self.agent.max_calls_per_minute} functions were called within a minute, which is the limit. "
                "Call nothing more for a while, and say so.",
            )
        self._by_tool[tool] += 1
        if self._by_tool[tool] > self.agent.max_calls_per_turn:
            self._is_tripped = True
            return _refusal(f"{tool} was called {self.agent.max_calls_per_turn} times")
        if self._by_tool.total() > self.agent.max_calls_unheard:
            self._is_tripped = True
            return _refusal(f"Functions were called {self.agent.max_calls_unheard} times")
        return None

    def _is_too_many(self, now: float) -> bool:
        while self._lately and self._lately[0] <= now - MINUTE:
            del self._lately[0]
        if len(self._lately) >= self.agent.max_calls_per_minute:
            return True
        self._lately.append(now)
        return False


def _refusal(what: str) -> Outcome:
    return failed(
        "too_many_in_a_row",
        f"{what} since the user last said something, which is the limit. "
        "Call nothing more now: tell the user what you have found so far, and ask how to go on.",
    )
