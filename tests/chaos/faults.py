"""Which fault comes when: a schedule that a seed decides, and nothing else does. No I/O."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

AT_ONCE = 3
"""Faults that may be under way at the same time."""

WEIGHTS = {
    "kill worker": 10,
    "kill gateway": 8,
    "pause worker": 4,
    "pause gateway": 3,
    "blip worker": 4,
    "blip gateway": 4,
    "end worker": 4,
    "end gateway": 4,
    "flush redis": 6,
    "restart redis": 3,
    "freeze redis": 2,
    "kick redis clients": 3,
    "kick postgres clients": 3,
    "kick one redis client": 5,
    "kick one postgres client": 5,
    "freeze one postgres client": 4,
    "restart postgres": 2,
    "freeze postgres": 2,
    "lock the jobs": 2,
    "drop upstream": 8,
    "expire upstream": 4,
    "refuse upstream": 3,
    "hang upstream": 3,
    "repeat messages": 6,
    "forge messages": 4,
    "lose clients": 7,
    "resume twice": 5,
}
"""How often each kind comes; what takes the whole house along comes seldom, or nothing else would be seen."""

LASTING = {
    "pause worker": (5.0, 15.0),
    "pause gateway": (5.0, 15.0),
    "blip worker": (0.2, 3.0),
    "blip gateway": (0.2, 3.0),
    "freeze one postgres client": (0.2, 7.0),
    "restart redis": (0.2, 5.0),
    "restart postgres": (0.0, 2.0),
    "freeze redis": (0.5, 6.0),
    "freeze postgres": (1.0, 3.0),
    "lock the jobs": (0.5, 2.5),
    "refuse upstream": (1.0, 4.0),
    "hang upstream": (0.5, 4.0),
}
"""From how many seconds to how many; what is not listed is over at once."""


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the run began, for `seconds` where it lasts."""

    number: int
    at: float
    kind: str
    seconds: float = 0.0
    args: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return " ".join([self.kind, *(str(value) for value in self.args.values())]) + lasting


def schedule(seed: int, seconds: float, every: float, gateways: Sequence[str], workers: Sequence[str]) -> list[Fault]:
    """The faults of a run, in order.

    Args:
        every: mean seconds between two faults.
    """
    chance = random.Random(seed)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    faults: list[Fault] = []
    ends: list[float] = []
    at = chance.expovariate(1 / every)
    while at < seconds:
        kind = chance.choices(kinds, weights)[0]
        fault = _fault(len(faults) + 1, at, kind, chance, gateways, workers)
        ends = [end for end in ends if end > at]
        if len(ends) < AT_ONCE:
            faults.append(fault)
            ends.append(at + fault.seconds)
        at += chance.expovariate(1 / every)
    return faults


def _fault(
    number: int, at: float, kind: str, chance: random.Random, gateways: Sequence[str], workers: Sequence[str]
) -> Fault:
    shortest, longest = LASTING.get(kind, (0.0, 0.0))
    args: dict[str, Any] = {}
    if kind.endswith(("worker", "gateway")):
        args["name"] = chance.choice(gateways if "gateway" in kind else workers)
    elif kind in ("lose clients", "resume twice"):
        args["share"] = round(chance.uniform(0.1, 0.6), 2)
    elif kind in ("drop upstream", "expire upstream"):
        args["how"] = "expired" if kind == "expire upstream" else chance.choice(("1006", "1011"))
        args["share"] = round(chance.uniform(0.1, 0.6), 2)
    elif kind == "refuse upstream":
        args["status"] = chance.choice((429, 500))
    return Fault(number, at, kind, chance.uniform(shortest, longest), args)
