"""What was measured, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Timed:
    """Seconds that something took, each time. `goal` is in words, such as "p99 <= 5"."""

    what: str
    seconds: Sequence[float]
    goal: str = ""

    @property
    def is_measured(self) -> bool:
        """False where it never came to what was to be timed."""
        return bool(self.seconds)

    def row(self) -> str:
        shares = [f"{percentile(self.seconds, share):.2f}" if self.seconds else "-" for share in (0.5, 0.9, 0.99, 1)]
        return f"| {self.what} | {len(self.seconds)} | {' | '.join(shares)} | {self.goal} |"


@dataclass(frozen=True)
class Counted:
    """How often something was so."""

    what: str
    times: int
    of: int
    goal: str = ""

    @property
    def is_measured(self) -> bool:
        """False where there was nothing to count, or what must not be was, or what must be was not."""
        wanted = {"0": 0, "all": self.of}.get(self.goal, self.times)
        return self.of > 0 and self.times == wanted

    def row(self) -> str:
        return f"| {self.what} | {self.times} | {self.of} | {self.goal} |"


Figure = Timed | Counted


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that so many of them do not exceed: always one that was measured."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def tables(figures: Sequence[Figure]) -> str:
    """Both kinds, as Markdown."""
    timed = [figure.row() for figure in figures if isinstance(figure, Timed)]
    counted = [figure.row() for figure in figures if isinstance(figure, Counted)]
    head = ["| seconds | samples | p50 | p90 | p99 | max | goal |", "| --- | --- | --- | --- | --- | --- | --- |"]
    count_head = ["| how often | times | of | goal |", "| --- | --- | --- | --- |"]
    return "\n".join([*(head + timed if timed else []), "", *(count_head + counted if counted else [])]).strip()
